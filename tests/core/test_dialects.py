"""Boxes in every form users meet; edges and overlays."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pixwizard_core.decode.boxes import Box
from pixwizard_core.decode.dialects import (
    draw,
    read_pictures,
    to_bbox,
    to_bounding_boxes,
    to_florence,
    to_json,
    to_mask,
    to_points,
    to_segs,
)
from pixwizard_core.decode.edges import decode_edges, thin
from pixwizard_core.decode.overlay import overlay
from pixwizard_core.decode.read_boxes import read_boxes
from pixwizard_core.errors import DecodeError

BOXES = [Box((10, 20, 40, 60), 0.91234), Box((0, 0, 5, 8), 0.6)]


def test_bbox_is_a_list_of_xyxy_lists():
    assert to_bbox(BOXES) == [[10, 20, 40, 60], [0, 0, 5, 8]]
    assert to_bbox([]) == []


def test_bounding_boxes_are_dictionaries_with_width_and_height():
    assert to_bounding_boxes(BOXES, "ball")[0] == {
        "x": 10, "y": 20, "width": 30, "height": 40, "label": "ball", "score": 0.9123
    }  # fmt: skip


def test_florence_has_one_entry_a_picture_even_when_nothing_was_found():
    data = to_florence([BOXES, []], "ball", 100, 80)
    assert json.loads(to_json(data)) == [
        {
            "schema_version": 1,
            "width": 100,
            "height": 80,
            "bboxes": [[10, 20, 40, 60], [0, 0, 5, 8]],
            "labels": ["ball", "ball"],
            "scores": [0.9123, 0.6],
        },
        {"schema_version": 1, "width": 100, "height": 80, "bboxes": [], "labels": [], "scores": []},
    ]


def test_segs_are_what_impact_reads():
    size, segs = to_segs(BOXES, "ball", 100, 80)
    assert size == (80, 100)
    seg = segs[0]
    assert seg._fields == (
        "cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label",
        "control_net_wrapper",
    )  # fmt: skip
    assert seg.crop_region == [0, 0, 70, 80]  # three times the box, kept inside the picture
    assert seg.bbox == [10, 20, 40, 60]
    assert seg.cropped_mask.dtype == np.float32
    assert seg.cropped_mask.shape == (80, 70)
    assert seg.cropped_mask.sum() == 30 * 40
    assert seg.cropped_mask[20:60, 10:40].all()
    assert (seg.cropped_image, seg.label, seg.control_net_wrapper) == (None, "ball", None)
    assert seg.confidence == 0.91234
    assert to_segs([], "ball", 100, 80) == ((80, 100), [])


def test_segs_without_context_are_cut_at_the_box():
    seg = to_segs(BOXES, "", 100, 80, context=1.0)[1][0]
    assert seg.crop_region == seg.bbox
    assert seg.cropped_mask.all()


def test_mask_covers_the_boxes():
    mask = to_mask(BOXES, 100, 80)
    assert mask.shape == (80, 100)
    assert int(mask.sum()) == 30 * 40 + 5 * 8
    assert not to_mask([], 100, 80).any()


def test_drawn_outline_lies_just_inside_its_box():
    source = torch.full((1, 3, 80, 100), 0.5)
    drawn = draw(source, [BOXES[:1]], "red")
    changed = (drawn != source).any(1)[0]
    rows, columns = changed.nonzero().unbind(1)
    assert (int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())) == (
        10, 20, 39, 59,
    )  # fmt: skip
    assert drawn[0, :, 20, 10].tolist() == [1, 0, 0]
    assert not changed[22:58, 12:38].any()
    assert torch.equal(source, torch.full((1, 3, 80, 100), 0.5))


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0, 0, 2, 3), (97, 77, 100, 80)])
def test_tiny_boxes_are_drawn_inside_themselves(box):
    source = torch.full((1, 3, 80, 100), 0.5)
    changed = (draw(source, [[Box(box, 1.0)]], "red") != source).any(1)[0]
    assert changed.any()
    assert not (changed & ~to_mask([Box(box, 1.0)], 100, 80)).any()


@pytest.mark.parametrize(
    "form",
    [
        to_bbox(BOXES),
        [tuple(box.xyxy_px) for box in BOXES],
        [to_bbox(BOXES)],
        to_bounding_boxes(BOXES, "ball"),
        [to_bounding_boxes(BOXES, "ball")],
        to_florence([BOXES], "ball", 100, 80),
        to_json(to_florence([BOXES], "ball", 100, 80)),
        torch.tensor(to_bbox(BOXES)),
    ],
    ids=["lists", "tuples", "nested", "dicts", "nested-dicts", "florence", "json", "tensor"],
)
def test_boxes_are_read_from_any_form(form):
    (boxes,) = read_pictures(form)
    assert boxes.tolist() == [[10, 20, 40, 60], [0, 0, 5, 8]]


@pytest.mark.parametrize("empty", ["", "[]", [], [[]], to_florence([[]], "x", 9, 9)])
def test_no_boxes_are_read_as_none(empty):
    assert [boxes.shape for boxes in read_pictures(empty)] == [(0, 4)]


@pytest.mark.parametrize("wrong", ["{", "nine", 5, [1, 2, 3], {"x": 1}, [["a", "b", "c", "d"]]])
def test_what_is_no_box_is_refused(wrong):
    with pytest.raises(DecodeError, match="boxes"):
        read_pictures(wrong)


def nested(depth: int) -> list:
    made: list = [[1, 2, 3, 4]]
    for _ in range(depth):
        made = [made]
    return made


ITSELF: list = []
ITSELF.append(ITSELF)
HUGE = 10**400  # JSON has it, floats do not


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("[" * 100_000, "the boxes are not valid JSON: .*recursion"),
        ("9" * 5000, "the boxes are not valid JSON: .*4300 digits"),
        (nested(100_000), "nested more than 8 lists deep"),
        (ITSELF, "nested more than 8 lists deep"),
        ([{"bboxes": ITSELF}], "nested more than 8 lists deep"),
        ([HUGE, 1, 2, 3], "not made of four numbers"),
        ({"x": HUGE, "y": 1, "width": 1, "height": 1}, "not made of four numbers"),
        ({"x": None, "y": 1, "width": 1, "height": 1}, "not made of four numbers"),
        ({"x": "a", "y": "b", "width": "c", "height": "d"}, "not made of four numbers"),
        ([1e300, 1, 2, 3], "not finite"),
        ([float("nan"), 1, 2, 3], "not finite"),
    ],
    ids=range(11),
)
def test_boxes_of_no_numbers_are_refused(wrong, message):
    with pytest.raises(DecodeError, match=message):
        read_pictures(wrong)


def test_edges_of_dark_lines_are_found_on_light_paper():
    light = torch.ones(1, 3, 5, 9)
    light[:, :, 2] = 0.2
    assert decode_edges(light, dark=True)[0].sum(1).tolist() == [0, 0, 9, 0, 0]
    assert decode_edges(1 - light)[0].sum(1).tolist() == [0, 0, 9, 0, 0]
    assert not decode_edges(1 - light, 0.9).any()
    with pytest.raises(DecodeError, match="0 to 1"):
        decode_edges(light, 1.5)


def test_thinned_lines_are_thin_and_hang_together_as_before():
    measure = pytest.importorskip("skimage.measure")
    yy, xx = torch.meshgrid(torch.arange(70), torch.arange(90), indexing="ij")
    ring = ((yy - 35) ** 2 + (xx - 45) ** 2).sqrt()
    mask = ((ring > 18) & (ring < 25)) | ((yy > 30) & (yy < 38) & (xx > 5) & (xx < 85))
    found = thin(mask[None])[0]
    assert not (found & ~mask).any()
    blocks = found[1:, 1:] & found[:-1, 1:] & found[1:, :-1] & found[:-1, :-1]
    assert not blocks.any()
    assert measure.euler_number(found.numpy(), 2) == measure.euler_number(mask.numpy(), 2) == -1
    assert bool((ring[found][(xx[found] - 45).abs() < 10] < 24).all())
    assert found[35, 12:78].sum() + found[34, 12:78].sum() >= 60  # the bar keeps its length


def test_thinning_stops_where_it_was_told_to():
    mask = torch.zeros(1, 60, 60, dtype=torch.bool)
    mask[:, 10:50, 10:50] = True
    assert int(thin(mask, rounds=3).sum()) > 30 * 30
    assert torch.equal(thin(torch.zeros_like(mask)), torch.zeros_like(mask))


def test_overlay_lays_half_the_colour_on():
    shown = overlay(torch.zeros(1, 3, 1, 2), torch.tensor([[[True, False]]]), "red")
    assert shown[0, :, 0].T.tolist() == [[0.5, 0, 0], [0, 0, 0]]


def test_bbox_can_hold_a_corner_and_a_size():
    assert to_bbox(BOXES, "xywh") == [[10, 20, 30, 40], [0, 0, 5, 8]]


def test_points_are_the_middles_of_boxes():
    assert to_points(BOXES) == [{"x": 25, "y": 40}, {"x": 2, "y": 4}]


@pytest.mark.parametrize(
    ("form", "size", "wanted"),
    [
        ("xyxy", None, [10, 20, 30, 40]),
        ("xywh", None, [10, 20, 40, 60]),
        ("auto", (35, 90), [10, 20, 30, 40]),  # as a size it would leave the picture
    ],
)
def test_four_numbers_are_read_by_the_form_that_is_named(form, size, wanted):
    (boxes,) = read_pictures([[10, 20, 30, 40]], form, size)
    assert boxes.tolist() == [wanted]


def test_auto_takes_the_only_form_that_all_boxes_can_have():
    (boxes,) = read_pictures([[0, 0, 9, 9], [50, 60, 20, 10]], "auto")
    assert boxes.tolist() == [[0, 0, 9, 9], [50, 60, 70, 70]]
    assert read_pictures([[0, 0, 9, 9]], "auto")[0].tolist() == [[0, 0, 9, 9]]  # the same in both
    dicts = to_bounding_boxes(BOXES, "ball")
    assert read_pictures(dicts, "auto")[0].tolist() == to_bbox(BOXES)  # says it itself


@pytest.mark.parametrize(
    ("boxes", "form", "size", "message"),
    [
        ([[50, 60, 20, 10]], "xyxy", None, "cannot be x1, y1, x2, y2.*choose the format xywh"),
        ([[50, 60, 70, 10]], "xyxy", None, "choose the format xywh"),
        ([[50, 60, -5, 10]], "xywh", None, "cannot be x, y, width, height.*choose the format xyxy"),
        ([{"x": 1, "y": 1, "width": -1, "height": 1}], "xyxy", None, "would end before it begins"),
        ([[10, 20, 30, 40]], "auto", None, "could be x1, y1, x2, y2 as well as x, y, width"),
        ([[10, 20, 30, 40]], "auto", (20, 20), "neither all x1, y1, x2, y2 nor all x, y, width"),
        ([[50, 60, -5, 10]], "auto", None, "neither all"),
    ],
)
def test_boxes_that_the_form_cannot_be_are_refused(boxes, form, size, message):
    with pytest.raises(DecodeError, match=message):
        read_pictures(boxes, form, size)


def test_scores_and_names_are_read_where_they_are_given():
    (boxes,) = read_boxes(to_florence([BOXES], "ball", 100, 80))
    assert boxes[0] == ((10, 20, 40, 60), 0.9123, "ball")
    assert read_boxes([[1, 2, 3, 4]])[0][0] == ((1, 2, 3, 4), 1.0, "")
    with pytest.raises(DecodeError, match="a score of the boxes is no number"):
        read_boxes([{"x": 1, "y": 1, "width": 1, "height": 1, "score": "high"}])
