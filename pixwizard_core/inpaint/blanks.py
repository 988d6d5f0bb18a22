"""Pictures with a blank part for the model to fill: holes, margins, or all of it.

The model was trained on pictures whose missing part is flat black or white, at its own size. So the
hole is punched after the picture is fitted, and covers every pixel that it touches there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..canvas import Canvas, images, plan
from ..canvas.batch import CanvasBatch
from ..canvas.buckets import CENTRES, whole_cells
from ..canvas.resample import resample
from ..decode.morphology import grow as grow_mask
from ..errors import CanvasError
from .sides import Sides, aspect_sides
from .surroundings import canvas_around

FILLS = {"black": 0.0, "white": 1.0}
SELECTED = 0.5
TOUCHED = 1e-3  # share of a model pixel that must be selected for it to belong to the hole


@dataclass(frozen=True, slots=True)
class BlankedPicture:
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
) -> BlankedPicture:
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
        return _punched(image_01, selected, canvas_around(shown, context, centres), level)
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
) -> BlankedPicture:
    """Add blank margins and fit the larger picture to the model.

    sides: px to add. aspect: (width, height) that the picture is widened to after that, never cut;
    anchor: where the picture stays then, one of ANCHORS. In BlankedPicture.source the border pixels
    run on into the margins, so that a feathered seam has no dark edge. Raises CanvasError.
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


def blank_canvas(
    width: int, height: int, fill: str = "white", batch: int = 1
) -> tuple[Tensor, Canvas]:
    """A flat picture (batch, 3, model) to make a new one of width x height px on, and its canvas.

    The model works at the nearest size in multiples of 16 px.
    """
    canvas = plan(width, height, model=whole_cells(width, height))
    level = _fill(fill)
    return torch.full(
        (batch, 3, canvas.model.height, canvas.model.width),
        level,
        dtype=torch.float32,
        device="cpu",
    ), canvas


def _fill(name: str) -> float:
    if name not in FILLS:
        raise CanvasError(f"the fill must be one of {', '.join(FILLS)}. Got: {name!r}")
    return FILLS[name]


def _punched(
    source: Tensor, mask: Tensor, canvas: Canvas | CanvasBatch, level: float
) -> BlankedPicture:
    hole = _hole(mask, canvas)
    picture = canvas.fit_image(source).masked_fill(hole[:, None], level)
    return BlankedPicture(picture, hole, canvas, source, mask)


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
