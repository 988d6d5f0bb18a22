"""Numbers that are not finite are said where they are born, with the part and the cure."""

import pytest
import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.cli import main
from pixwizard_core.encoders.taesd import Autoencoder, save_autoencoder
from pixwizard_core.encoders.tiny import BUNDLE, VAE_FILE, build_tiny_encoders
from pixwizard_core.encoders.vae import DiffusersCoder, TaesdCoder
from pixwizard_core.errors import CheckpointError, EncoderError, SamplingError
from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.generate import SampleSettings, initial_noise, sample
from pixwizard_core.pipeline import Request, run
from pixwizard_core.weights.checkpoint import load_model, load_state_dict, save
from pixwizard_core.weights.finite import (
    HALF_CURES,
    damaged_weight,
    finite_output,
    largest,
    require_range,
)
from tests.support.tiny import tiny_bundle, tiny_condition, tiny_model

PICTURE = torch.zeros(1, 3, 64, 64)
WQ = "layers.0.attention.wq.weight"


def overflowing(module: torch.nn.Module, factor: float) -> torch.nn.Module:
    """The module with larger weights, each of them still a number of its type."""
    for weight in module.parameters():
        if weight.dim() > 1 and weight.any():
            grown = weight.detach().float()
            grown *= factor / float(grown.abs().max())
            weight.data = grown.clamp(-factor, factor).to(weight.dtype)
    assert damaged_weight(module) is None
    return module


@pytest.fixture
def half_vae() -> TaesdCoder:
    torch.manual_seed(0)
    return TaesdCoder(overflowing(Autoencoder().requires_grad_(False).half(), 200.0))


@pytest.mark.parametrize("part", HALF_CURES)
@pytest.mark.parametrize("dtype", [torch.float16, None], ids=str)
def test_finite_output_names_part_count_and_the_cure_of_float16(part, dtype):
    values = torch.tensor([1.0, torch.inf, torch.nan, 2.0], dtype=dtype)
    with pytest.raises(EncoderError, match=f"the {part} gave 2 numbers .* of 4") as told:
        finite_output(values, part, dtype)
    assert str(told.value).endswith(HALF_CURES[part])


def test_finite_output_blames_the_file_or_a_lora_in_other_types():
    values = torch.full((3,), torch.nan, dtype=torch.bfloat16)
    with pytest.raises(EncoderError, match="computed in bfloat16; its file is damaged: get it"):
        finite_output(values, "VAE", torch.bfloat16)
    with pytest.raises(EncoderError, match="damaged: get it again; or a LoRA on it is too strong"):
        finite_output(values, "text encoder", torch.bfloat16)


def test_finite_output_is_the_tensor_itself_and_leaves_gradients_alone():
    values = torch.ones(3, requires_grad=True)
    assert finite_output(values, "VAE", torch.float32) is values
    assert finite_output(torch.empty(3, device="meta"), "VAE").is_meta


def test_vae_that_overflows_in_float16_is_named_with_its_cure(half_vae):
    said = r"the VAE gave \d+ numbers .* computed in float16; .*sdxl-vae-fp16-fix.*--fp32-vae"
    with pytest.raises(EncoderError, match=said):
        half_vae.encode(PICTURE)
    with pytest.raises(EncoderError, match=said):
        half_vae.decode(torch.ones(1, 4, 8, 8))


class BrokenVae:
    """diffusers' AutoencoderKL in float16, overflowing both ways."""

    dtype = torch.float16

    def encode(self, pixels):
        latent = torch.full((1, 4, 8, 8), torch.inf, dtype=self.dtype)
        mode = type("Spread", (), {"mode": lambda self: latent})()
        return type("Encoded", (), {"latent_dist": mode})

    def decode(self, latent):
        return type("Painted", (), {"sample": torch.full((1, 3, 64, 64), torch.inf)})


def test_diffusers_coder_names_the_vae_before_infinity_is_clamped():
    coder = DiffusersCoder(BrokenVae())
    with pytest.raises(EncoderError, match="the VAE gave 256 numbers"):
        coder.encode(PICTURE)
    with pytest.raises(EncoderError, match="the VAE gave 12288 numbers"):
        coder.decode(torch.zeros(1, 4, 8, 8))


def test_text_encoder_that_overflows_in_float16_is_named_with_its_cure():
    text, _ = build_tiny_encoders()
    overflowing(text.gemma.requires_grad_(False).half(), 6e4)
    said = r"the text encoder gave .* computed in float16; .*published files, which are bfloat16"
    with pytest.raises(EncoderError, match=said):
        text.encode(["Depth."])


