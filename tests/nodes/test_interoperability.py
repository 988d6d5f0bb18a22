"""What other packs document that they read, asserted of what our nodes give: a test for each row of
docs/interoperability.md. Shapes are written down from those packs' documentation."""

from __future__ import annotations

import json

import pytest
import torch

from tests.fakes import host
from tests.nodes.test_data_nodes import call, outlined

TABLE = host.REPO / "docs" / "interoperability.md"
CORNERS, SIZED = [20, 30, 70, 80], [20, 30, 50, 50]
BOX = dict(zip(("x", "y", "width", "height"), SIZED, strict=True))


def listed(boxes):
    """A list of boxes for each picture, with whole numbers by name."""
    ((box,),) = boxes
    assert all(type(box[side]) is int for side in BOX)
    return [box[side] for side in BOX]


def drawn(boxes):
    """The same; a label is text and a score a number from 0 to 1."""
    ((box,),) = boxes
    assert isinstance(box["label"], str)
    assert 0 <= box["score"] <= 1
    return listed(boxes)


def region(box):
    return [box.get(side) for side in BOX]


def created(boxes):
    """Lists of boxes, or text with them."""
    boxes = json.loads(boxes) if isinstance(boxes, str) else boxes
    first = boxes[0]
    return region(first[0] if isinstance(first, list) else first)


def points(text):
    """JSON text of a list of points."""
    return [(point["x"], point["y"]) for point in json.loads(text)]


def sam2_box(boxes):
    """An array made of each entry; the first is the box of a single object."""
    return torch.tensor(boxes)[0].tolist()


def florence(data):
    """data[picture][index] is two corners; no text."""
    left, top, right, bottom = data[0][0]
    return [left, top, right, bottom]


def kj(boxes):
    x, y, width, height = boxes[0]
    return [x, y, width, height]


def easy(boxes):
    assert len(boxes) == 1  # as many as pictures
    return kj(boxes)


def impact(segs):
    """(height, width) and parts that are read by attribute; each mask fills its crop region."""
    (height, width), (seg,) = segs
    left, top, right, bottom = seg.crop_region
    assert (height, width) == (96, 128)
    assert seg.cropped_mask.shape == (bottom - top, right - left)
    return [int(edge) for edge in seg.bbox]


MIDDLE = [(45, 55)]
LISTS = (("Decode", "bboxes"), ("Decode", "segs"))  # one entry for each run of a consumer
# (consumer, input): (reader, what it must see, our outputs)
ROWS = {
    ("ComfyUI Crop By Bounding Boxes", "bboxes"): (listed, SIZED, ["Decode bounding_boxes"]),
    ("ComfyUI Draw BBoxes", "bboxes"): (drawn, SIZED, ["Decode bounding_boxes"]),
    ("ComfyUI Crop Image", "crop_region"): (region, SIZED, ["Pick bounding_box"]),
    ("ComfyUI Create Bounding Boxes", "bboxes"): (
        created, SIZED, ["Decode bounding_boxes", "Pick text"]
    ),
    ("ComfyUI SAM3 Detect", "positive_coords"): (points, MIDDLE, ["Pick points"]),
    ("Segment Anything 2 (kijai)", "coordinates_positive"): (points, MIDDLE, ["Pick points"]),
    ("Segment Anything 2 (kijai)", "bboxes"): (sam2_box, CORNERS, ["Pick bboxes xyxy"]),
    ("Florence2 to Coordinates", "data"): (florence, CORNERS, ["Decode coordinates"]),
    ("KJNodes Bbox To Int, Bbox Visualize, Batch Uncrop", "bboxes"): (
        kj, SIZED, ["Decode bboxes xywh"]
    ),
    ("Easy-Use imageUncropFromBBOX", "bbox"): (easy, SIZED, ["Pick bboxes xywh"]),
    ("Impact Pack SEGS nodes", "segs"): (impact, CORNERS, ["Decode segs", "Pick segs"]),
}  # fmt: skip


def given(nodes, output: str):
    """What one of our outputs holds for one picture with one box."""
    name, socket, *form = output.split()
    source, answer = outlined()
    inputs = {"format": form[0]} if form else {}
    if name == "Decode":
        node, inputs = nodes["DecodeBoxes"], {**inputs, "image": answer, "source": source}
    else:
        boxes = call(nodes["DecodeBoxes"], image=answer, source=source)[1]
        node, inputs = nodes["PickBox"], {**inputs, "boxes": boxes, "image": source}
    outputs = node.define_schema().outputs
    (place,) = [i for i, one in enumerate(outputs) if one.display_name == socket]
    value = call(node, **inputs)[place]
    # The host hands the entries of such a list on one after the other.
    return value[0] if (name, socket) in LISTS else value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}.{row[1]}")
def test_consumer_reads_our_output_as_it_documents(nodes, row):
    reader, wanted, outputs = ROWS[row]
    for output in outputs:
        assert reader(given(nodes, output)) == wanted, output


def test_table_of_the_documentation_is_what_is_tested():
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if "`" in line]
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines if "|" in line]
    told = {}
    for consumer, socket, _, outputs, form in rows:
        short = outputs.replace("`", "")
        short = short.replace("Decode Boxes", "Decode").replace("Pick Box", "Pick")
        told[consumer, socket] = [" ".join([one.strip(), form]).strip() for one in short.split(",")]
    assert told == {row: outputs for row, (_, _, outputs) in ROWS.items()}
