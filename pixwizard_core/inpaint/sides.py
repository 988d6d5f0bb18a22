"""Margins around a picture, and the aspect ratios that ask for them."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import CanvasError

ANCHORS = ("centre", "left", "top", "right", "bottom")


class Sides(NamedTuple):
    """Pixels to add on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def aspect_sides(
    width: int, height: int, aspect: tuple[float, float], anchor: str = "centre"
) -> Sides:
    """Margins that bring width x height to an aspect ratio without cutting anything."""
    if anchor not in ANCHORS:
        raise CanvasError(f"the anchor must be one of {', '.join(ANCHORS)}. Got: {anchor!r}")
    across, down = aspect
    if not (across > 0 and down > 0):
        raise CanvasError(f"an aspect ratio is two numbers above 0, as 16:9. Got: {across}:{down}")
    wide = max(0, round(height * across / down) - width)
    high = max(0, round(width * down / across) - height)
    before_x = {"left": 0, "right": wide}.get(anchor, wide // 2)
    before_y = {"top": 0, "bottom": high}.get(anchor, high // 2)
    return Sides(before_x, before_y, wide - before_x, high - before_y)


def parse_aspect(text: str) -> tuple[float, float] | None:
    """ "16:9", "16/9", "16x9" or "1.78" as (width, height); None for an empty text. Raises
    CanvasError."""
    text = text.strip().lower()
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.replace("/", ":").replace("x", ":").split(":")]
        across, down = numbers if len(numbers) > 1 else (numbers[0], 1.0)
    except ValueError:
        raise CanvasError(f"cannot read the aspect ratio {text!r}; write it as 16:9") from None
    if not (0 < across < 1e6 and 0 < down < 1e6):
        raise CanvasError(f"an aspect ratio is two numbers above 0, as 16:9. Got: {text!r}")
    return across, down
