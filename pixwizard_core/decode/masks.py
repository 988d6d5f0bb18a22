"""Masks from answer pictures: black and white ones, and tints laid over the source."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DecodeError
from . import morphology
from .common import Rgb, picture, rgb_of, same_size
from .components import label

HIGHLIGHT_OPACITY = 0.5  # paper B.2: the tint is laid on at half opacity
WINDOW = (
    5  # px a side; a pixel whose source colour is close to the tint is undecided, so its neighbours
)
BORROWING = 0.1  # help to decide, with this weight against its squared colour difference
HUE_TOLERANCE_DEG = 25.0
MIN_SATURATION = 0.35
MIN_VALUE = 0.2


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What to do to a mask, in this order. Areas in square pixels, lengths in pixels; 0 is off.

    fill_holes: close regions that do not reach the border. min_area: drop smaller objects.
    largest_only: keep one object. grow: widen, or narrow when negative. feather: soften the edge
    over about this width.
    """

    fill_holes: bool = False
    min_area: int = 0
    largest_only: bool = False
    grow: int = 0
    feather: float = 0.0


@dataclass(frozen=True, slots=True)
class Objects:
    """The separate objects of one mask, largest first.

    masks: (N, H, W) bool. boxes_xyxy_px: (N, 4) long, right and bottom exclusive. areas_px: (N,)
    long.
    """

    masks: Tensor
    boxes_xyxy_px: Tensor
    areas_px: Tensor

    def __len__(self) -> int:
        return self.masks.shape[0]


def decode_mask(image_01: Tensor, threshold: float | str = 0.5) -> Tensor:
    """White parts of a black and white answer: (B, C, H, W) to (B, H, W) bool.

    threshold: grey level 0..1 above which a pixel is selected, or "otsu" for the level that best
    separates the greys of each picture (a picture of one grey falls back to 0.5). Raises
    DecodeError for other values.
    """
    grey = picture(image_01).mean(1)
    if threshold == "otsu":
        levels = torch.stack([otsu(one) for one in grey])
        return grey > levels[:, None, None]
    if isinstance(threshold, str) or not 0 <= threshold <= 1:
        raise DecodeError(f'the threshold must be 0 to 1 or "otsu". Got: {threshold!r}')
    return grey > threshold


def otsu(grey: Tensor) -> Tensor:
    """Otsu's level of (H, W) in 0..1 over 256 steps: the one with the least variance within both
    classes."""
    counts = (grey * 255).round().long().flatten().cpu().bincount(minlength=256).double()
    if int((counts > 0).sum()) < 2:
        return grey.new_tensor(0.5)
    values = torch.arange(256, dtype=torch.float64, device="cpu")
    below, above = counts.cumsum(0), counts.sum() - counts.cumsum(0)
    sum_below = (counts * values).cumsum(0)
    mean_below = sum_below / below.clamp(min=1)
    mean_above = ((counts * values).sum() - sum_below) / above.clamp(min=1)
    between = below * above * (mean_below - mean_above) ** 2
    best = (between >= between.max() * (1 - 1e-9)).nonzero().double().mean()  # middle of a tie
    return grey.new_tensor((float(best) + 0.5) / 255)


def decode_highlight(
    image_01: Tensor,
    source_01: Tensor,
    colour: str | Rgb,
    *,
    opacity: float = HIGHLIGHT_OPACITY,
) -> Tensor:
    """Find where the answer is the source with a tint on it: two (B, C, H, W) in 0..1 to (B, H, W)
    bool: where tint_share() is above opacity / 2. Raises DecodeError when the sizes differ.
    """
    return tint_share(image_01, source_01, colour) > opacity / 2


