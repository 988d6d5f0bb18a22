"""Pictures with a blank part for the model to fill: holes, margins, and nothing but blank.

The model was trained on pictures whose missing part is flat black or white, at its own size; so the
hole is punched after the picture was fitted, and covers every pixel that it touches there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .canvas import Canvas, Rect, images, plan
from .canvas.batch import CanvasBatch
from .canvas.buckets import CENTRES, Size, choose, whole_cells
from .canvas.resample import resample
from .decode.morphology import grow as grow_mask
from .errors import CanvasError

FILLS = {"black": 0.0, "white": 1.0}
ANCHORS = ("centre", "left", "top", "right", "bottom")
SELECTED = 0.5
TOUCHED = 1e-3  # share of a model pixel that must be selected for it to belong to the hole
MIN_CROP_PX = 32


class Sides(NamedTuple):
    """Pixels to add on each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What to give the model, and what is needed to put its answer back.

    picture: (B, 3, model) in 0..1 with the hole filled. hole: (B, model) bool. canvas: the way back
    from the model's size. source: (B, C, source) to lay the answer on, every pixel that was given
    untouched. mask: (B, source) bool, the part of it that the answer replaces.
    """

    picture: Tensor
    hole: Tensor
    canvas: Canvas | CanvasBatch
    source: Tensor
    mask: Tensor


def prepare_inpaint(
    image_01: Tensor,
    mask: Tensor | None,
    *,
    fill: str = "black",
    grow: int = 0,
    context: float | None = None,
    one_crop: bool = False,
    centres: Sequence[int] = CENTRES,
    fit: str = "stretch",
) -> Prepared:
    """Blank what the mask selects (half or more) and fit the picture to the model.

    image_01: (B, 1..4, H, W). mask: any mask of the picture, or None for nothing selected. grow: px
    of the source to widen the mask by, negative narrows. context: work only on the surroundings of
    the mask, so small things get all of the model's pixels: the selected rectangle plus this share
    of its longer side all around; None works on all of the picture. one_crop: one rectangle around
    all masks of the batch, which keeps frames of a video steady, instead of one for each picture.
    All get the same model size either way. centres, fit: see canvas.plan(); with a context fit does
    not matter. Raises CanvasError for input that cannot be used.
    """
    level = _fill(fill)
    images.check_image(image_01)
    batch, _, height, width = image_01.shape
    if mask is None:
        selected = torch.zeros(1, height, width, dtype=torch.bool, device=image_01.device)
    else:
        selected = images.as_mask(mask, size=(height, width)) >= SELECTED
    selected = grow_mask(selected, grow).to(image_01.device)
    masks = selected.shape[0]
    if not masks or (masks != batch and 1 not in (masks, batch)):
        raise CanvasError(f"{masks} masks for {batch} pictures; give one mask, or one for each")
    batch = max(batch, masks)
    image_01 = image_01.expand(batch, -1, -1, -1)
    selected = selected.expand(batch, -1, -1)
    canvas = plan(width, height, centres, fit)
    if context is not None and bool(selected.any()):
        shown = selected.any(0, keepdim=True) if one_crop else selected
        canvas = _around(shown, context, centres)
    return _punched(image_01, selected, canvas, level)


def prepare_outpaint(
    image_01: Tensor,
    sides: Sides | None = None,
    *,
    aspect: tuple[float, float] | None = None,
    anchor: str = "centre",
    fill: str = "black",
    centres: Sequence[int] = CENTRES,
    fit: str = "stretch",
) -> Prepared:
    """Add blank margins and fit the larger picture to the model.

    sides: px to add. aspect: (width, height) that the picture is widened to after that, never cut;
    anchor: where the picture stays then, one of ANCHORS. In Prepared.source the border pixels run
    on into the margins, so that a feathered seam has no dark edge. Raises CanvasError.
    """
    level = _fill(fill)
    images.check_image(image_01)
    batch, _, height, width = image_01.shape
    sides = sides or Sides()
    if min(sides) < 0:
        raise CanvasError(f"margins cannot be negative; crop the picture first. Got: {sides}")
    if aspect is not None:
        more = aspect_sides(width + sides.left + sides.right,
                            height + sides.top + sides.bottom, aspect, anchor)  # fmt: skip
        sides = Sides(*(a + b for a, b in zip(sides, more, strict=True)))
    left, top, right, bottom = sides
    canvas = plan(width + left + right, height + top + bottom, centres, fit)
    source = F.pad(image_01, (left, right, top, bottom), "replicate")
    blank = torch.ones(source.shape[-2:], dtype=torch.bool, device=source.device)
    blank[top : top + height, left : left + width] = False
    return _punched(source, blank.expand(batch, -1, -1), canvas, level)


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


def blank_canvas(
    width: int, height: int, fill: str = "white", batch: int = 1
) -> tuple[Tensor, Canvas]:
    """A flat picture (batch, 3, model) to make a new one of width x height px on, and its canvas.

    The model works at the nearest size in multiples of 16 px.
    """
    canvas = plan(width, height, model=whole_cells(width, height))
    level = _fill(fill)
    return torch.full((batch, 3, canvas.model.height, canvas.model.width), level), canvas


def _fill(name: str) -> float:
    if name not in FILLS:
        raise CanvasError(f"the fill must be one of {', '.join(FILLS)}. Got: {name!r}")
    return FILLS[name]


def _punched(source: Tensor, mask: Tensor, canvas: Canvas, level: float) -> Prepared:
    hole = _hole(mask, canvas)
    picture = canvas.fit_image(source).masked_fill(hole[:, None], level)
    return Prepared(picture, hole, canvas, source, mask)


def _hole(mask: Tensor, canvas: Canvas | CanvasBatch) -> Tensor:
    """Model pixels (B, model) that anything selected touches, so that nothing of it shows."""
    if isinstance(canvas, CanvasBatch):
        holes = [_hole(one[None], canvas.of(i)) for i, one in enumerate(mask)]
        return torch.cat(holes)
    content, model = canvas.content, canvas.model
    shown = resample(canvas.view.cut(mask).float(), content.height, content.width, "triangle")
    margins = (content.left, model.width - content.right,
               content.top, model.height - content.bottom)  # fmt: skip
    return F.pad(shown[:, None], margins, "replicate")[:, 0] > TOUCHED


def _around(selected: Tensor, context: float, centres: Sequence[int]) -> Canvas | CanvasBatch:
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
    """The geometric mean, so that a shape and its opposite meet in a square."""
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
