"""Convert pictures and masks from outside to one form, and resize them.

image_01 is (B, C, H, W) float in 0..1, pixels are the same in -1..1, a mask is (B, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CanvasError
from .resample import nearest, resample

EIGHT_BIT = 255
NO_MASK_SIDE = 64  # the host's loader gives a black 64 x 64 mask for a picture without transparency


def to_pixels(image_01: Tensor) -> Tensor:
    """0..1 to -1..1."""
    return image_01 * 2 - 1


def to_image_01(pixels: Tensor) -> Tensor:
    """-1..1 to 0..1, clamped."""
    return ((pixels + 1) / 2).clamp(0, 1)


def check_image(image: Tensor, what: str = "image") -> None:
    """Raise CanvasError unless image is a non-empty float (B, C, H, W) with only finite values."""
    if image.ndim != 4:
        raise CanvasError(
            f"{what} must have four axes (batch, channel, height, width). Got: {_shape(image)}"
        )
    if not image.is_floating_point():
        raise CanvasError(
            f"{what} must hold floats in 0..1; divide 8-bit values by 255. Got: {image.dtype}"
        )
    if image.numel() == 0:
        raise CanvasError(
            f"{what} is empty; give at least one picture of 1 x 1 px. Got: {_shape(image)}"
        )
    check_finite(image, what)


def check_finite(x: Tensor, what: str) -> None:
    """Raise CanvasError with the count when x holds NaN or infinity."""
    if not x.is_floating_point():
        return
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise CanvasError(
            f"{what} holds {bad} values that are not finite, of {x.numel()}; an earlier step "
            "overflowed (often a VAE in half precision): run it in float32 or bfloat16"
        )


def ensure_rgb(image: Tensor, what: str = "image") -> tuple[Tensor, Tensor | None]:
    """Split any picture into colour and transparency.

    image: (B, C, H, W) float, C of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
    Returns (B, 3, H, W) and alpha (B, H, W) or None. Raises CanvasError for anything else.
    """
    check_image(image, what)
    channels = image.shape[1]
    if channels not in (1, 2, 3, 4):
        raise CanvasError(
            f"{what} must have 1 to 4 channels (grey or RGB, alpha or not) on its second axis. "
            f"Got: {channels}, of {_shape(image)}; move the channels there"
        )
    alpha = image[:, -1] if channels in (2, 4) else None
    colour = image[:, :3] if channels >= 3 else image[:, :1].expand(-1, 3, -1, -1)
    return colour, alpha


def as_mask(
    mask: Tensor, *, size: tuple[int, int] | None = None, batch: int | None = None
) -> Tensor:
    """Convert any mask to (B, H, W) in 0..1, float32 (bool stays bool).

    mask: (H, W), (B, H, W), (B, 1, H, W) or (B, C, H, W) with equal channels. size: wanted (height,
    width) in px. batch: wanted B; one mask serves a whole batch. Raises CanvasError for other
    shapes, NaN or a batch that does not match.
    """
    if mask.ndim == 4:
        if mask.shape[1] != 1 and not bool((mask == mask[:, :1]).all()):
            raise CanvasError(
                f"a mask has one channel; pick a channel of the picture first. Got: {_shape(mask)}"
            )
        mask = mask[:, 0]
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3:
        raise CanvasError(f"a mask must be (H, W), (B, H, W) or (B, 1, H, W). Got: {_shape(mask)}")
    if mask.shape[-1] == 0 or mask.shape[-2] == 0:
        raise CanvasError(f"the mask is empty. Got: {_shape(mask)}")
    check_finite(mask, "mask")
    if mask.dtype != torch.bool:
        mask = mask.float().clamp(0, 1)
    if size is not None:
        mask = resize_mask(mask, *size)
    if batch is not None and mask.shape[0] != batch:
        if mask.shape[0] != 1:
            raise CanvasError(
                f"{mask.shape[0]} masks for {batch} pictures; give one mask, or one for each"
            )
        mask = mask.expand(batch, -1, -1)
    return mask


def is_no_mask(mask: Tensor) -> bool:
    """Whether this is the host's stand-in for "no mask": all zero and 64 x 64."""
    return tuple(mask.shape[-2:]) == (NO_MASK_SIDE, NO_MASK_SIDE) and not bool(mask.any())


def resize_image(image_01: Tensor, height: int, width: int, *, eight_bit: bool = False) -> Tensor:
    """Resize (..., H, W) by Lanczos, clamped to 0..1.

    eight_bit: round to 1/255 after each pass, which reproduces Pillow's resize of an 8-bit picture,
    as in the released model's training. An unchanged size returns the tensor itself.
    """
    if tuple(image_01.shape[-2:]) == (height, width):
        return image_01
    return resample(image_01, height, width, "lanczos", EIGHT_BIT if eight_bit else None).clamp(
        0, 1
    )


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Resize (..., H, W) without overshoot. Bool masks, and floats that are all 0 or 1, stay
    binary: a pixel is selected when at least half of it is covered."""
    if tuple(mask.shape[-2:]) == (height, width):
        return mask
    soft = resample(mask.float(), height, width, "triangle")
    if mask.dtype == torch.bool:
        return soft >= 0.5
    if bool(((mask == 0) | (mask == 1)).all()):
        return (soft >= 0.5).to(mask.dtype)
    return soft.clamp(0, 1).to(mask.dtype)


def resize_labels(labels: Tensor, height: int, width: int) -> Tensor:
    """Resize (..., H, W) by nearest pixel, any dtype; creates no new labels."""
    if tuple(labels.shape[-2:]) == (height, width):
        return labels
    return nearest(labels, height, width)


def _shape(x: Tensor) -> str:
    return " x ".join(map(str, x.shape)) or "a single number"