def test_pooled_text_that_is_not_finite_is_named():
    text, _ = build_tiny_encoders()
    overflowing(text.clip.requires_grad_(False), 1e38)
    with pytest.raises(EncoderError, match=r"the text encoder gave .* a LoRA on it is too strong"):
        text.encode(["Depth."])


def test_vision_encoder_that_overflows_in_float16_is_named_with_its_cure():
    _, vision = build_tiny_encoders()
    overflowing(vision.requires_grad_(False).half(), 6e4)
    said = r"the vision encoder gave .* computed in float16; .*--fp32-text-enc"
    with pytest.raises(EncoderError, match=said):
        vision.encode(PICTURE)


def test_pipeline_names_the_vae_and_not_the_sampler():
    bundle = tiny_bundle()
    overflowing(bundle.vae.model, 1e10)
    request = Request(torch.rand(1, 3, 64, 64), "Depth.", centre=64)
    with pytest.raises(EncoderError, match="the VAE gave"):
        run(bundle, request)


@pytest.fixture(scope="module")
def folder_with_a_broken_vae(tmp_path_factory):
    """The bundled model with an autoencoder of finite weights that overflows even in float32."""
    folder = tmp_path_factory.mktemp("bundle")
    for file in BUNDLE.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / VAE_FILE).unlink()
    save_autoencoder(overflowing(Autoencoder(), 6e4), folder / VAE_FILE)
    return folder


def test_command_line_names_the_vae(folder_with_a_broken_vae, tmp_path, capsys):
    save_picture(tmp_path / "a.png", torch.rand(1, 3, 32, 32))
    options = ["--task", "depth", "--steps", "1", "--bundle", str(folder_with_a_broken_vae)]
    assert main(["run", str(tmp_path / "a.png"), *options, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "the VAE gave" in said
    assert "its file is damaged" in said


def test_batch_names_the_vae_in_its_record(folder_with_a_broken_vae, tmp_path):
    save_picture(tmp_path / "a.png", torch.rand(1, 3, 32, 32))
    out = tmp_path / "out"
    options = ["--task", "depth", "--steps", "1", "--bundle", str(folder_with_a_broken_vae)]
    assert main(["batch", str(tmp_path / "a.png"), *options, "--out", str(out)]) == 1
    assert "the VAE gave" in (out / "failures.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", ["text", "pooled", "image_tokens", "image_latent"])
def test_sampling_blames_the_condition_when_that_is_not_finite(part):
    full, empty = tiny_condition(rows=1), tiny_condition(rows=1, text=3)
    getattr(full, part)[0, 0] = torch.nan
    assert (full.not_finite(), empty.not_finite()) == (part, None)
    noise = initial_noise((4, 6, 8), [0])
    settings = SampleSettings(steps=1, w_text=1.0, w_image=1.0)
    with pytest.raises(SamplingError, match=f"the condition's {part} holds"):
        sample(tiny_model(), full, empty, noise, settings, seeds=[0])


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (500.0, torch.float8_e4m3fn, "w reaches 500, beyond 448"),
        (6e4, torch.float8_e5m2, "w reaches 60000, beyond 57344"),
        (-1e6, torch.float16, "w reaches 1e\\+06, beyond 65504"),
    ],
)
def test_range_refuses_what_a_type_would_make_infinite(value, dtype, said):
    with pytest.raises(CheckpointError, match=said):
        require_range(torch.tensor([1.0, value]), "w", dtype)
    inside = torch.tensor([1.0, -400.0])
    assert require_range(inside, "w", dtype) is inside
    assert not torch.tensor([value]).to(torch.bfloat16).isinf()
    assert require_range(torch.tensor([value]), "w", torch.bfloat16).tolist() == [value]


def test_largest_is_the_size_of_the_largest_number():
    assert largest(torch.tensor([1.0, -3.0, 2.0])) == 3.0
    assert largest(torch.tensor([448.0], dtype=torch.float8_e4m3fn)) == 448.0
    assert largest(torch.empty(0)) == 0.0


def test_model_in_a_type_too_small_for_its_weights_is_refused(tmp_path):
    model = tiny_model()
    state = model.state_dict()
    state[WQ][0, 0] = 1e6
    save(tmp_path / "m.safetensors", state, model.config)
    for load in (load_model, load_state_dict):
        with pytest.raises(CheckpointError, match=f"{WQ} reaches 1e\\+06, beyond 65504"):
            load(tmp_path / "m.safetensors", dtype=torch.float16)
    assert load_model(tmp_path / "m.safetensors", dtype=torch.bfloat16)


def test_bundled_parts_pass_every_check():
    bundle = load_tiny()
    assert bundle.vae.encode(PICTURE).isfinite().all()
    for module in (bundle.model, bundle.text, bundle.vision, bundle.vae.model):
        assert damaged_weight(module) is None
