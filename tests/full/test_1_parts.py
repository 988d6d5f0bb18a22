"""Each part at its real size: recognised, loaded once, converted."""

import pytest

from pixwizard_core.cli import main
from pixwizard_core.weights.examine import inspect
from tests.support.full_size import RELEASED

MARGIN = 0.4e9  # bytes beside the weights: libraries, tokenizers, one tensor in work
NUMBERS = 2_011_441_976  # in the released transformer


def once(found: dict, mapped: float = 0.0) -> None:
    """Loading took no second copy. mapped: bytes of the file that may be seen beside the copy;
    the system can drop them at any time."""
    assert found["own"] < found["held"] + MARGIN, found
    assert found["resident"] < found["held"] + mapped + MARGIN, found


def test_pickle_is_recognised_as_released(parts, capsys):
    folder = parts.get("model")
    info = inspect(folder)
    assert (info.preset, info.layout, info.dtype) == (RELEASED, "released folder", "float32")
    assert info.n_params == NUMBERS
    assert sum(file.stat().st_size for file in folder.iterdir()) > 4 * NUMBERS
    assert main(["inspect", str(folder)]) == 0
    assert RELEASED in capsys.readouterr().out


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_pickle_is_in_memory_once(parts, dtype):
    once(parts.measure(f"transformer, .pth as {dtype}", "core_model", parts.get("model"), dtype))


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_pickle_is_in_the_memory_of_a_host_once(parts, host, dtype):
    path = parts.get("model") / "consolidated_ema.00-of-01.pth"
    once(parts.measure(f"transformer, .pth as {dtype}", "host_model", path, dtype, host=host))


@pytest.mark.parametrize(("dtype", "size"), [("bf16", 4.02e9), ("fp8", 2.5e9)])
def test_conversion_holds_one_tensor_at_a_time(parts, dtype, size):
    parts.get("model")
    path = parts.converted(dtype)
    assert path.stat().st_size == pytest.approx(size, rel=0.1)
    info = inspect(path)
    assert (info.preset, info.n_params) == (RELEASED, NUMBERS)
    if dtype == "fp8":
        assert set(info.dtypes) == {"bfloat16", "float8_e4m3fn"}


@pytest.mark.parametrize(("dtype", "stored"), [("bf16", "bfloat16"), ("fp8", "float8_e4m3fn")])
def test_converted_weights_are_in_memory_once(parts, host, dtype, stored):
    path = parts.converted(dtype)
    once(parts.measure(f"transformer, {dtype} file", "core_model", path, "bfloat16"), 2.2e9)
    once(parts.measure(f"transformer, {dtype} file", "host_model", path, stored, host=host))


def test_text_encoder_is_in_memory_once(parts, host):
    parts.drop("model")  # for the disk's sake
    files = parts.get("gemma"), parts.get("clip")
    once(parts.measure("Gemma and CLIP text, bfloat16", "core_text", *files, "bfloat16"), 0.5e9)
    once(parts.measure("Gemma and CLIP text", "host_text", *files, host=host), 0.5e9)


def test_vision_encoder_is_in_memory_once(parts, host):
    clip = parts.get("clip")
    once(parts.measure("CLIP vision, bfloat16", "core_vision", clip, "bfloat16"), 0.2e9)
    once(parts.measure("CLIP vision", "host_vision", clip, host=host), 0.2e9)


def test_vae_is_in_memory_once(parts, host):
    vae = parts.get("vae")
    once(parts.measure("SDXL VAE, float32", "core_vae", vae), 0.4e9)
    once(parts.measure("SDXL VAE", "host_vae", vae, host=host), 0.4e9)


def test_checklist_finds_every_part(parts, capsys):
    for part in ("gemma", "clip", "vae"):
        parts.get(part)
    parts.converted("bf16")
    assert main(["get", "--check", "--comfyui", str(parts.folder)]) == 0
    assert capsys.readouterr().out.count("✓") == 4
