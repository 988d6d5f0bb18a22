"""One box out of many, by what a person would say of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from ..errors import DecodeError
from .boxes import Box
from .read_boxes import FoundBox

INDEX, ALL = "index", "all"
# The first of several equal boxes wins.
ORDERS: dict[str, Callable[[FoundBox], float]] = {
    "largest": lambda box: -_area(box),
    "smallest": lambda box: _area(box),
    "leftmost": lambda box: box.xyxy_px[0],
    "rightmost": lambda box: -box.xyxy_px[2],
    "topmost": lambda box: box.xyxy_px[1],
    "bottommost": lambda box: -box.xyxy_px[3],
    "best score": lambda box: -box.score,
}
PICKS = (INDEX, *ORDERS, ALL)


def pick_boxes(
    boxes: Sequence[FoundBox], pick: str = INDEX, index: int = 0, label: str = ""
) -> list[int]:
    """Indices into boxes of the one picked, or of all.

    label: consider only boxes with this name, ignoring case; * and ? stand for any text or letter,
    and an empty label matches every box. index: which of those, from 0, for pick "index". Raises
    DecodeError, listing what there is, when nothing is left to pick.
    """
    if not boxes:
        raise DecodeError("there is no box to pick; lower min_score, or look at the picture")
    wanted = label.strip().lower()
    left = [i for i, box in enumerate(boxes) if _matches(box, wanted)]
    if not left:
        names = ", ".join(sorted({box.label or "(no name)" for box in boxes}))
        raise DecodeError(f"no box is named {label.strip()!r}; there are: {names:.200}")
    if pick == ALL:
        return left
    if pick == INDEX:
        if not 0 <= index < len(left):
            raise DecodeError(f"there is no box {index}; the boxes go from 0 to {len(left) - 1}")
        return [left[index]]
    if pick not in ORDERS:
        raise DecodeError(f"pick must be one of {', '.join(PICKS)}. Got: {pick!r}")
    return [min(left, key=lambda i: ORDERS[pick](boxes[i]))]


def whole_px(box: FoundBox) -> Box:
    """The box in whole pixels, at least 1 px a side and not left of or above the picture."""
    x1, y1, x2, y2 = (max(0, round(edge)) for edge in box.xyxy_px)
    return Box((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), box.score)


def around(boxes: Sequence[Box]) -> Box:
    """The box around several, with the mean of their scores."""
    x1, y1, x2, y2 = zip(*(box.xyxy_px for box in boxes), strict=True)
    score = sum(box.score for box in boxes) / len(boxes)
    return Box((min(x1), min(y1), max(x2), max(y2)), score)


def _area(box: FoundBox) -> float:
    x1, y1, x2, y2 = box.xyxy_px
    return (x2 - x1) * (y2 - y1)


def _matches(box: FoundBox, wanted: str) -> bool:
    return not wanted or fnmatchcase(box.label.strip().lower(), wanted)
