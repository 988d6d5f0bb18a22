"""Boxes in the forms that other nodes and tools understand.

Ours are xyxy in whole pixels, right and bottom exclusive. BBOX: [[x1, y1, x2, y2], ...].
BOUNDING_BOX: [{"x", "y", "width", "height"}, ...]. Florence: [{"bboxes": [...], "labels": [...]}],
one entry a picture. SEGS: ((height, width), [SEG, ...]) for one picture, as Impact Pack has it.
"""

from __future__ import annotations

import json
import reprlib
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import DecodeError
from ..json_text import read_json
from .boxes import Box
from .common import Rgb, picture, rgb_of

XYWH = ("x", "y", "width", "height")
DEEPEST = 8  # lists in lists; pictures, boxes and their numbers need three
SCHEMA_VERSION = 1  # of the JSON; raised when a field changes its meaning
SEGS_CONTEXT = 3.0  # a SEG's crop in multiples of its box, the usual default of detector nodes

# The names and order of Impact Pack's own tuple, which its nodes read by attribute.
SEG = namedtuple(
    "SEG",
    "cropped_image cropped_mask confidence crop_region bbox label control_net_wrapper",
    defaults=(None,),
)


def to_bbox(boxes: Sequence[Box]) -> list[list[int]]:
    """Boxes of one picture as [[x1, y1, x2, y2], ...]."""
    return [list(box.xyxy_px) for box in boxes]


def to_bounding_boxes(boxes: Sequence[Box], label: str) -> list[dict[str, Any]]:
    """Boxes of one picture as dictionaries of whole pixels, with label and score."""
    return [
        {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1,
         "label": label, "score": round(score, 4)}
        for (x1, y1, x2, y2), score in boxes
    ]  # fmt: skip


def to_florence(
    pictures: Sequence[Sequence[Box]], label: str, width: int, height: int
) -> list[dict[str, Any]]:
    """Boxes of a batch as Florence nodes give them, plus scores, the size and our schema_version.

    A picture without boxes has empty lists.
    """
    return [
        {
            "schema_version": SCHEMA_VERSION,
            "width": width,
            "height": height,
            "bboxes": to_bbox(boxes),
            "labels": [label] * len(boxes),
            "scores": [round(box.score, 4) for box in boxes],
        }
        for boxes in pictures
    ]


def to_json(data: Any) -> str:
    return json.dumps(data, separators=(", ", ": "))


def to_segs(
    boxes: Sequence[Box], label: str, width: int, height: int, context: float = SEGS_CONTEXT
) -> tuple[tuple[int, int], list[SEG]]:
    """Boxes of one picture as SEGS; the mask of each is its whole box."""
    found = []
    for (x1, y1, x2, y2), score in boxes:
        left, right = _stretch(x1, x2, context, width)
        top, bottom = _stretch(y1, y2, context, height)
        mask = torch.zeros(bottom - top, right - left)
        mask[y1 - top : y2 - top, x1 - left : x2 - left] = 1
        region = [left, top, right, bottom]
        found.append(SEG(None, mask.numpy(), score, region, [x1, y1, x2, y2], label))
    return (height, width), found


def to_mask(boxes: Sequence[Box], width: int, height: int) -> Tensor:
    """Everything inside any box of one picture: (H, W) bool."""
    mask = torch.zeros(height, width, dtype=torch.bool)
    for x1, y1, x2, y2 in to_bbox(boxes):
        mask[y1:y2, x1:x2] = True
    return mask


def draw(image_01: Tensor, pictures: Sequence[Sequence[Box]], colour: str | Rgb) -> Tensor:
    """The pictures (B, C, H, W) with outlines just inside the boxes: (B, 3, H, W).

    The line is about 1/200 of the shorter side, with a thin dark rim so that it shows on anything.
    """
    drawn = picture(image_01).clone()
    ink = drawn.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    line = max(1, round(min(drawn.shape[-2:]) / 200))
    for one, boxes in zip(drawn, pictures, strict=True):
        for x1, y1, x2, y2 in to_bbox(boxes):
            inside = one[:, y1:y2, x1:x2]
            middle = inside[:, 2 * line : -2 * line, 2 * line : -2 * line]
            kept = middle.clone()
            inside[:] = ink
            inside[:, line:-line, line:-line] = 0
            middle[:] = kept
    return drawn


def read_pictures(value: Any) -> list[Tensor]:
    """Boxes in any of these forms, or their JSON text, as (N, 4) float xyxy for each picture.

    Lists of four numbers are taken as xyxy; no boxes give one (0, 4). A list of lists of boxes, or
    of {bboxes: [...]}, is one of several pictures; anything else belongs to one. Raises DecodeError
    for what is no list of boxes.
    """
    if isinstance(value, str):
        value = read_json(value, "the boxes are", DecodeError) if value.strip() else []
    if isinstance(value, Tensor):
        value = value.tolist()
    several = isinstance(value, (list, tuple)) and any(map(_of_a_picture, value))
    found = [torch.tensor(_rows(one)).view(-1, 4) for one in (value if several else [value])]
    if not all(bool(torch.isfinite(boxes).all()) for boxes in found):
        raise DecodeError("a box holds values that are not finite")
    return found


def _of_a_picture(value: Any) -> bool:
    """Whether this holds the boxes of one picture, rather than being a box."""
    if isinstance(value, dict):
        return "bboxes" in value
    return isinstance(value, (list, tuple)) and not any(isinstance(v, (int, float)) for v in value)


def _rows(value: Any, depth: int = 0) -> list[list[float]]:
    """Four numbers for each box of one picture."""
    if depth > DEEPEST:
        raise DecodeError(f"the boxes are nested more than {DEEPEST} lists deep")
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, dict):
        if set(XYWH) <= value.keys():
            x, y, width, height = _floats([value[name] for name in XYWH])
            return [[x, y, x + width, y + height]]
        if "bboxes" in value:
            return _rows(value["bboxes"], depth + 1)
    if isinstance(value, (list, tuple)):
        if len(value) == 4 and all(isinstance(v, (int, float)) for v in value):
            return [_floats(value)]
        if not any(isinstance(v, (int, float, str)) for v in value):
            return [row for part in value for row in _rows(part, depth + 1)]
    raise DecodeError(
        "boxes must be [x1, y1, x2, y2], {x, y, width, height} or {bboxes: [...]}, or lists of "
        f"these. Got: {reprlib.repr(value)}"
    )


def _floats(values: Sequence[Any]) -> list[float]:
    try:
        return [float(v) for v in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise DecodeError(f"a box is not made of four numbers: {error}") from None


def _stretch(low: int, high: int, factor: float, limit: int) -> tuple[int, int]:
    margin = round((high - low) * (max(1.0, factor) - 1) / 2)
    return max(0, low - margin), min(limit, high + margin)
