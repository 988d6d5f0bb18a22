"""Text encoders as one lighter file, with the tokenizer beside it."""

import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pixwizard_core.cli import main
from pixwizard_core.encoders.convert import convert_text_encoder, text_encoder_at
from pixwizard_core.encoders.load import load_text_encoder, load_vision_encoder, read_source
from pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE
from pixwizard_core.errors import CheckpointError, EncoderError, PixWizardWarning
from pixwizard_core.verify.doctor import what_is
from tests.support.paths import GOLDEN

SENTENCES = ["Find the red ball.", "Remove the noise"]
KINDS = {"gemma": TEXT_FILE, "clip_text": CLIP_FILE}


def relative_rms(found, wanted):
    return float((found - wanted).square().mean().sqrt() / wanted.square().mean().sqrt())


@pytest.fixture(params=["fp8_scaled", "int8"])
def made(request, tmp_path):
    folder = tmp_path / request.param
    folder.mkdir()
    for kind, name in KINDS.items():
        convert_text_encoder(kind, BUNDLE / name, folder / name, request.param)
    return folder


def test_converted_encoders_give_nearly_the_same_features(made):
    wanted = load_text_encoder(BUNDLE / TEXT_FILE, BUNDLE / CLIP_FILE).encode(SENTENCES)
    with pytest.warns(PixWizardWarning, match="were unpacked to bfloat16"):
        found = load_text_encoder(made / TEXT_FILE, made / CLIP_FILE).encode(SENTENCES)
    own = wanted.mask[..., None]
    limit = {"fp8_scaled": 0.08, "int8": 0.03}[made.name]
    for a, b in ((found.text * own, wanted.text * own), (found.pooled, wanted.pooled)):
        assert 1e-4 < relative_rms(a, b) < limit


def test_only_matrices_of_text_layers_are_in_8_bits(made):
    gemma = read_source("gemma", made / TEXT_FILE).weights
    assert len(gemma.packed) == 4 * 7
    assert gemma.dtypes["layers.0.mlp.up_proj.weight"] == torch.bfloat16  # what it is unpacked to
    assert "embed_tokens.weight" not in gemma.packed
    clip = read_source("clip_text", made / CLIP_FILE).weights
    assert len(clip.packed) == 2 * 6
    stored = load_file(made / CLIP_FILE)
    small = {torch.float8_e4m3fn, torch.int8}
    assert {name for name, tensor in stored.items() if tensor.dtype in small} == set(clip.packed)


def test_vision_half_stays_as_it_is(made):
    vision = load_vision_encoder(made / CLIP_FILE).model.state_dict()
    original = load_vision_encoder(BUNDLE / CLIP_FILE).model.state_dict()
    assert all(torch.equal(vision[n], original[n].bfloat16().float()) for n in original)


def test_tokenizer_is_copied_and_said(tmp_path):
    told = []
    target = tmp_path / "words.safetensors"
    convert_text_encoder("gemma", BUNDLE / TEXT_FILE, target, "int8", tell=told.append)
    assert told == ["copied tokenizer.json, which the loader looks for beside the weights"]
    assert (tmp_path / "tokenizer.json").read_bytes() == (BUNDLE / "tokenizer.json").read_bytes()
    told.clear()
    convert_text_encoder("gemma", target, tmp_path / "again.safetensors", "bf16", tell=told.append)
    assert told == []  # it is there already, and bfloat16 loses nothing more


def test_doctor_names_the_format(made):
    assert f", {made.name}, " in what_is(made / TEXT_FILE)


def test_kind_of_an_encoder_is_read_from_its_names():
    assert text_encoder_at(BUNDLE / TEXT_FILE) == "gemma"
    assert text_encoder_at(BUNDLE / CLIP_FILE) == "clip_text"
    assert text_encoder_at(BUNDLE / "dit.safetensors") is None
    assert text_encoder_at(GOLDEN / "checkpoint") is None


def test_command_converts_an_encoder(tmp_path, capsys):
    target = tmp_path / "words.safetensors"
    assert main(["convert", str(BUNDLE / TEXT_FILE), str(target), "--to", "int8"]) == 0
    assert f"{target}: gemma, " in capsys.readouterr().out
    assert read_source("gemma", target).own
    assert main(["convert", str(BUNDLE / TEXT_FILE), str(target), "--to", "fp8"]) == 2
    assert "can be written as bf16, fp8_scaled, int8. Got: fp8" in capsys.readouterr().err
    lora = ["--lora", "x.safetensors"]
    assert main(["convert", str(BUNDLE / TEXT_FILE), str(target), *lora]) == 2
    assert "--lora is for the transformer" in capsys.readouterr().err


def test_wrong_targets_are_refused(tmp_path):
    for target, message in (
        (tmp_path / "x.pth", r"must end in \.safetensors"),
        (tmp_path / "gone" / "x.safetensors", "there is no folder"),
    ):
        with pytest.raises(CheckpointError, match=message):
            convert_text_encoder("gemma", BUNDLE / TEXT_FILE, target, "int8")
    same = tmp_path / TEXT_FILE
    shutil.copy(BUNDLE / TEXT_FILE, same)
    with pytest.raises(CheckpointError, match="is the source itself"):
        convert_text_encoder("gemma", same, same, "int8")


def test_unknown_format_of_an_encoder_is_refused(made):
    tensors = load_file(made / TEXT_FILE)
    text = b'{"format": "nvfp4"}'
    tensors["layers.0.mlp.up_proj.comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
    with safe_open(made / TEXT_FILE, framework="pt") as file:
        metadata = file.metadata()
    save_file(tensors, made / "wrong.safetensors", metadata)
    with pytest.raises(EncoderError, match=r"mlp\.up_proj is stored as nvfp4, which is not read"):
        read_source("gemma", made / "wrong.safetensors")
