"""One box out of many."""

from __future__ import annotations

import json

import pytest
import torch

from tests.nodes.test_data_nodes import call

BOXES = [
    [
        {"x": 40, "y": 10, "width": 20, "height": 20, "label": "ball", "score": 0.5},
        {"x": 10, "y": 30, "width": 50, "height": 40, "label": "Red box", "score": 0.9},
        {"x": 80, "y": 50, "width": 10, "height": 10, "label": "ball", "score": 0.7},
    ]
]
OUTPUTS = ("bounding_box", "bboxes", "points", "mask", "segs", "text", "x", "y", "width", "height",
           "count")  # fmt: skip


@pytest.fixture
def pick(nodes):
    def run(**inputs):
        return dict(zip(OUTPUTS, call(nodes["PickBox"], **inputs), strict=True))

    return run


@pytest.fixture(scope="module")
def error(extension):
    return extension("pixwizard_core.errors").DecodeError


@pytest.mark.parametrize(
    ("by", "left"),
    [
        ({"pick": "index"}, 40),
        ({"pick": "index", "index": 2}, 80),
        ({"pick": "largest"}, 10),
        ({"pick": "smallest"}, 80),
        ({"pick": "leftmost"}, 10),
        ({"pick": "rightmost"}, 80),
        ({"pick": "topmost"}, 40),
        ({"pick": "bottommost"}, 10),
        ({"pick": "best score"}, 10),
        ({"pick": "index", "label": "red BOX"}, 10),
        ({"pick": "rightmost", "label": "b*"}, 80),
        ({"pick": "index", "index": 1, "label": "ball"}, 80),
    ],
)
def test_box_is_picked(pick, by, left):
    found = pick(boxes=BOXES, **by)
    assert found["bounding_box"]["x"] == found["x"] == left
    assert found["count"] == 1


def test_picked_box_comes_out_in_every_form(pick):
    found = pick(boxes=BOXES, pick="largest", image=torch.zeros(1, 96, 128, 3))
    box = {"x": 10, "y": 30, "width": 50, "height": 40, "label": "Red box", "score": 0.9}
    assert found["bounding_box"] == box
    assert json.loads(found["text"]) == [box]
    assert found["bboxes"] == [[10, 30, 60, 70]]
    assert json.loads(found["points"]) == [{"x": 35, "y": 50}]
    assert found["mask"].shape == (1, 96, 128)
    assert int(found["mask"].sum()) == 50 * 40
    assert found["mask"][0, 30:70, 10:60].all()
    size, (seg,) = found["segs"]
    assert (size, seg.bbox, seg.label) == ((96, 128), [10, 30, 60, 70], "Red box")
    assert [found[side] for side in ("x", "y", "width", "height")] == [10, 30, 50, 40]
    assert pick(boxes=BOXES, pick="largest", format="xywh")["bboxes"] == [[10, 30, 50, 40]]


def test_all_boxes_give_the_box_around_them(pick):
    found = pick(boxes=BOXES, pick="all")
    whole = {"x": 10, "y": 10, "width": 80, "height": 60, "label": "", "score": 0.7}
    assert found["bounding_box"] == whole
    assert (len(found["bboxes"]), found["count"], len(found["segs"][1])) == (3, 3, 3)
    assert [seg.label for seg in found["segs"][1]] == ["ball", "Red box", "ball"]
    assert json.loads(found["points"])[0] == {"x": 50, "y": 20}
    assert found["mask"].shape == (1, 70, 90)  # no picture: it ends where the boxes end


@pytest.mark.parametrize(
    "form",
    [
        [[10, 30, 60, 70]],
        [[[10, 30, 60, 70]]],
        BOXES[0][1],
        json.dumps(BOXES[0][1]),
        [{"bboxes": [[10, 30, 60, 70]], "labels": ["Red box"]}],
    ],
    ids=["bbox", "florence2", "dict", "text", "florence"],
)
def test_every_form_of_boxes_is_taken(pick, form):
    assert pick(boxes=form)["bboxes"] == [[10, 30, 60, 70]]


def test_corner_and_size_are_read_by_their_format(pick):
    given = [[10, 30, 50, 40]]
    assert pick(boxes=given, boxes_format="xywh")["bboxes"] == [[10, 30, 60, 70]]
    far = [[90, 60, 30, 30]]
    assert pick(boxes=far, boxes_format="auto")["bboxes"] == [[90, 60, 120, 90]]


def test_objects_of_a_mask_become_boxes_and_segs_of_their_shape(pick):
    mask = torch.zeros(1, 96, 128)
    mask[0, 10:20, 5:9] = 1
    mask[0, 40:80, 60:100] = torch.eye(40).flip(0).cumsum(0)  # a triangle
    found = pick(mask=mask, pick="all")
    assert found["bboxes"] == [[60, 40, 100, 80], [5, 10, 9, 20]]
    assert torch.equal(found["mask"], mask)
    size, segs = found["segs"]
    assert size == (96, 128)
    for seg in segs:
        left, top, right, bottom = seg.crop_region
        x1, y1, x2, y2 = seg.bbox
        inside = torch.from_numpy(seg.cropped_mask)[y1 - top : y2 - top, x1 - left : x2 - left]
        assert torch.equal(inside, mask[0, y1:y2, x1:x2])
        assert seg.cropped_mask.shape == (bottom - top, right - left)
        assert seg.cropped_mask.sum() == inside.sum()
    assert pick(mask=mask, pick="leftmost")["x"] == 5


def test_picture_of_a_batch_is_chosen(pick, error):
    both = [BOXES[0], [BOXES[0][1]]]
    assert pick(boxes=both, picture=1)["x"] == 10
    assert pick(boxes=[BOXES[0]], picture=5)["x"] == 40  # one picture's boxes serve all
    with pytest.raises(error, match="boxes of 2 pictures, numbered from 0; there is no picture 2"):
        pick(boxes=both, picture=2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"boxes": [[]]}, "no box to pick"),
        ({"mask": torch.zeros(1, 8, 8)}, "no box to pick"),
        ({"boxes": BOXES, "index": 3}, "no box 3; the boxes go from 0 to 2"),
        ({"boxes": BOXES, "label": "cat"}, "no box is named 'cat'; there are: Red box, ball"),
        ({}, "connect either boxes or a mask"),
        ({"boxes": BOXES, "mask": torch.ones(1, 8, 8)}, "connect either boxes or a mask"),
        ({"boxes": [[50, 40, 10, 10]]}, "choose the format xywh"),
        ({"boxes": [[1, 1, 9, 9]], "boxes_format": "auto"}, "choose the format xyxy or xywh"),
        ({"boxes": BOXES, "image": torch.zeros(1, 8, 8, 3)}, "outside the picture of 8 x 8 px"),
    ],
)
def test_nothing_to_pick_is_said(pick, error, inputs, message):
    with pytest.raises(error, match=message):
        pick(**inputs)
