"""Boxes in the forms that other nodes and tools understand; read_boxes reads them again.

Ours are xyxy in whole pixels, right and bottom exclusive. BBOX: [[x1, y1, x2, y2], ...], or [[x, y,
width, height], ...] for packs that expect that. BOUNDING_BOX: [[{"x", "y", "width", "height"},
...], ...], one list per picture. Florence: [{"bboxes": [...], "labels": [...]}], one entry per
picture. SEGS: ((height, width), [SEG, ...]) for one picture, as in Impact Pack.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .boxes import Box
from .common import Rgb, picture, rgb_of
from .read_boxes import XYXY, read_pictures

__all__ = ["SEG", "draw", "read_pictures", "to_bbox", "to_bounding_boxes", "to_florence",
           "to_json", "to_mask", "to_points", "to_segs"]  # fmt: skip
SCHEMA_VERSION = 1  # of the JSON; raised when a field changes its meaning
SEGS_CONTEXT = 3.0  # a SEG's crop in multiples of its box, the usual default of detector nodes


class SEG(NamedTuple):
    """One object, with the names and order of Impact Pack's own tuple, which its nodes read by
    attribute. cropped_mask: a NumPy array (h, w) of crop_region. crop_region, bbox: xyxy in px."""

    cropped_image: Any
    cropped_mask: Any
    confidence: float
    crop_region: list[int]
    bbox: list[int]
    label: str
    control_net_wrapper: Any = None


def to_bbox(boxes: Sequence[Box], form: str = XYXY) -> list[list[int]]:
    """Boxes of one picture as [[x1, y1, x2, y2], ...], or with form "xywh" as [[x, y, width,
    height], ...]."""
    if form == XYXY:
        return [list(box.xyxy_px) for box in boxes]
    return [[x1, y1, x2 - x1, y2 - y1] for (x1, y1, x2, y2), _ in boxes]


def to_points(boxes: Sequence[Box]) -> list[dict[str, int]]:
    """Centre pixels of the boxes of one picture, as [{"x", "y"}, ...]."""
    return [{"x": (x1 + x2) // 2, "y": (y1 + y2) // 2} for (x1, y1, x2, y2), _ in boxes]


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
    """JSON on one line, with a space after each comma and colon."""
    return json.dumps(data, separators=(", ", ": "))


def to_segs(
    boxes: Sequence[Box],
    label: str | Sequence[str],
    width: int,
    height: int,
    context: float = SEGS_CONTEXT,
    masks: Sequence[Tensor] | None = None,
) -> tuple[tuple[int, int], list[SEG]]:
    """Boxes of one picture as SEGS. label: one for all, or one for each. masks: one (H, W) for each
    object; without them each object's mask is its whole box."""
    labels = [label] * len(boxes) if isinstance(label, str) else label
    found: list[SEG] = []
    for i, ((x1, y1, x2, y2), score) in enumerate(boxes):
        left, right = _stretch(x1, x2, context, width)
        top, bottom = _stretch(y1, y2, context, height)
        mask = torch.zeros(bottom - top, right - left, dtype=torch.float32, device="cpu")
        inside = mask[y1 - top : y2 - top, x1 - left : x2 - left]
        inside[:] = 1 if masks is None else masks[i][y1:y2, x1:x2].to(inside)
        region = [left, top, right, bottom]
        found.append(SEG(None, mask.numpy(), score, region, [x1, y1, x2, y2], labels[i]))
    return (height, width), found


def to_mask(boxes: Sequence[Box], width: int, height: int) -> Tensor:
    """Everything inside any box of one picture: (H, W) bool."""
    mask = torch.zeros(height, width, dtype=torch.bool, device="cpu")
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


def _stretch(low: int, high: int, factor: float, limit: int) -> tuple[int, int]:
    margin = round((high - low) * (max(1.0, factor) - 1) / 2)
    return max(0, low - margin), min(limit, high + margin)
