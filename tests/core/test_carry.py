"""A bundle's weights in one file: they come back as they were."""

import pytest
import torch
from safetensors.torch import save_file

from pixwizard_core.bundle import load_tiny
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.errors import CheckpointError
from pixwizard_core.training.carry import PARTS, main, pack, unpack
from pixwizard_core.weights.weightfile import open_weights


def test_packed_bundle_comes_back_the_same(tmp_path):
    main(["pack", str(BUNDLE), str(tmp_path / "all.safetensors")])
    assert (tmp_path / "all.safetensors").stat().st_size < 25_000_000
    main(["unpack", str(tmp_path / "all.safetensors"), str(tmp_path / "bundle")])
    for part in PARTS:
        before, after = (
            open_weights(folder / f"{part}.safetensors") for folder in (BUNDLE, tmp_path / "bundle")
        )
        assert after.metadata == before.metadata
        assert after.shapes == before.shapes
        for name in before.shapes:
            assert torch.equal(after.fetch(name), before.fetch(name)), name
    assert load_tiny(tmp_path / "bundle").taught == load_tiny().taught


def test_folder_without_a_part_is_not_packed(tmp_path):
    with pytest.raises(CheckpointError, match=r"there is no dit\.safetensors in "):
        pack(tmp_path, tmp_path / "all.safetensors")


def test_file_that_was_not_packed_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"other\.safetensors was not packed by this command"):
        unpack(tmp_path / "other.safetensors", tmp_path / "bundle")
