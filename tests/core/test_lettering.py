"""Words in pictures."""

from __future__ import annotations

import pytest
import torch
from PIL import ImageFont

from pixwizard_core.files import lettering
from pixwizard_core.files.lettering import lacking, letters, system_fonts, write_tags


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


def test_letters_that_no_font_has_are_left_out(monkeypatch):
    monkeypatch.setattr(lettering, "system_fonts", lambda: ())
    assert torch.equal(letters("红い球 0.63", 16), letters("0.63", 16))
    assert letters("红い球", 16).numel() == 0
    source = torch.rand(1, 3, 20, 30)
    assert torch.equal(write_tags(source, [[(0, 0, 5, 5)]], [["球"]], "red"), source)


@pytest.mark.parametrize("text", ["Жук", "红球", "赤い球"])
def test_letters_of_the_world_are_written_where_the_system_has_them(text):
    fonts = [ImageFont.truetype(path, 16) for path in system_fonts()]
    if any(all(lacking(letter, font) for font in fonts) for letter in text):
        pytest.skip(f"no font here has {text}")
    ink = letters(f"{text} 0.63", 16)
    assert ink.shape[1] > letters("0.63", 16).shape[1] + 16
    shapes = {letters(letter, 16).numpy().tobytes() for letter in text}
    assert len(shapes) == len(text)  # empty boxes would all look the same


def test_lines_of_one_script_are_written_in_one_font():
    """é alone is lacking in Pillow's letters; a line with it is not pieced together."""
    if not any(not lacking("café", ImageFont.truetype(path, 16)) for path in system_fonts()):
        pytest.skip("no font here has é")
    assert len(lettering._runs("café", 16)) == 1
