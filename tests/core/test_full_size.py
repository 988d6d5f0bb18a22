"""What stands for the released model's files: published layouts, tried at small sizes."""

import json

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.encoders import load as encoders
from pixwizard_core.encoders import vae as vaes
from pixwizard_core.encoders.load import load_text_encoder, load_vision_encoder, read_source
from pixwizard_core.files.picture_files import open_picture, save_picture
from pixwizard_core.weights.examine import inspect
from pixwizard_core.weights.weightfile import open_weights
from tests.support import full_size

SMALL = full_size.SMALL


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for write in full_size.PARTS.values():
        write(folder, SMALL)
    return folder


@pytest.fixture
def small_is_official(monkeypatch):
    """Files without settings in their header are taken for models of the small sizes."""
    kinds = {"gemma": SMALL.gemma, "clip_text": SMALL.clip_text, "clip_vision": SMALL.clip_vision}
    monkeypatch.setattr(encoders, "OFFICIAL", kinds)
    monkeypatch.setattr(encoders, "mismatch", lambda kind, shapes: None)
    sizes = {**vaes.SDXL_VAE, "block_out_channels": SMALL.vae}
    monkeypatch.setattr(vaes, "SDXL_VAE", sizes)


def test_transformer_is_the_released_folder(models):
    info = inspect(models / full_size.MODEL)
    assert (info.layout, info.dtype, info.config) == ("released folder", "float32", SMALL.model)
    assert (
        info.notes[0] == "model_args.pth: model PixWizard_2B_GQA_patch2, image_size 768, vae sdxl"
    )


def test_gemma_is_in_two_shards_with_an_index(models):
    folder = models / full_size.GEMMA
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    assert index["model.embed_tokens.weight"] == first
    assert index["model.layers.2.self_attn.q_proj.weight"] == first
    assert index["model.layers.2.mlp.down_proj.weight"] == index["model.norm.weight"] == second
    for name in (first, second):
        file = open_weights(folder / name)
        assert set(file.shapes) == {weight for weight, place in index.items() if place == name}
        assert set(file.dtypes.values()) == {torch.bfloat16}


def test_clip_is_one_pickle_with_buffers(models):
    file = open_weights(models / full_size.CLIP / "pytorch_model.bin")
    assert file.container == "pickle"
    assert file.shapes["vision_model.embeddings.position_ids"] == (1, 577)
    assert file.shapes["logit_scale"] == ()
    assert file.shapes["visual_projection.weight"] == (24, 32)


def test_vae_has_as_many_numbers_as_the_published_one():
    shapes = full_size.vae_shapes((128, 256, 512, 512))
    assert len(shapes) == 248
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 83_653_863


def test_weights_differ_by_name_and_matrices_share_one_block():
    one, other = (full_size.drawn(f"layers.{n}.w1.weight", (64, 32)) for n in (0, 1))
    assert not torch.equal(one, other)
    assert one.std() == pytest.approx(0.02, rel=0.1)
    assert full_size.drawn("norm.weight", (1000,)).mean() == pytest.approx(1, abs=0.01)
    assert full_size.drawn("attention.gate", (1000,)).std() == pytest.approx(0.5, rel=0.1)


def test_tensor_larger_than_the_block_is_filled(monkeypatch):
    monkeypatch.setattr(full_size, "BLOCK", 100)
    full_size.block.cache_clear()
    made = full_size.drawn("embed_tokens.weight", (25, 10), norms=False)
    full_size.block.cache_clear()
    assert made.shape == (25, 10)
    assert torch.equal(made.flatten()[:100], made.flatten()[100:200])


@pytest.mark.usefixtures("small_is_official")
def test_encoders_load_by_their_published_files(models):
    gemma, clip = models / full_size.GEMMA, models / full_size.CLIP
    text = load_text_encoder(gemma, clip)
    assert text.tokenizers.gemma.size == 1100
    assert text.tokenizers.clip.eos == 1099 == SMALL.clip_text["eos_token_id"]
    features = text.encode(["Depth of the room.", ""])
    assert features.text.shape[::2] == (2, 32)
    assert features.pooled.shape == (2, 24)
    assert not torch.equal(features.pooled[0], features.pooled[1])
    assert load_vision_encoder(clip).encode(torch.zeros(1, 3, 32, 32)).shape == (1, 576, 32)
    assert not read_source("gemma", gemma).own


@pytest.mark.usefixtures("small_is_official")
def test_command_line_paints_with_converted_parts_and_a_lora(models, tmp_path):
    pytest.importorskip("diffusers")
    save_picture(tmp_path / "a.png", torch.rand(1, 3, 40, 50))
    model, painted = str(models / full_size.MODEL), {}
    for dtype in ("bf16", "fp8"):
        made = tmp_path / f"{dtype}.safetensors"
        assert main(["convert", model, str(made), "--dtype", dtype]) == 0
    for name, weights, *more in (
        ("released", model),
        ("bf16", tmp_path / "bf16.safetensors"),
        ("fp8", tmp_path / "fp8.safetensors"),
        ("lora", model, "--lora", models / full_size.LORA),
    ):
        places = {
            "--model": weights, "--gemma": models / full_size.GEMMA,
            "--clip": models / full_size.CLIP, "--vae": models / full_size.VAE,
            "--instruction": "Depth.", "--centre": 64, "--steps": 2, "--out": tmp_path / name,
        }  # fmt: skip
        options = [str(word) for pair in places.items() for word in pair] + list(map(str, more))
        assert main(["run", str(tmp_path / "a.png"), *options]) == 0
        (picture,) = (tmp_path / name).glob("*.png")
        painted[name] = open_picture(picture)
        assert painted[name].shape == (1, 3, 40, 50)
        assert painted[name].std() > 0.01
    assert torch.equal(painted["released"], painted["bf16"])
    assert not torch.equal(painted["lora"], painted["bf16"])
    assert not torch.equal(painted["fp8"], painted["bf16"])
