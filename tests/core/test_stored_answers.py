"""What a bundle's files say that its encoders and autoencoder compute."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pixwizard_core.encoders import reference
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.errors import EncoderError


@pytest.fixture
def bundle(tmp_path):
    for name in (*reference.FILES, "tokenizer.json"):
        shutil.copy(BUNDLE / name, tmp_path / name)
    return tmp_path


def apart(one, two):
    return {name: reference.relative_rms(one[name], two[name]) for name in two}


def test_the_bundled_files_carry_what_the_core_computes():
    stored = reference.stored_answers(BUNDLE)
    assert {name: len(values) for name, values in stored.items()} == {
        "gemma": 64,
        "clip_text": 64,
        "clip_vision": 64,
        "latent": 64,
        "decoded": 64,
    }
    assert all(gap < 1e-5 for gap in apart(reference.computed_answers(BUNDLE), stored).values())


def test_writing_answers_leaves_tensors_and_settings_as_they_are(bundle):
    before = {name: load_file(bundle / name) for name in reference.FILES}
    headers = {name: reference.open_weights(bundle / name).metadata for name in before}
    reference.write_answers(bundle)
    for name, tensors in before.items():
        after = load_file(bundle / name)
        assert after.keys() == tensors.keys()
        assert all(torch.equal(after[key], tensors[key]) for key in after)
        assert all(after[key].dtype == tensors[key].dtype for key in after)
        assert reference.open_weights(bundle / name).metadata.keys() == headers[name].keys()


def test_answers_follow_the_weights(bundle):
    """An exporter that forgot to write them anew would be found by this difference."""
    name = "text.safetensors"
    file = reference.open_weights(bundle / name)
    tensors = {key: file.fetch(key).clone() for key in file.shapes}
    tensors["layers.0.mlp.up_proj.weight"] *= 1.5
    save_file(tensors, bundle / name, file.metadata)
    gaps = apart(reference.computed_answers(bundle), reference.stored_answers(bundle))
    assert gaps["gemma"] > 1e-3
    assert gaps["clip_vision"] < 1e-5
    reference.write_answers(bundle)
    gaps = apart(reference.computed_answers(bundle), reference.stored_answers(bundle))
    assert all(gap < 1e-5 for gap in gaps.values())


def test_a_file_without_answers_is_refused(bundle):
    tensors = load_file(bundle / "vae.safetensors")
    save_file(tensors, bundle / "vae.safetensors")
    with pytest.raises(EncoderError, match=r"vae\.safetensors has no stored answers"):
        reference.stored_answers(bundle)


def test_relative_rms_by_hand():
    wanted = torch.tensor([3.0, 4.0])
    assert reference.relative_rms(torch.tensor([3.0, 9.0]), wanted) == pytest.approx(1.0)
    assert reference.relative_rms(wanted, wanted) == 0.0
    assert reference.relative_rms(torch.tensor([float("nan"), 0.0]), wanted) == float("inf")


def test_few_takes_both_ends_and_even_places():
    assert reference.few(torch.arange(127)).tolist() == list(range(0, 127, 2))
    assert reference.few(torch.tensor([[1.0], [2.0]])).tolist() == [1.0, 2.0]