def tint_share(image_01: Tensor, source_01: Tensor, colour: str | Rgb) -> Tensor:
    """How much of the tint lies on each pixel: two (B, C, H, W) in 0..1 to (B, H, W), 0 = none, 1 =
    opaque, also slightly outside.

    Solves answer = (1 - a) source + a colour for a by least squares, regularised towards the
    solution of a small window around each pixel. Raises DecodeError when the sizes differ.
    """
    answer = picture(image_01)
    source = same_size(answer, source_01)
    tint = answer.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    towards = tint - source
    explained = ((answer - source) * towards).sum(1)
    possible = (towards * towards).sum(1).expand_as(explained)
    reach = WINDOW // 2
    around, possible_around = (
        F.avg_pool2d(F.pad(x[:, None], [reach] * 4, "replicate"), WINDOW, 1)[:, 0]
        for x in (explained, possible)
    )
    nearby = around / possible_around.clamp(min=1e-3)
    return (explained + BORROWING * nearby) / (possible + BORROWING)


def decode_highlight_hsv(
    image_01: Tensor, colour: str | Rgb, *, tolerance_deg: float = HUE_TOLERANCE_DEG
) -> Tensor:
    """Find where the answer has the tint's hue and is vivid. Source: paper D.3; needs no source
    picture.

    (B, C, H, W) in 0..1 to (B, H, W) bool. Objects that already have the hue are selected too.
    tolerance_deg: largest difference of hue, in degrees. Raises DecodeError for white and greys,
    which have no hue.
    """
    wanted = picture(
        torch.tensor(rgb_of(colour), dtype=torch.float32, device="cpu").view(1, 3, 1, 1) / 255
    )
    hue, saturation, _ = (x.squeeze() for x in to_hsv(wanted))
    if saturation < MIN_SATURATION:
        raise DecodeError(
            f"colour {colour!r} has no hue to look for; compare with the source picture instead"
        )
    hue_px, saturation_px, value_px = to_hsv(picture(image_01))
    apart = (hue_px - hue.to(hue_px) + 180) % 360 - 180
    return (
        (apart.abs() <= tolerance_deg) & (saturation_px >= MIN_SATURATION) & (value_px >= MIN_VALUE)
    )


def to_hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3, H, W) in 0..1 to hue in degrees 0..360, saturation and value 0..1, each (B, H, W);
    grey has hue 0."""
    value, top = rgb.max(1)
    chroma = value - rgb.amin(1)
    safe = chroma.clamp(min=1e-8)
    red, green, blue = rgb.unbind(1)
    sixth = torch.where(
        top == 0,
        (green - blue) / safe,
        torch.where(top == 1, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = torch.where(chroma > 0, sixth * 60 % 360, 0.0)
    return hue, torch.where(value > 0, chroma / value.clamp(min=1e-8), 0.0), value


def clean(mask: Tensor, cleanup: Cleanup) -> Tensor:
    """Apply a Cleanup to (B, H, W) bool. Returns bool, or float32 in 0..1 when feathered."""
    if cleanup.fill_holes:
        mask = morphology.fill_holes(mask)
    if cleanup.min_area > 1:
        mask = morphology.drop_small(mask, cleanup.min_area)
    if cleanup.largest_only:
        mask = morphology.largest(mask)
    mask = morphology.grow(mask, cleanup.grow)
    return morphology.feather(mask, cleanup.feather) if cleanup.feather > 0 else mask


def objects(mask: Tensor, *, min_area: int = 1, limit: int | None = None) -> Objects:
    """Split one mask (H, W) bool into connected objects, largest first, then in reading order.

    min_area: smallest area to keep, in square px. limit: keep at most this many. An empty mask
    gives N = 0 with shapes kept.
    """
    labels, count = label(mask)
    areas = labels.cpu().flatten().bincount(minlength=count + 1)[1:]
    order = areas.argsort(descending=True, stable=True)
    order = order[areas[order] >= max(1, min_area)][:limit]
    masks = labels[None] == (order + 1).to(labels.device)[:, None, None]
    return Objects(masks, mask_boxes(masks), areas[order].to(mask.device))


def mask_boxes(masks: Tensor) -> Tensor:
    """Tight boxes of (N, H, W) bool: (N, 4) long xyxy, right and bottom exclusive; zeros for an
    empty mask."""
    sides: list[tuple[Tensor, Tensor]] = []
    for across in (masks.any(1), masks.any(2)):  # columns give x, rows give y
        first = across.int().argmax(1)
        last = across.shape[1] - across.flip(1).int().argmax(1)
        sides.append((first, last * across.any(1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], 1)
