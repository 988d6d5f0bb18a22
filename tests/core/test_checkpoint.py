"""Checkpoints: what is accepted, what is refused and in which words."""

import argparse
import io
import json
import pickle
import zipfile

import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pixwizard_core.config import PRESETS, ModelConfig
from pixwizard_core.errors import CheckpointError
from pixwizard_core.weights.checkpoint import (
    expected_shapes,
    load_model,
    load_state_dict,
    save,
)
from pixwizard_core.weights.examine import CONFIG_KEY, inspect
from pixwizard_core.weights.recognise import config_from_shapes
from pixwizard_core.weights.strict import fold_layers
from tests.support.paths import GOLDEN

SMALL = ModelConfig.build(
    dim=32,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    multiple_of=16,
    cap_feat_dim=24,
    cap_clip_feat_dim=16,
    image_feat_dim=20,
    sample_tokens=5,
)


def small_weights(config: ModelConfig = SMALL, dtype=torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(shape, generator=generator).to(dtype)
        for name, shape in expected_shapes(config).items()
    }


@pytest.fixture
def weights():
    return small_weights()


def test_inspect_reads_released_folder():
    info = inspect(GOLDEN / "checkpoint")
    assert info.kind == "PixWizard"
    assert info.layout == "released folder"
    assert info.dtype == "float32"
    assert info.n_params == 335_810
    assert (info.config.dim, info.config.n_layers, info.config.n_kv_heads) == (48, 2, 2)
    assert info.config.sample_tokens == 256
    assert any("PixWizard_2B_GQA_patch2" in note for note in info.notes)


def test_load_model_gives_the_folders_numbers():
    model = load_model(GOLDEN / "checkpoint")
    file = GOLDEN / "checkpoint" / "consolidated_ema.00-of-01.pth"
    raw = torch.load(file, weights_only=True)
    state = model.state_dict()
    assert state.keys() == raw.keys()
    assert all(torch.equal(state[name], raw[name]) for name in raw)
    assert not model.training
    assert not any(p.requires_grad or p.is_meta for p in model.parameters())


def test_config_is_read_off_shapes_without_qk_norm():
    config = inspect(GOLDEN / "model_b.safetensors").config
    assert config.qk_norm is False
    assert (config.dim, config.n_heads, config.n_kv_heads, config.cap_feat_dim) == (64, 4, 4, 48)


@pytest.mark.parametrize("name", PRESETS)
def test_config_from_shapes_finds_the_released_models(name):
    assert config_from_shapes(expected_shapes(PRESETS[name])) == PRESETS[name]


def test_released_models_have_the_published_parameter_counts():
    recorded = json.loads((GOLDEN / "official_2b_shapes.json").read_text())
    counts = {
        name: sum(torch.Size(shape).numel() for shape in expected_shapes(config).values())
        for name, config in PRESETS.items()
    }
    assert counts["PixWizard_2B_GQA_patch2"] == 2_011_441_976
    assert counts["PixWizard_2B_patch2"] == 2_563_766_072
    for name, config in PRESETS.items():
        shapes = {key: list(shape) for key, shape in expected_shapes(config).items()}
        assert shapes == recorded[name]["shapes"]


def test_save_keeps_numbers_and_configuration(tmp_path, weights):
    path = tmp_path / "small.safetensors"
    save(path, weights, SMALL, {"made_by": "a test"})
    state, config = load_state_dict(path)
    assert config == SMALL
    assert config.sample_tokens == 5
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["made_by"] == "a test"
        assert json.loads(file.metadata()[CONFIG_KEY])["dim"] == 32
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.safetensors"]


def test_save_that_fails_leaves_the_old_file(tmp_path, weights):
    path = tmp_path / "small.safetensors"
    path.write_bytes(b"old")
    del weights["pad_token"]
    with pytest.raises(CheckpointError, match="1 missing: pad_token"):
        save(path, weights, SMALL)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model."])
def test_prefix_of_a_host_is_stripped(tmp_path, weights, prefix):
    path = tmp_path / "host.safetensors"
    others = {"first_stage_model.decoder.conv_in.weight": torch.zeros(2)}
    save_file({prefix + name: tensor for name, tensor in weights.items()} | others, path)
    info = inspect(path)
    assert info.layout == "saved by ComfyUI"
    assert info.n_tensors == len(weights)
    assert "1 tensors of other models in the file are ignored" in info.notes
    state, config = load_state_dict(path)
    assert state.keys() == weights.keys()
    assert config.dim == 32


