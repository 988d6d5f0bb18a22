"""Pictures as people hold them, brought to one form: Pillow, NumPy, torch, or a file's path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..canvas.images import EIGHT_BIT, check_finite, ensure_rgb
from ..errors import CanvasError
from ..torch_types import from_numpy
from .picture_files import open_picture, to_tensor, upright

KINDS = (
    "a path, a Pillow image, a NumPy array (H, W, 3) or a torch tensor (3, H, W); uint8 in 0..255 "
    "or floats in 0..1; or a list of these, all of one size"
)


def as_image_01(value: Any, what: str = "image") -> Tensor:
    """Any picture or batch of pictures as (B, 3, H, W) float32 in 0..1 on the CPU.

    value: see KINDS. Arrays may be (H, W) grey, (H, W, C) or (B, H, W, C); tensors (H, W),
    (C, H, W) or (B, C, H, W); C from 1 to 4. Pillow images are turned upright. Transparency is laid
    on white. Raises CanvasError saying what was met.
    """
    if isinstance(value, (list, tuple)):
        return _batch(cast("Sequence[Any]", value), what)
    if isinstance(value, (str, Path)):
        return open_picture(value)
    if is_pillow(value):
        return to_tensor(upright(value), what)
    if isinstance(value, Tensor):
        return _of_tensor(value, what)
    if hasattr(value, "__array__"):
        import numpy as np

        return _of_array(np.asarray(value), what)
    raise CanvasError(f"{what} must be {KINDS}. Got: {type(value).__name__}")


def is_pillow(value: Any) -> bool:
    """Whether this is a Pillow image, without importing Pillow."""
    return hasattr(value, "getexif") and hasattr(value, "convert")


def _batch(values: Sequence[Any], what: str) -> Tensor:
    if not values:
        raise CanvasError(f"{what} is an empty list; give at least one picture")
    made = [as_image_01(one, f"{what} {place}") for place, one in enumerate(values)]
    sizes = {tuple(one.shape[-2:]) for one in made}
    if len(sizes) > 1:
        told = ", ".join(f"{width} x {height}" for height, width in sorted(sizes))
        raise CanvasError(f"the pictures of a batch must have one size. Got: {told} px")
    return torch.cat(made)


def _of_array(array: Any, what: str) -> Tensor:
    if array.ndim not in (2, 3, 4) or not (array.ndim == 2 or array.shape[-1] in (1, 2, 3, 4)):
        raise CanvasError(
            f"{what} as a NumPy array must be (H, W), (H, W, C) or (B, H, W, C) with 1 to 4 "
            f"channels last. Got: {' x '.join(map(str, array.shape))}"
        )
    tensor = tensor_of(array, what)
    return _of_tensor(tensor if array.ndim == 2 else tensor.movedim(-1, -3), what)


def tensor_of(array: Any, what: str) -> Tensor:
    """A copy of a NumPy array as a tensor. Raises CanvasError for signed integers and the like."""
    if array.dtype.kind not in "bfu":
        raise CanvasError(f"{what} must hold uint8 or floats. Got: {array.dtype}")
    return from_numpy(array.copy())


def _of_tensor(tensor: Tensor, what: str) -> Tensor:
    met = tensor.shape
    while 2 <= tensor.ndim < 4:
        tensor = tensor[None]
    if tensor.ndim != 4 or tensor.shape[1] not in (1, 2, 3, 4):
        raise CanvasError(
            f"{what} as a tensor must be (H, W), (C, H, W) or (B, C, H, W) with 1 to 4 channels. "
            f"Got: {' x '.join(map(str, met))}"
        )
    colour, alpha = ensure_rgb(values_01(tensor, what), what)
    if alpha is None:
        return colour.contiguous()
    return colour * alpha[:, None] + (1 - alpha[:, None])


def values_01(tensor: Tensor, what: str) -> Tensor:
    """The values of a picture or mask of any shape as float32 in 0..1 on the CPU: bool, uint8 in
    0..255, or floats in 0..1. Raises CanvasError for others, beginning with what."""
    values = tensor.detach().cpu()
    if values.dtype == torch.uint8:
        values = values.float() / EIGHT_BIT
    elif values.dtype == torch.bool:
        values = values.float()
    elif not values.is_floating_point():
        raise CanvasError(f"{what} must hold uint8 or floats. Got: {values.dtype}")
    values = values.float()
    check_finite(values, what)
    low, high = (float(values.min()), float(values.max())) if values.numel() else (0.0, 0.0)
    if low < 0 or high > 1:
        raise CanvasError(
            f"{what} holds floats from {low:.4g} to {high:.4g}; they must lie in 0..1. Divide "
            "8-bit values by 255, and bring -1..1 to 0..1 by (x + 1) / 2"
        )
    return values
