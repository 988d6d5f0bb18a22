"""The node that picks the best of several answers."""

from __future__ import annotations

import json

import pytest
import torch

from tests.nodes.test_data_nodes import called


@pytest.fixture
def asked(extension):
    return extension("nodes.shared.question").question


def masks(*lefts: int) -> torch.Tensor:
    """A host IMAGE with a white block for each: 12 px wide, from this column on."""
    images = torch.zeros(len(lefts), 32, 48, 3)
    for image, left in zip(images, lefts, strict=True):
        image[8:20, left : left + 12] = 1
    return images


GREY = torch.full((1, 32, 48, 3), 0.5)


def test_the_mask_that_agrees_with_most_is_picked(nodes, asked):
    about, images = asked("mask", {"target": "it"}), masks(30, 4, 5)
    result = called(nodes["PickBest"], images=images, about=about, source=GREY)
    best, index, confidence, scores = result.args
    assert index == 1
    assert torch.equal(best, images[1:2])
    told = json.loads(scores)
    assert told["scores"] == [0.0, round(11 / 26, 4), round(11 / 26, 4)]
    assert confidence == pytest.approx(11 / 26)
    assert told["scored_by"].startswith("overlap with the other answers")
    assert [note["say"] for note in result.ui["pixwizard_notes"]] == ["best"]


def test_masks_found_in_another_way_count_too(nodes, asked):
    about = asked("mask", {"target": "it"})
    other = masks(30)[..., 0]
    result = called(nodes["PickBest"], images=masks(4, 30), about=about, source=GREY, others=other)
    assert result.args[1] == 1


def test_confidence_is_zero_where_nothing_was_found(nodes, asked):
    about = asked("mask", {"target": "it"})
    result = called(nodes["PickBest"], images=torch.zeros(3, 32, 48, 3), about=about, source=GREY)
    assert result.args[2] == 0


def test_edit_that_changes_least_elsewhere_is_picked(nodes, asked):
    place = masks(4)[..., 0]
    everywhere, there = torch.full((1, 32, 48, 3), 0.9), torch.where(place[..., None] > 0, 0.9, 0.5)
    result = called(
        nodes["PickBest"], images=torch.cat([everywhere, there.expand(1, -1, -1, 3)]),
        about=asked("remove", {"target": "it"}), source=GREY, others=place,
    )  # fmt: skip
    assert result.args[1:3] == (1, 1.0)


def test_picture_whose_map_is_found_again_is_picked(nodes, asked):
    depth = torch.linspace(0, 1, 48).view(1, 1, 48, 1).expand(1, 32, -1, 3)
    result = called(
        nodes["PickBest"], images=torch.rand(2, 32, 48, 3),
        about=asked("from_depth", {"caption": "x"}), source=depth,
        maps=torch.cat([1 - depth, depth]),
    )  # fmt: skip
    assert result.args[1:3] == (1, 1.0)


def test_what_cannot_be_rated_is_refused(nodes, extension, asked):
    errors = extension("pixwizard_core.errors")
    with pytest.raises(errors.InstructionError, match=r"'style' .* cannot be rated"):
        called(
            nodes["PickBest"], images=masks(1), about=asked("style", {"caption": "x"}), source=GREY
        )
    for task in ("depth", "denoise"):
        with pytest.raises(errors.InstructionError, match=rf"'{task}' .* needs one answer only"):
            called(nodes["PickBest"], images=masks(1, 2), about=asked(task, {}), source=GREY)
    with pytest.raises(errors.DecodeError, match="0 maps for 2 answers"):
        called(
            nodes["PickBest"], images=masks(1, 2), about=asked("from_depth", {"caption": "x"}),
            source=GREY,
        )  # fmt: skip
