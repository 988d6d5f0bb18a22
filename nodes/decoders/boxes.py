"""Turn outlines that the model drew into boxes, in every format that other nodes read."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode import dialects
from ...pixwizard_core.decode.boxes import Box, decode_boxes
from ...pixwizard_core.decode.read_boxes import XYXY
from ...pixwizard_core.files.lettering import write_tags
from ..host.versions import schema
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.inputs import bbox_format
from ..shared.layouts import from_image_01, from_mask, to_image_01
from . import asked_for
from .answer import (
    answer_image,
    canvas_input,
    colour_combo,
    shown_source,
    source_as_answer,
    source_image,
)


def at_source(boxes, canvas, answer):
    """The boxes found in one answer (3, H, W) in whole px of the source, at least 1 px a side."""
    if not boxes:
        return boxes
    moved = canvas.restore_boxes(
        torch.tensor([box.xyxy_px for box in boxes], dtype=torch.float32, device="cpu").float(),
        answer,
    )
    low, high = moved[:, :2].round().int().tolist(), moved[:, 2:].round().int().tolist()
    size = canvas.source
    found = []
    for box, (x1, y1), (x2, y2) in zip(boxes, low, high, strict=True):
        x1, y1 = min(x1, size.width - 1), min(y1, size.height - 1)
        found.append(Box((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), box.score))
    return found


def annotated(shown, found, label, colour):
    """The pictures with outlines, and tags of name and score if the boxes have a name."""
    drawn = dialects.draw(shown, found, colour)
    name = label.strip()
    words = [[f"{name} {box.score:.2f}" if name else "" for box in boxes] for boxes in found]
    return write_tags(drawn, [[box.xyxy_px for box in boxes] for boxes in found], words, colour)


class DecodeBoxes(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeBoxes",
            display_name="PixWizard Decode Boxes",
            description="Finds the outlines that the model drew around objects, best first, in px "
            "of the source. Without any outline, lists and mask are empty and count is 0. The JSON "
            "is also in the run's history.",
            search_aliases=["bounding box", "detect", "segs", "florence"],
            is_output_node=True,
            inputs=[
                answer_image(),
                colour_combo("outline"),
                io.Float.Input(
                    "min_score",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Minimum share of a box's sides along which the outline must be found, "
                    "0 to 1.",
                ),
                io.String.Input(
                    "label",
                    default="object",
                    tooltip="Name of the boxed objects, also drawn in the picture. Empty draws "
                    "nothing.",
                ),
                source_image(),
                canvas_input(),
                bbox_format(),
                asked_for.about("colour"),
            ],
            outputs=[
                sockets.BBox.Output(
                    "bboxes",
                    display_name="bboxes",
                    is_output_list=True,
                    tooltip="[[x1, y1, x2, y2], ...], or x, y, width, height by the format; one "
                    "list per picture. Nodes that take BBOX do not support batches and run once "
                    "per picture.",
                ),
                sockets.BoundingBox.Output(
                    "bounding_boxes",
                    display_name="bounding_boxes",
                    tooltip="[[(x, y, width, height, label, score), ...], ...], a list for each "
                    "picture, as ComfyUI's own detectors give it. Crop Image takes one box: put "
                    "Pick Box between.",
                ),
                sockets.Segs.Output(
                    "segs",
                    display_name="segs",
                    is_output_list=True,
                    tooltip="In Impact Pack's format, one per picture.",
                ),
                io.String.Output(
                    "json",
                    display_name="json",
                    tooltip="Text [(bboxes, labels, scores, ...)], one per picture; the boxes are "
                    "always x1, y1, x2, y2.",
                ),
                io.Mask.Output("mask", display_name="mask"),
                io.Image.Output("picture", display_name="picture"),
                io.Int.Output("count", display_name="count"),
                sockets.Json.Output(
                    "coordinates",
                    display_name="coordinates",
                    tooltip="[[[x1, y1, x2, y2], ...], ...], one list per picture, in the "
                    "format that Florence2 to Coordinates takes.",
                ),
            ],
        )

    @classmethod
    def run(
        cls, image, colour, min_score, label, source=None, canvas=None, format=XYXY, about=None
    ):  # fmt: skip
        colour, said, meant = asked_for.colour_of(about, colour)
        said = [*asked_for.compared(about, "box"), *said]
        answer = to_image_01(image)
        asked = source_as_answer(source, answer, canvas)
        found = decode_boxes(answer, colour, asked, min_score=min_score)
        if canvas is not None:
            found = [at_source(boxes, canvas.of(i), answer) for i, boxes in enumerate(found)]
        shown = shown_source(source, answer, canvas).expand(len(found), -1, -1, -1)
        height, width = shown.shape[-2:]
        data = dialects.to_florence(found, label, width, height)
        text = dialects.to_json(data)
        masks = torch.stack([dialects.to_mask(boxes, width, height) for boxes in found])
        return io.NodeOutput(
            [dialects.to_bbox(boxes, format) for boxes in found],
            [dialects.to_bounding_boxes(boxes, label) for boxes in found],
            [dialects.to_segs(boxes, label, width, height) for boxes in found],
            text,
            from_mask(masks),
            from_image_01(annotated(shown, found, label, colour)),
            sum(map(len, found)),
            [dialects.to_bbox(boxes) for boxes in found],
            ui={
                "text": [text],
                "pixwizard_boxes": data,
                **views.boxes(shown, data, colour),
                **asked_for.as_ui(about, [*said, *notes.of_nothing_found(list(map(len, found)))]),
                **meant,
            },
        )
