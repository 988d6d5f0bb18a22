"""How well masks follow an outline, by hand."""

import math

import pytest
import torch

from pixwizard_core.metrics.boundaries import boundary_f1, near_outlines, outline


def square(left: int, right: int, side: int = 12) -> torch.Tensor:
    mask = torch.zeros(1, side, side, dtype=torch.bool)
    mask[:, 3:9, left:right] = True
    return mask


def test_outline_is_the_ring_inside_a_square():
    found = outline(square(2, 8))
    assert int(found.sum()) == 20  # 6 x 6 without its inner 4 x 4
    assert not bool(found[0, 4:8, 3:7].any())


def test_border_of_the_picture_is_no_outline():
    assert not bool(outline(torch.ones(1, 5, 5, dtype=torch.bool)).any())


def test_boundary_f1_by_hand():
    assert boundary_f1(square(2, 8), square(2, 8), 0) == 1
    assert boundary_f1(square(3, 9), square(2, 8), 1) == 1
    # Moved by one column, the upper and lower rows share five of six pixels each.
    assert boundary_f1(square(3, 9), square(2, 8), 0) == pytest.approx(10 / 20)


def test_boundary_f1_without_an_outline():
    nothing = torch.zeros(1, 12, 12, dtype=torch.bool)
    assert boundary_f1(nothing, nothing) == 1
    assert boundary_f1(nothing, square(2, 8)) == 0
    both = torch.cat([nothing, nothing]), torch.cat([nothing, square(2, 8)])
    assert boundary_f1(*both) == 0.5
    assert math.isnan(boundary_f1(nothing[:0], nothing[:0]))


def test_near_outlines_is_a_band_on_both_sides():
    classes = torch.tensor([[0, 0, 0, 0, 7, 7, 7, 7]])[None]
    assert near_outlines(classes, 0).tolist() == [[[False] * 3 + [True] * 2 + [False] * 3]]
    assert near_outlines(classes, 1).tolist() == [[[False] * 2 + [True] * 4 + [False] * 2]]
