"""Crop a picture around its mask, so that the model sees that part large."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..canvas.batch import CanvasBatch
from ..canvas.buckets import Size, choose
from ..canvas.fitting import Canvas, Rect
from ..errors import CanvasError

MIN_CROP_PX = 32


def canvas_around(selected: Tensor, context: float, centres: Sequence[int]) -> Canvas | CanvasBatch:
    """A canvas that shows the surroundings of what (B, H, W) selects, undistorted where they fit:
    one for all pictures when they agree. A picture that selects nothing is shown whole."""
    if context < 0:
        raise CanvasError(f"the context cannot be negative. Got: {context}")
    size = Size(selected.shape[2], selected.shape[1])
    found = [_surroundings(one, context) if bool(one.any()) else None for one in selected]
    wanted = [one for one in found if one is not None]
    # The middle of the shapes decides for all, for a batch is sampled at one size.
    *chosen, centre = choose(
        round(_middle([one.width for one in wanted])),
        round(_middle([one.height for one in wanted])),
        centres,
    )
    model = Size(*chosen)
    canvases = tuple(
        Canvas(
            size,
            model,
            "crop",
            Rect(0, 0, *size) if one is None else _widened(one, size, model),
            Rect(0, 0, *model),
            centre,
        )
        for one in found
    )
    return canvases[0] if len(set(canvases)) == 1 else CanvasBatch(canvases)


def _middle(lengths: list[int]) -> float:
    """The geometric mean, so that a wide and a tall shape average to a square."""
    return math.exp(sum(map(math.log, lengths)) / len(lengths))


def _surroundings(selected: Tensor, context: float) -> Rect:
    """The rectangle of what (H, W) selects with its context; it may reach beyond the picture."""
    height, width = selected.shape
    columns, rows = selected.any(0).nonzero()[:, 0], selected.any(1).nonzero()[:, 0]
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    margin = round(context * max(right - left, bottom - top))
    wide = min(width, max(MIN_CROP_PX, right - left + 2 * margin))
    high = min(height, max(MIN_CROP_PX, bottom - top + 2 * margin))
    x, y = (left + right - wide) // 2, (top + bottom - high) // 2
    return Rect(x, y, x + wide, y + high)


def _widened(rect: Rect, size: Size, model: Size) -> Rect:
    """The rectangle grown to the model's shape around its middle, as far as the picture goes."""
    wide, high = (
        min(size.width, max(rect.width, round(rect.height * model.width / model.height))),
        min(size.height, max(rect.height, round(rect.width * model.height / model.width))),
    )
    x = min(max(0, (rect.left + rect.right - wide) // 2), size.width - wide)
    y = min(max(0, (rect.top + rect.bottom - high) // 2), size.height - high)
    return Rect(x, y, x + wide, y + high)
