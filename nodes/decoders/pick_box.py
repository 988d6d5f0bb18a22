"""One box of many, in the forms of nodes that take a single box, points, a mask or SEGS."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.decode import dialects
from ...pixwizard_core.decode.masks import objects
from ...pixwizard_core.decode.pick import ALL, INDEX, PICKS, around, pick_boxes, whole_px
from ...pixwizard_core.decode.read_boxes import XYXY, FoundBox, read_boxes
from ...pixwizard_core.errors import DecodeError
from ..host.versions import schema
from ..shared import sockets
from ..shared.base import Node
from ..shared.inputs import bbox_format, read_format
from ..shared.layouts import as_masks, from_mask, size_of, to_image_01
from ..shared.page_data import used_when
from .selection import MAX_OBJECTS


class PickBox(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "PickBox",
            display_name="PixWizard Pick Box",
            description="Picks one box of many, or all, for nodes that take a single box, a point, "
            "a mask or SEGS: Crop Image, SAM2, SAM3, Impact Pack. Boxes come from a detector, or "
            "from the separate objects of a mask.",
            search_aliases=["select box", "crop region", "bbox to points", "mask to segs"],
            inputs=[
                io.Combo.Input(
                    "pick",
                    options=list(PICKS),
                    default=INDEX,
                    tooltip=f"Which box: the one at index, the one that is farthest in what is "
                    f"named, or {ALL} of them.",
                ),
                used_when(
                    io.Int.Input(
                        "index",
                        default=0,
                        min=0,
                        max=4095,
                        tooltip="With pick index: number of the box, from 0, among those of the "
                        "label.",
                    ),
                    pick=[INDEX],
                ),
                io.String.Input(
                    "label",
                    default="",
                    tooltip="Only boxes of this name count; * and ? stand for any text or letter. "
                    "Empty takes every box.",
                ),
                io.Int.Input(
                    "picture",
                    default=0,
                    min=0,
                    max=4095,
                    tooltip="Number of the picture in the batch, from 0. Boxes of one picture "
                    "serve all.",
                ),
                sockets.AnyBoxes.Input(
                    "boxes",
                    optional=True,
                    tooltip="BBOX in px, BOUNDING_BOX, Florence data, or JSON text. Connect this "
                    "or a mask.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=f"Instead of boxes: its {MAX_OBJECTS} largest separate objects, "
                    "largest first; SEGS then have their shapes.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The picture that the boxes lie in, for the size of mask and SEGS. "
                    "Without it, and without a mask, both end where the boxes end.",
                ),
                read_format("boxes_format", "boxes"),
                bbox_format(),
            ],
            outputs=[
                sockets.BoundingBox.Output(
                    "bounding_box",
                    display_name="bounding_box",
                    tooltip="(x, y, width, height, label, score): the single box that Crop Image "
                    "takes. For several, the box around all.",
                ),
                sockets.BBox.Output(
                    "bboxes",
                    display_name="bboxes",
                    tooltip="[[x1, y1, x2, y2], ...], or x, y, width, height by the format.",
                ),
                io.String.Output(
                    "points",
                    display_name="points",
                    tooltip="Middles of the boxes as JSON text, a list of x and y: "
                    "coordinates_positive of SAM2, positive_coords of SAM3 Detect.",
                ),
                io.Mask.Output(
                    "selected", display_name="mask", tooltip="What is picked, as a mask."
                ),
                sockets.Segs.Output("segs", display_name="segs", tooltip="As Impact Pack has it."),
                io.String.Output(
                    "text",
                    display_name="text",
                    tooltip="The boxes as text [(x, y, width, height, label, score), ...], which "
                    "Create Bounding Boxes reads.",
                ),
                *(io.Int.Output(side, display_name=side) for side in ("x", "y", "width", "height")),
                io.Int.Output("count", display_name="count"),
            ],
        )

    @classmethod
    def run(
        cls, pick, index, label, picture, boxes=None, mask=None, image=None, boxes_format=XYXY,
        format=XYXY,
    ):  # fmt: skip
        if (boxes is None) == (mask is None):
            raise DecodeError("nothing to pick from; connect either boxes or a mask")
        size = None if image is None else size_of(to_image_01(image))
        if mask is None:
            given = of_picture(read_boxes(boxes, boxes_format, size), picture, "boxes")
            shapes = None
        else:
            selected = of_picture(as_masks(mask) > 0.5, picture, "masks")
            shapes = objects(selected, limit=MAX_OBJECTS)
            given = [FoundBox(tuple(box)) for box in shapes.boxes_xyxy_px.tolist()]
            size = size_of(selected)
        places = pick_boxes(given, pick, index, label)
        picked = [inside(whole_px(given[i]), size) for i in places]
        names = [given[i].label for i in places]
        width, height = size or around(picked).xyxy_px[2:]
        masks = None if shapes is None else shapes.masks[places]
        inner = dialects.to_mask(picked, width, height) if masks is None else masks.any(0)
        dicts = [
            dialects.to_bounding_boxes([box], name)[0]
            for box, name in zip(picked, names, strict=True)
        ]
        common = names[0] if len(set(names)) == 1 else ""
        whole = dialects.to_bounding_boxes([around(picked)], common)[0]
        return io.NodeOutput(
            whole,
            dialects.to_bbox(picked, format),
            dialects.to_json(dialects.to_points(picked)),
            from_mask(inner[None]),
            dialects.to_segs(
                picked, names, width, height, masks=None if masks is None else list(masks)
            ),
            dialects.to_json(dicts),
            *(whole[side] for side in ("x", "y", "width", "height")),
            len(picked),
        )


def of_picture(rows, number: int, what: str):
    """The rows of one picture; those of a single picture serve all. Raises DecodeError for a number
    beyond the batch."""
    if len(rows) == 1:
        return rows[0]
    if number >= len(rows):
        raise DecodeError(
            f"there are {what} of {len(rows)} pictures, numbered from 0; there is no "
            f"picture {number}"
        )
    return rows[number]


def inside(box, size):
    """The box cut to the picture. Raises DecodeError for one that lies outside of it."""
    if size is None:
        return box
    (x1, y1, x2, y2), (width, height) = box.xyxy_px, size
    if x1 >= width or y1 >= height:
        raise DecodeError(
            f"the box {list(box.xyxy_px)} lies outside the picture of {width} x {height} px; "
            "connect the picture that it was found in, or change boxes_format"
        )
    return box._replace(xyxy_px=(x1, y1, min(x2, width), min(y2, height)))
