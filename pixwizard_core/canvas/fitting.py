"""Any picture in, the same size out: how a source lies on the model's canvas, in whole pixels.

A rectangle `view` of the source is shown in a rectangle `content` of the model picture. Stretch
shows all of the source everywhere; pad shows all of it in a part; crop shows a part of it
everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CanvasError
from . import images
from .buckets import CELL, CENTRES, Size, choose
from .resample import resample

FITS = ("stretch", "pad", "crop")
MAX_SIDE = 32768
MAX_PIXELS = 16384 * 16384


class Rect(NamedTuple):
    """A rectangle in whole pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def cut(self, x: Tensor) -> Tensor:
        """The part of (..., H, W) inside."""
        return x[..., self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Canvas:
    """How a source of one size lies on a model picture of another; made by plan().

    centre: side of the square with the area the size was chosen for (0 when the size was given).
    Images are (B, C, H, W) in 0..1, masks (B, H, W), labels (B, H, W), boxes (..., 4) xyxy in
    pixels. Every restore_* returns exactly the source's size. It takes an answer of the model's
    size, or a larger one of the same aspect ratio from an upscaler, whose extra detail is kept as
    far as the source's size allows. Sizes that already match are not resampled.
    """

    source: Size
    model: Size
    fit: str
    view: Rect
    content: Rect
    centre: int = 0

    def fit_image(self, image_01: Tensor) -> Tensor:
        """(B, 1..4, source) to RGB (B, 3, model): 8-bit Lanczos like the reference, padding repeats
        the border."""
        rgb, _ = images.ensure_rgb(image_01)
        self._expect(rgb, self.source, "source")
        shown = images.resize_image(
            self.view.cut(rgb), self.content.height, self.content.width, eight_bit=True
        )
        return self._pad(shown, "replicate")

    def fit_mask(self, mask: Tensor) -> Tensor:
        """(B, source) to (B, model); binary stays binary. Padding is not selected."""
        mask = images.as_mask(mask)
        self._expect(mask, self.source, "source")
        shown = images.resize_mask(self.view.cut(mask), self.content.height, self.content.width)
        return self._pad(shown, "constant")

    def fit_cover(self, mask: Tensor) -> Tensor:
        """(B, source) in 0..1 to (B, model) in 0..1: how much of each pixel the mask covers, also
        where that is little."""
        self._expect(mask, self.source, "mask")
        shown = resample(self.view.cut(mask), self.content.height, self.content.width, "triangle")
        return self._pad(shown.clamp(0, 1), "constant")

    def restore_image(self, image_01: Tensor, source: Tensor | None = None) -> Tensor:
        """(B, C, model) to (B, C, source). Outside a crop: the pixels of `source`, else 0 (see
        covered())."""
        images.check_image(image_01, "model picture")
        content = self.content_of(image_01)
        shown = images.resize_image(content.cut(image_01), self.view.height, self.view.width)
        if self._shows_all():
            return shown
        if source is not None:
            rgb, _ = images.ensure_rgb(source, "source")
            self._expect(rgb, self.source, "source")
            if rgb.shape[0] not in (1, image_01.shape[0]):
                raise CanvasError(
                    f"{rgb.shape[0]} sources for {image_01.shape[0]} pictures; give one, or as many"
                )
            source = rgb[:, :1] if image_01.shape[1] == 1 else rgb
        return self._paste(shown, source)

    def restore_mask(self, mask: Tensor) -> Tensor:
        """(B, model) to (B, source); binary stays binary; nothing is selected outside a crop. B may
        be 0."""
        mask = images.as_mask(mask)
        content = self.content_of(mask)
        return self._paste(images.resize_mask(content.cut(mask), self.view.height, self.view.width))

    def restore_labels(self, labels: Tensor) -> Tensor:
        """(..., model) of any dtype to (..., source) by nearest pixel; 0 outside a crop."""
        content = self.content_of(labels)
        return self._paste(
            images.resize_labels(content.cut(labels), self.view.height, self.view.width)
        )

    def restore_boxes(self, boxes_xyxy: Tensor, answer: Tensor | None = None) -> Tensor:
        """Boxes (..., 4) in pixels of the answer (..., H, W), or of the model picture, to source
        pixels, clipped to the source."""
        content = self.content if answer is None else self.content_of(answer)
        return _clip_boxes(_map_boxes(boxes_xyxy, content, self.view), self.source)

    def content_of(self, answer: Tensor) -> Rect:
        """The rectangle `content` in the pixels of an answer (..., H, W).

        Raises CanvasError, with the size to resize to, for an answer smaller than the model picture
        or of another aspect ratio.
        """
        height, width = answer.shape[-2:]
        across, down = width / self.model.width, height / self.model.height
        # Upscalers round sides to whole px.
        fits = abs(across * self.model.height - height) < 1 or (
            abs(down * self.model.width - width) < 1
        )
        if not fits or min(across, down) < 1:
            raise CanvasError(
                f"the model picture is {width} x {height} px, but this canvas was made for "
                f"{self.model.width} x {self.model.height} px; resize it to that, or to a multiple "
                "of it, or use the canvas that belongs to this picture"
            )
        if (width, height) == self.model:
            return self.content
        return _scaled(self.content, across, down)

    def covered(self) -> Tensor:
        """(source) bool: where the model saw the source; all True except outside a crop."""
        seen = torch.zeros(self.source.height, self.source.width, dtype=torch.bool, device="cpu")
        self.view.cut(seen)[:] = True
        return seen

    def of(self, index: int) -> Canvas:
        """The canvas of one picture of a batch: the same for all."""
        return self

    def _shows_all(self) -> bool:
        return self.view == (0, 0, *self.source)

    def _expect(self, x: Tensor, size: Size, what: str) -> None:
        height, width = x.shape[-2:]
        if (width, height) != size:
            raise CanvasError(
                f"the {what} is {width} x {height} px, but this canvas was made for "
                f"{size.width} x {size.height} px; use the canvas that belongs to this picture"
            )

    def _pad(self, x: Tensor, mode: str) -> Tensor:
        c, m = self.content, self.model
        margins = (c.left, m.width - c.right, c.top, m.height - c.bottom)
        if not any(margins):
            return x
        if x.dtype == torch.bool:
            return F.pad(x.float(), margins, mode) > 0
        return F.pad(x, margins, mode)

    def _paste(self, shown: Tensor, source: Tensor | None = None) -> Tensor:
        if self._shows_all():
            return shown
        whole = shown.new_zeros((*shown.shape[:-2], self.source.height, self.source.width))
        if source is not None:
            whole += source.to(whole)
        self.view.cut(whole)[:] = shown
        return whole


def plan(
    width: int,
    height: int,
    centres: Sequence[int] = CENTRES,
    fit: str = "stretch",
    model: tuple[int, int] | None = None,
) -> Canvas:
    """Plan how a source of width x height px lies on the canvas.

    centres: areas to choose the model size from, by closest aspect ratio; with ByArea first by
    nearest area (see centres_for()). fit: "stretch" (as in the reference: the whole source,
    slightly distorted), "pad" (no distortion, border repeated) or "crop" (no distortion, margins
    cut off evenly). model: a fixed (width, height) in px, multiples of 16, instead of a choice.
    Raises CanvasError, with the numbers, for sizes that cannot be used.
    """
    if fit not in FITS:
        raise CanvasError(f"fit must be one of {', '.join(FITS)}. Got: {fit!r}")
    _check_source(width, height)
    if model is None:
        *chosen, centre = choose(width, height, centres)
        target = Size(*chosen)
    else:
        target, centre = Size(*model), 0
        if any(side < CELL or side % CELL for side in target):
            raise CanvasError(
                f"the model size must be in multiples of {CELL} px. "
                f"Got: {target.width} x {target.height}"
            )
    source = Size(width, height)
    whole_source, whole_model = Rect(0, 0, *source), Rect(0, 0, *target)
    if fit == "pad":
        return Canvas(source, target, fit, whole_source, _inscribed(source, target), centre)
    if fit == "crop":
        return Canvas(source, target, fit, _inscribed(target, source), whole_model, centre)
    return Canvas(source, target, fit, whole_source, whole_model, centre)


def _check_source(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise CanvasError(f"a picture has at least 1 x 1 px. Got: {width} x {height}")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise CanvasError(
            f"a picture of {width} x {height} px is too large (limit {MAX_SIDE} px a side and "
            f"{MAX_PIXELS // 10**6} million pixels); shrink it first"
        )


def _inscribed(inner: Size, outer: Size) -> Rect:
    """The largest centred rectangle of inner's aspect inside outer, at least 1 px a side."""
    if inner.width * outer.height >= outer.width * inner.height:
        width = outer.width
        height = max(1, _round_div(inner.height * outer.width, inner.width))
    else:
        height = outer.height
        width = max(1, _round_div(inner.width * outer.height, inner.height))
    left, top = (outer.width - width) // 2, (outer.height - height) // 2
    return Rect(left, top, left + width, top + height)


def _round_div(a: int, b: int) -> int:
    return (2 * a + b) // (2 * b)


def _scaled(rect: Rect, across: float, down: float) -> Rect:
    """The same rectangle in a picture scaled by these factors."""
    left, right = (round(edge * across) for edge in (rect.left, rect.right))
    top, bottom = (round(edge * down) for edge in (rect.top, rect.bottom))
    return Rect(left, top, right, bottom)


def _map_boxes(boxes: Tensor, old: Rect, new: Rect) -> Tensor:
    scale = boxes.new_tensor([new.width / old.width, new.height / old.height] * 2)
    return (boxes - boxes.new_tensor(old[:2] * 2)) * scale + boxes.new_tensor(new[:2] * 2)


def _clip_boxes(boxes: Tensor, size: Size) -> Tensor:
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([*size, *size]))
