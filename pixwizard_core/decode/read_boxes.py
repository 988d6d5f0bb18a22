"""Read boxes in any form that other nodes and tools produce, as x1, y1, x2, y2.

Four bare numbers are ambiguous: most packs mean two corners ("xyxy"), KJNodes and Easy-Use a corner
and a size ("xywh"). Boxes that cannot have the named form are refused, and "auto" picks a form only
where the other one is impossible: neither guesses.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ..errors import DecodeError
from ..json_text import json_object, read_json

XYXY, XYWH, AUTO = "xyxy", "xywh", "auto"
FORMS = (XYXY, XYWH)  # what can be written
READ_FORMS = (*FORMS, AUTO)
NAMES = ("x", "y", "width", "height")
SPELLED = {XYXY: "x1, y1, x2, y2", XYWH: "x, y, width, height"}
DEEPEST = 8  # levels of nested lists; pictures, boxes and their numbers need three


class FoundBox(NamedTuple):
    """A box as given: corners in px, a score in 0..1 (1 if none was given) and a name, which may be
    empty."""

    xyxy_px: tuple[float, float, float, float]
    score: float = 1.0
    label: str = ""


class _Entry(NamedTuple):
    numbers: list[float]
    form: str | None  # None: four bare numbers
    score: float
    label: str


def read_pictures(
    value: Any, form: str = XYXY, size: tuple[int, int] | None = None
) -> list[Tensor]:
    """Boxes in any form, as (N, 4) float32 xyxy in px for each picture. Takes the arguments and
    raises the errors of read_boxes. No boxes give one (0, 4)."""
    pictures = read_boxes(value, form, size)
    rows = [[box.xyxy_px for box in boxes] for boxes in pictures]
    return [torch.tensor(one, dtype=torch.float32, device="cpu").view(-1, 4) for one in rows]


def read_boxes(
    value: Any, form: str = XYXY, size: tuple[int, int] | None = None
) -> list[list[FoundBox]]:
    """Boxes of each picture, from any form or its JSON text.

    A list of lists of boxes, or of {bboxes: [...]}, means several pictures; anything else means
    one. form: how to read lists of four numbers, "xyxy", "xywh" or "auto"; dictionaries state their
    own. size: (width, height) of the picture in px; "auto" assumes that no box reaches outside it.
    Raises DecodeError for anything but a list of boxes, for boxes that cannot have the form, and
    for those that "auto" could read either way.
    """
    if isinstance(value, str):
        value = read_json(value, "the boxes are", DecodeError) if value.strip() else []
    if isinstance(value, Tensor):
        value = cast(Any, value).tolist()
    parts = _listed(value) or ()
    several = any(map(_of_a_picture, parts))
    pictures = [_entries(one) for one in (parts if several else [value])]
    numbers = [entry.numbers for entries in pictures for entry in entries]
    if not bool(torch.tensor(numbers, dtype=torch.float32, device="cpu").isfinite().all()):
        raise DecodeError("a box holds values that are not finite")
    if form == AUTO:
        bare = [entry.numbers for entries in pictures for entry in entries if not entry.form]
        form = _form_of(bare, size)
    return [[_found(entry, form) for entry in entries] for entries in pictures]


def _form_of(boxes: list[list[float]], size: tuple[int, int] | None) -> str:
    """The only form that all of these bare boxes can have. Raises DecodeError when there is none,
    or when both read differently."""
    read: dict[str, list[tuple[float, float, float, float]]] = {}
    for form in FORMS:
        corners = [_corners(box, form) for box in boxes]
        if all(_possible(one, size) for one in corners):
            read[form] = corners
    if not read:
        raise DecodeError(
            f"the boxes are neither all {SPELLED[XYXY]} nor all {SPELLED[XYWH]} inside the "
            f"picture; look at what gives them. Got: {reprlib.repr(boxes)}"
        )
    if len(read) == 2 and read[XYXY] != read[XYWH]:
        raise DecodeError(
            f"the boxes could be {SPELLED[XYXY]} as well as {SPELLED[XYWH]}; choose the format "
            f"{XYXY} or {XYWH}. Got: {reprlib.repr(boxes)}"
        )
    return next(iter(read))


def _possible(corners: Sequence[float], size: tuple[int, int] | None) -> bool:
    x1, y1, x2, y2 = corners
    if x2 < x1 or y2 < y1:
        return False
    return size is None or (min(x1, y1) >= 0 and x2 <= size[0] and y2 <= size[1])


def _corners(numbers: Sequence[float], form: str) -> tuple[float, float, float, float]:
    a, b, c, d = numbers
    return (a, b, a + c, b + d) if form == XYWH else (a, b, c, d)


def _found(entry: _Entry, form: str) -> FoundBox:
    stated = entry.form or form
    corners = _corners(entry.numbers, stated)
    if not _possible(corners, None):
        other = XYWH if stated == XYXY else XYXY
        told = f"; if it is {SPELLED[other]}, choose the format {other}" if not entry.form else ""
        raise DecodeError(
            f"the boxes hold {entry.numbers}, which cannot be {SPELLED[stated]}: it would end "
            f"before it begins{told}"
        )
    return FoundBox(corners, entry.score, entry.label)


def _of_a_picture(value: Any) -> bool:
    """Whether this holds the boxes of one picture rather than being a single box."""
    if isinstance(value, dict):
        return "bboxes" in value
    parts = _listed(value)
    return parts is not None and not any(isinstance(v, (int, float)) for v in parts)


def _listed(value: object) -> Sequence[Any] | None:
    """The value if it is a list or a tuple, otherwise None."""
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else None


def _entries(value: Any, depth: int = 0) -> list[_Entry]:
    """Every box of one picture."""
    if depth > DEEPEST:
        raise DecodeError(f"the boxes are nested more than {DEEPEST} lists deep")
    if isinstance(value, Tensor):
        value = cast(Any, value).tolist()
    fields, parts = json_object(value), _listed(value)
    if fields is not None:
        if set(NAMES) <= fields.keys():
            numbers = _floats([fields[name] for name in NAMES])
            label = str(fields.get("label") or "")
            return [_Entry(numbers, XYWH, _score(fields.get("score")), label)]
        if "bboxes" in fields:
            return _named(_entries(fields["bboxes"], depth + 1), fields)
    if parts is not None:
        if len(parts) == 4 and all(isinstance(v, (int, float)) for v in parts):
            return [_Entry(_floats(parts), None, 1.0, "")]
        if not any(isinstance(v, (int, float, str)) for v in parts):
            return [entry for part in parts for entry in _entries(part, depth + 1)]
    raise DecodeError(
        "boxes must be four numbers, {x, y, width, height} or {bboxes: [...]}, or lists of these. "
        f"Got: {reprlib.repr(value)}"
    )


def _named(entries: list[_Entry], picture: dict[str, Any]) -> list[_Entry]:
    """Boxes of a Florence entry, whose bare numbers are corners, with its labels and scores."""

    def one_each(name: str) -> Sequence[Any] | None:
        values = _listed(picture.get(name))
        return values if values is not None and len(values) == len(entries) else None

    labels, scores = one_each("labels"), one_each("scores")
    found: list[_Entry] = []
    for i, entry in enumerate(entries):
        score = entry.score if scores is None else _score(scores[i])
        label = entry.label if labels is None else str(labels[i])
        found.append(_Entry(entry.numbers, entry.form or XYXY, score, label))
    return found


def _score(value: Any) -> float:
    return 1.0 if value is None else _floats([value], "a score of the boxes is no number")[0]


def _floats(values: Sequence[Any], what: str = "a box is not made of four numbers") -> list[float]:
    try:
        return [float(v) for v in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise DecodeError(f"{what}: {error}") from None
