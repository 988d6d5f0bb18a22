"""The boundary between host and core tensors: with exact.py, the only file that changes a layout.

Host IMAGE: (B, H, W, C) float 0..1, C of 1 to 4. Host MASK: (B, H, W) or (H, W) float, 1 =
selected. Core: image_01 (B, 3, H, W) 0..1, pixels the same in -1..1, mask (B, H, W) float 0..1 or
bool.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...pixwizard_core.canvas import images
from ...pixwizard_core.decode.masks import objects
from .exact import to_channels_first

MAX_OBJECTS = 64  # of one picture; each takes a mask of the picture's size


def to_image_01(image: Tensor) -> Tensor:
    """Host IMAGE -> (B, 3, H, W) float32 0..1; transparency dropped, grey repeated to three
    channels.

    Raises CanvasError when the tensor is no picture (see exact.to_channels_first) or holds values
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


def as_masks(mask: Tensor) -> Tensor:
    """Any host MASK -> (B, H, W) float32 0..1 of its own size."""
    if mask.ndim == 4 and mask.shape[-1] == 1 != mask.shape[1]:
        mask = mask[..., 0]
    return images.as_mask(mask).float()


def to_mask(mask: Tensor | None, image_01: Tensor) -> Tensor | None:
    """Any mask a host node hands out -> (B, H, W) float32 0..1 of the picture (B, 3, H, W), or
    None.

    Accepts (H, W), (B, H, W), (B, 1, H, W) and (B, H, W, 1). One mask serves a whole batch; another
    size is resized; the host's empty 64x64 mask counts as none. Raises CanvasError for anything
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


def stack_masks(masks: list[Tensor], like: Tensor) -> Tensor:
    """(H, W) bool masks -> host MASK (N, H, W); a batch cannot be empty, so none gives one empty
    mask.

    like: (B, H, W), for the size when there is none.
    """
    return from_mask(torch.stack(masks) if masks else like.new_zeros(1, *like.shape[1:]))


def separate_objects(selected: Tensor) -> list[Tensor]:
    """Connected objects of (B, H, W) bool as one (H, W) mask each, picture by picture, largest
    first, at most MAX_OBJECTS of a picture."""
    return [one for mask in selected for one in objects(mask, limit=MAX_OBJECTS).masks]