def test_dtype_is_converted_while_loading(tmp_path, weights):
    save(tmp_path / "w.safetensors", weights, SMALL)
    model = load_model(tmp_path / "w.safetensors", dtype=torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    state, _ = load_state_dict(tmp_path / "w.safetensors", torch.float16)
    assert {t.dtype for t in state.values()} == {torch.float16}


def test_fp8_is_kept_as_stored_but_computed_in_bfloat16(tmp_path, weights):
    name = "layers.0.attention.wq.weight"
    weights[name] = weights[name].to(torch.float8_e4m3fn)
    save_file(weights, tmp_path / "w.safetensors")
    state, _ = load_state_dict(tmp_path / "w.safetensors")
    assert state[name].dtype == torch.float8_e4m3fn
    model = load_model(tmp_path / "w.safetensors")
    assert model.layers[0].attention.wq.weight.dtype == torch.bfloat16
    assert torch.equal(model.layers[0].attention.wq.weight.float(), weights[name].float())


def test_fp8_scale_is_multiplied_in(tmp_path, weights):
    name = "layers.1.feed_forward.w1.weight"
    weights[name] = torch.full(weights[name].shape, 2.0).to(torch.float8_e4m3fn)
    extras = {
        "layers.1.feed_forward.w1.scale_weight": torch.tensor(0.25),
        "scaled_fp8": torch.zeros(2).to(torch.float8_e4m3fn),
    }
    save_file(weights | extras, tmp_path / "w.safetensors")
    state, _ = load_state_dict(tmp_path / "w.safetensors")
    assert torch.equal(state[name].float(), torch.full(state[name].shape, 0.5))
    assert "scaled_fp8" not in state


def test_all_wrong_weights_are_told_at_once(tmp_path, weights):
    del weights["layers.0.attention.wo.weight"], weights["layers.1.attention.wo.weight"]
    weights["layers.0.attention.wz.weight"] = torch.zeros(2)
    weights["final_layer.linear.bias"] = torch.zeros(3)
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "2 missing: layers.{0-1}.attention.wo.weight" in message
    assert "1 unexpected: layers.0.attention.wz.weight" in message
    assert "1 misshapen: final_layer.linear.bias is 3, wanted 32" in message


def test_fold_layers_joins_numbers_and_keeps_gaps():
    names = [f"layers.{n}.ffn_norm1.weight" for n in (0, 1, 2, 5)] + ["pad_token"]
    assert fold_layers(names) == ["layers.{0-2,5}.ffn_norm1.weight", "pad_token"]


def test_header_that_contradicts_the_weights_is_refused(tmp_path, weights):
    other = ModelConfig.from_dict({**SMALL.to_dict(), "ffn_dim": 80})
    save_file(weights, tmp_path / "w.safetensors", {CONFIG_KEY: json.dumps(other.to_dict())})
    with pytest.raises(CheckpointError, match=r"6 misshapen: layers\.\{0-1\}\.feed_forward"):
        load_model(tmp_path / "w.safetensors")


WRONG = {
    "Lumina-Next": ["layers.0.attention.wk_y.weight", "cap_embedder.1.weight", "x_embedder.weight"],
    "Lumina-Image-2.0": ["noise_refiner.0.w", "context_refiner.0.w", "cap_embedder.0.weight"],
    "SDXL": ["input_blocks.0.0.weight", "label_emb.0.0.weight"],
    "Stable Diffusion 1 or 2": ["model.diffusion_model.input_blocks.0.0.weight"],
    "Flux": ["double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"],
    "Stable Diffusion 3": ["joint_blocks.0.x_block.attn.qkv.weight"],
    "DiT": ["blocks.0.adaLN_modulation.1.weight", "y_embedder.embedding_table.weight"],
    "a VAE": ["encoder.conv_in.weight", "decoder.conv_in.weight"],
    "CLIP (vision part)": ["vision_model.encoder.layers.0.mlp.fc1.weight"],
    "CLIP (text part)": ["text_model.encoder.layers.0.mlp.fc1.weight"],
    "a language model such as Gemma": [
        "model.layers.0.self_attn.q_proj.weight",
        "model.embed_tokens.weight",
    ],
    "Gemma 2": [
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.pre_feedforward_layernorm.weight",
    ],
    "a T5 text encoder": ["encoder.block.0.layer.0.SelfAttention.q.weight"],
    "a LoRA": ["lora_unet_layers_0_attention_wq.lora_up.weight"],
    "an unknown model": ["some.weight"],
}


@pytest.mark.parametrize("model", WRONG, ids=list(WRONG))
def test_wrong_model_is_named(tmp_path, model):
    path = tmp_path / "renamed_to_pixwizard.safetensors"
    save_file({name: torch.zeros(2, 2) for name in WRONG[model]}, path)
    with pytest.raises(CheckpointError, match="not PixWizard") as caught:
        load_model(path)
    assert model in str(caught.value)
    assert "consolidated_ema.00-of-01.pth (8.05 GB)" in str(caught.value)


def test_missing_file_message_says_name_size_origin_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no gone\.pth") as caught:
        load_model(tmp_path / "gone.pth")
    for part in (str(tmp_path), "8.05 GB", "Afeng-x/PixWizard", "consolidated_ema.00-of-01.pth"):
        assert part in str(caught.value)


def test_folder_without_weights_says_what_it_holds(tmp_path):
    (tmp_path / "a.pth").touch()
    (tmp_path / "b.pth").touch()
    with pytest.raises(CheckpointError, match=r"weight files there: a\.pth, b\.pth"):
        load_model(tmp_path)


def test_model_split_over_devices_is_refused(tmp_path):
    (tmp_path / "consolidated_ema.00-of-02.pth").touch()
    with pytest.raises(CheckpointError, match="one of 2 parts"):
        load_model(tmp_path)


def test_arguments_file_is_not_taken_for_weights():
    with pytest.raises(CheckpointError, match="training arguments, not weights"):
        load_model(GOLDEN / "checkpoint" / "model_args.pth")


def test_cut_file_is_refused(tmp_path, weights):
    save(tmp_path / "w.safetensors", weights, SMALL)
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="damaged or cut short"):
        inspect(tmp_path / "w.safetensors")


