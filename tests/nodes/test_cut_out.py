"""The node that takes a picture apart."""

from __future__ import annotations

import pytest
import torch

from tests.nodes.test_data_nodes import called, image


def masks() -> torch.Tensor:
    """Two things: one with soft sides, one that is nowhere."""
    soft = torch.zeros(2, 40, 60)
    soft[0, 10:30, 20:40] = 1
    soft[0, 10:30, 19] = soft[0, 10:30, 40] = 0.5
    return soft


def test_layers_stack_to_the_picture(nodes):
    source, behind = image(60, 40), image(60, 40, seed=2)
    result = called(nodes["CutOut"], source=source, masks=masks(), background=behind)
    layers, alphas, background, stacked = result.args
    assert layers.shape == (2, 40, 60, 4)
    assert torch.equal(layers[..., 3], alphas)
    rim = (alphas > 0) & (alphas < 1)
    assert 0 < int(rim.sum()) <= 40
    outside = ~rim.any(0)
    assert torch.equal(stacked[0][outside], source[0][outside])
    there = alphas[0] > 0
    assert torch.equal(background[0][there], behind[0][there])
    assert torch.equal(background[0][~there], source[0][~there])
    assert [note["say"] for note in result.ui["pixwizard_notes"]] == ["nothing_in"]


def test_background_is_black_without_one(nodes):
    result = called(nodes["CutOut"], source=image(60, 40) + 0.1, masks=masks()[:1])
    assert float(result.args[2][0][result.args[1][0] > 0].max()) == 0


def test_what_cannot_be_cut_is_refused(nodes, extension):
    errors = extension("pixwizard_core.errors")
    with pytest.raises(
        errors.CanvasError, match="source holds 2 pictures; cut them out one by one"
    ):
        called(nodes["CutOut"], source=image(60, 40, 2), masks=masks())
    with pytest.raises(errors.DecodeError, match="the picture is 30 x 40 px"):
        called(nodes["CutOut"], source=image(30, 40), masks=masks())
    with pytest.raises(errors.CanvasError, match="65 masks are too many; give at most 64"):
        called(nodes["CutOut"], source=image(6, 4), masks=torch.zeros(65, 4, 6))
