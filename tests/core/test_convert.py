"""Conversion to one safetensors file."""

import pytest
import torch
from safetensors import safe_open

from pixwizard_core.errors import CheckpointError
from pixwizard_core.weights.checkpoint import load_state_dict
from pixwizard_core.weights.convert import convert, stored_dtype
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.layer_choice import kept_dtype
from tests.support.paths import GOLDEN

SOURCE = GOLDEN / "checkpoint"


@pytest.mark.parametrize(
    ("dtype", "stored", "n_bytes"),
    [
        ("bf16", torch.bfloat16, 671_620),
        ("fp16", torch.float16, 671_620),
        ("fp32", torch.float32, 1_343_240),
    ],
    ids=["bf16", "fp16", "fp32"],
)
def test_convert_writes_the_dtype_and_the_configuration(tmp_path, dtype, stored, n_bytes):
    info = convert(SOURCE, tmp_path / "out.safetensors", dtype)
    assert (info.config_source, info.n_bytes) == ("header", n_bytes)
    state, config = load_state_dict(tmp_path / "out.safetensors")
    original, shape = load_state_dict(SOURCE)
    assert config == shape
    assert {tensor.dtype for tensor in state.values()} == {stored}
    assert all(torch.equal(state[name], original[name].to(stored)) for name in original)


def test_convert_to_fp8_keeps_small_weights_in_bfloat16(tmp_path):
    convert(SOURCE, tmp_path / "out.safetensors", "fp8")
    state, _ = load_state_dict(tmp_path / "out.safetensors")
    assert state["layers.0.attention.wk_ii.weight"].dtype == torch.float8_e4m3fn
    assert state["layers.1.feed_forward.w2.weight"].dtype == torch.float8_e4m3fn
    for name in ("layers.0.attention.gate", "layers.0.out_conv.4.weight", "x_embedder.weight"):
        assert state[name].dtype == torch.bfloat16


def test_stored_dtype_of_fp8_leaves_norms_and_modulation():
    assert stored_dtype("layers.3.adaLN_modulation.1.weight", "fp8") == torch.bfloat16
    assert stored_dtype("layers.3.attention.q_norm.weight", "fp8") == torch.bfloat16
    assert stored_dtype("layers.3.attention.wq.weight", "fp8") == torch.float8_e4m3fn
    assert stored_dtype("layers.3.attention.wq.weight", "bf16") == torch.bfloat16


def test_kept_dtype_of_fp8_is_that_of_large_matrices_in_each_model():
    fp8, half = torch.float8_e5m2, torch.bfloat16
    large = {
        "model": "layers.3.attention.wq.weight",
        "gemma": "layers.3.mlp.up_proj.weight",
        "clip_text": "text_model.encoder.layers.3.mlp.fc1.weight",
    }
    for kind, name in large.items():
        found = [kept_dtype(kind, one, fp8) for one in (name, "embed_tokens.weight", "norm.weight")]
        assert found == [fp8, half, half]
        assert kept_dtype(kind, name, torch.float32) == torch.float32
    assert kept_dtype("clip_vision", large["clip_text"], fp8) == half


def test_convert_calls_back_once_per_tensor(tmp_path):
    calls = []
    convert(SOURCE, tmp_path / "o.safetensors", on_tensor=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(1, 102))
    assert {total for _, total, _ in calls} == {101}
    assert "pad_token" in {name for _, _, name in calls}


def test_convert_of_a_converted_file_keeps_numbers_and_notes(tmp_path):
    convert(SOURCE, tmp_path / "a.safetensors", "bf16", metadata={"made_by": "a test"})
    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "fp32")
    first, _ = load_state_dict(tmp_path / "a.safetensors")
    second, _ = load_state_dict(tmp_path / "b.safetensors")
    assert all(torch.equal(first[name].float(), second[name]) for name in first)
    with safe_open(tmp_path / "b.safetensors", framework="pt") as file:
        assert file.metadata()["made_by"] == "a test"
        assert file.metadata()["pixwizard.source"] == "consolidated_ema.00-of-01.pth"


def test_convert_aligns_numbers_to_their_size(tmp_path):
    convert(SOURCE, tmp_path / "out.safetensors", "fp8")
    raw = (tmp_path / "out.safetensors").read_bytes()
    assert int.from_bytes(raw[:8], "little") % 8 == 0


def test_convert_refuses_another_model(tmp_path):
    with pytest.raises(CheckpointError, match="not PixWizard"):
        convert(GOLDEN / "clip_tokens.safetensors", tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_convert_refuses_to_replace_its_source(tmp_path):
    path = tmp_path / "a.safetensors"
    convert(SOURCE, path)
    with pytest.raises(CheckpointError, match="is the source itself"):
        convert(path, path)
    assert inspect(path).kind == "PixWizard"


def test_convert_refuses_other_names_folders_and_types(tmp_path):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors"):
        convert(SOURCE, tmp_path / "out.pth")
    with pytest.raises(CheckpointError, match="there is no folder"):
        convert(SOURCE, tmp_path / "gone" / "out.safetensors")
    with pytest.raises(CheckpointError, match="dtype 'int4' is unknown"):
        convert(SOURCE, tmp_path / "out.safetensors", "int4")


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (1e6, "fp16", "reaches 1e\\+06, beyond 65504"),
        (500.0, "fp8", "reaches 500, beyond 448"),
        (float("nan"), "bf16", "not finite"),
    ],
    ids=["fp16", "fp8", "nan"],
)
def test_convert_refuses_numbers_that_do_not_fit(tmp_path, value, dtype, message):
    state = torch.load(SOURCE / "consolidated_ema.00-of-01.pth", weights_only=True)
    state["layers.0.attention.wq.weight"][0, 0] = value
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message):
        convert(tmp_path / "w.pth", tmp_path / "out.safetensors", dtype)
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.pth"]
