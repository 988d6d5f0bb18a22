"""Words in pictures."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.lettering import letters, write_tags


def test_letters_have_ink_and_a_margin():
    ink = letters("ball", 16)
    assert 0 <= float(ink.min()) < float(ink.max()) <= 1
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert not edge.any()
    assert letters("ball", 32).shape[0] > ink.shape[0]


def test_tag_lies_above_its_box_in_the_colour_asked_for():
    source = torch.zeros(1, 3, 120, 200)
    shown = write_tags(source, [[(40, 60, 100, 110)]], [["ball"]], "yellow")
    changed = (shown != source).any(1)[0]
    rows, columns = changed.nonzero().unbind(1)
    assert int(rows.max()) == 59
    assert int(columns.min()) == 40
    part = shown[0][:, rows.min() : 60, 40 : columns.max() + 1]
    assert part[:, 0, 0].tolist() == [1, 1, 0]
    assert float(part.sum(0).min()) < 0.5  # dark letters on a light tag


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 401)])
def test_tags_stay_inside_any_picture(size):
    height, width = size
    source = torch.full((1, 3, height, width), 0.5)
    corner = (width - 1, height - 1, width, height)
    shown = write_tags(source, [[(0, 0, 1, 1), corner]], [["a long name", "b"]], "#102030")
    assert shown.shape == source.shape
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    assert torch.equal(source, torch.full_like(source, 0.5))


def test_no_words_leave_the_picture_as_it_is():
    source = torch.rand(2, 3, 20, 30)
    boxes = [[(0, 0, 5, 5)], []]
    assert torch.equal(write_tags(source, boxes, [[""], []], "red"), source)
