"""Tensors of the host and of the core: the only file that changes a layout.

Host IMAGE: (B, H, W, C) float 0..1, C of 1 to 4. Host MASK: (B, H, W) or (H, W) float, 1 =
selected. Core: image_01 (B, 3, H, W) 0..1, pixels the same in -1..1, mask (B, H, W) float 0..1 or
bool. to_channels_first, to_channels_last and to_values never change a value.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...pixwizard_core.canvas import images
from ...pixwizard_core.errors import CanvasError

CHANNELS = (1, 2, 3, 4)  # grey or RGB, each with transparency or without


def to_channels_first(image: Tensor) -> Tensor:
    """Host IMAGE (B, H, W, C), or (H, W, C), -> (B, C, H, W) with the same values.

    Grey pictures without a channel axis, (B, H, W) or (H, W), get one channel. With three axes the
    last one decides, because a colour picture has 1 to 4 channels there. For every other shape,
    raises CanvasError that says what the axes are and what to do.
    """
    if image.ndim == 2 or (image.ndim == 3 and image.shape[-1] not in CHANNELS):
        image = image[..., None]
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[-1] not in CHANNELS:
        raise CanvasError(
            "an image must be (batch, height, width, channels) with 1 to 4 channels. Got: "
            f"{tuple(image.shape)}; {_advice(image)}"
        )
    return image.movedim(-1, 1)


def _advice(image: Tensor) -> str:
    """What to do about a shape that is no picture."""
    if image.ndim == 4 and image.shape[1] in CHANNELS:
        return "its channels come second: move them to the end, as image.movedim(1, -1) does"
    if image.ndim == 5:
        return "it looks like a video: give its frames as the batch"
    return "connect the IMAGE output of a load or decode node"


def to_channels_last(image: Tensor) -> Tensor:
    """(B, C, H, W) -> host IMAGE on the CPU, neither clamped nor cast."""
    return image.movedim(1, -1).cpu().contiguous()


def to_values(maps: Tensor) -> Tensor:
    """Numbers of any range (B, H, W) -> host IMAGE with three equal channels, not clamped."""
    return to_channels_last(maps[:, None].expand(-1, 3, -1, -1).float())


def to_image_01(image: Tensor) -> Tensor:
    """Host IMAGE -> (B, 3, H, W) float32 0..1; transparency dropped, grey repeated to three
    channels.

    Raises CanvasError when the tensor is no picture (see to_channels_first) or holds values
    that are not finite.
    """
    rgb, _ = images.ensure_rgb(to_channels_first(image))
    return rgb.float().contiguous()


def from_image_01(image_01: Tensor) -> Tensor:
    """(B, 3, H, W), or grey (B, H, W), in 0..1 -> host IMAGE (B, H, W, 3) float32 on the CPU;
    clamped."""
    if image_01.ndim == 3:
        image_01 = image_01[:, None].expand(-1, 3, -1, -1)
    return image_01.movedim(1, -1).clamp(0, 1).float().cpu().contiguous()


def size_of(picture: Tensor) -> tuple[int, int]:
    """(width, height) in px of a tensor (..., H, W), as canvases and boxes have it."""
    height, width = picture.shape[-2:]
    return width, height


def as_masks(mask: Tensor) -> Tensor:
    """Any host MASK -> (B, H, W) float32 0..1 of its own size."""
    if mask.ndim == 4 and mask.shape[-1] == 1 != mask.shape[1]:
        mask = mask[..., 0]
    return images.as_mask(mask).float()


def to_mask(mask: Tensor | None, image_01: Tensor) -> Tensor | None:
    """Any mask of a host node -> (B, H, W) float32 0..1 of the picture (B, 3, H, W), or None.

    Takes (H, W), (B, H, W), (B, 1, H, W) and (B, H, W, 1). One mask serves a whole batch, another
    size is resized, and the host's empty 64x64 mask counts as none. Raises CanvasError for anything
    else.
    """
    if mask is None or images.is_no_mask(mask):
        return None
    batch, _, height, width = image_01.shape
    return images.as_mask(as_masks(mask), size=(height, width), batch=batch)


def from_mask(mask: Tensor) -> Tensor:
    """(B, H, W) bool or 0..1 -> host MASK (B, H, W) float32 on the CPU; bool gives exactly 0 and
    1."""
    soft = mask.to(torch.float32)
    return (soft if mask.dtype == torch.bool else soft.clamp(0, 1)).cpu().contiguous()