def test_cut_pickle_is_refused(tmp_path):
    whole = (GOLDEN / "checkpoint" / "consolidated_ema.00-of-01.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged or not a PyTorch file"):
        inspect(tmp_path / "w.pth")


def test_text_file_is_refused(tmp_path):
    (tmp_path / "w.pth").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CheckpointError, match="is not a weight file"):
        inspect(tmp_path / "w.pth")


class Hostile:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def hostile_pickle(marker, weights) -> bytes:
    """A torch file with the weights and, among them, an object that runs code when unpickled."""
    good, bad = io.BytesIO(), io.BytesIO()
    torch.save(weights, good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            if entry.endswith("data.pkl"):
                data = pickle.dumps({"weights": 1, "payload": Hostile(marker)}, protocol=2)
            target.writestr(entry, data)
    return bad.getvalue()


def test_hostile_weights_are_refused_and_run_nothing(tmp_path, weights):
    marker, path = tmp_path / "ran", tmp_path / "w.pth"
    path.write_bytes(hostile_pickle(marker, weights))
    with pytest.raises(CheckpointError, match="wants to load other code") as caught:
        load_model(path)
    assert "Nothing was run" in str(caught.value)
    assert not marker.exists()


def test_hostile_plain_pickle_is_refused_and_runs_nothing(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "w.pth"
    path.write_bytes(pickle.dumps(Hostile(marker), protocol=2))
    with pytest.raises(CheckpointError):
        load_model(path)
    assert not marker.exists()


def test_hostile_arguments_file_is_refused_and_runs_nothing(tmp_path, weights):
    marker = tmp_path / "ran"
    torch.save(weights, tmp_path / "consolidated_ema.00-of-01.pth")
    (tmp_path / "model_args.pth").write_bytes(hostile_pickle(marker, weights))
    with pytest.raises(CheckpointError, match=r"model_args\.pth is refused"):
        load_model(tmp_path)
    assert not marker.exists()


def test_namespace_holding_another_class_is_refused(tmp_path, weights):
    torch.save(weights, tmp_path / "consolidated_ema.00-of-01.pth")
    fields = argparse.Namespace(model="x", inner=zipfile.ZipInfo("a"))
    torch.save(fields, tmp_path / "model_args.pth")
    with pytest.raises(CheckpointError, match=r"model_args\.pth is refused"):
        load_model(tmp_path)


def test_namespace_is_not_allowed_in_a_weight_file(tmp_path, weights):
    torch.save({"model": weights, "args": argparse.Namespace()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth is refused"):
        load_model(tmp_path / "w.pth")


@pytest.mark.parametrize("key", ["model", "ema", "state_dict"])
def test_training_checkpoint_is_unwrapped(tmp_path, weights, key):
    torch.save({key: weights, "step": 7}, tmp_path / "w.pt")
    state, _ = load_state_dict(tmp_path / "w.pt")
    assert state.keys() == weights.keys()


def test_pickle_in_the_old_layout_is_read(tmp_path, weights):
    torch.save(weights, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    state, _ = load_state_dict(tmp_path / "w.pth")
    assert torch.equal(state["pad_token"], weights["pad_token"])


def test_ema_is_preferred_in_a_folder(tmp_path, weights):
    torch.save(weights, tmp_path / "consolidated.00-of-01.pth")
    torch.save(weights, tmp_path / "consolidated_ema.00-of-01.pth")
    assert inspect(tmp_path).path.name == "consolidated_ema.00-of-01.pth"


@pytest.mark.parametrize("start", [b"\x80", b"PK"])
def test_header_length_that_looks_like_a_pickle_is_no_pickle(tmp_path, weights, start):
    """A safetensors file begins with the length of its header, which can be any number."""
    cycle = 1 << (8 * len(start))
    bare = int.from_bytes(safetensors.torch.save(weights, {"padding": ""})[:8], "little")
    missing = (int.from_bytes(start, "little") - bare) % cycle
    raw = safetensors.torch.save(weights, {"padding": "x" * missing})
    (tmp_path / "w.safetensors").write_bytes(raw)
    assert raw.startswith(start)
    assert inspect(tmp_path / "w.safetensors").n_tensors == len(weights)
