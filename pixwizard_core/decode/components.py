"""Connected regions of masks and distances within them, computed with scipy, which the host
already includes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..torch_types import from_numpy


def _ndimage() -> Any:
    """scipy.ndimage, which has no types of its own."""
    from scipy import ndimage  # pyright: ignore[reportMissingTypeStubs]

    return cast(Any, ndimage)


def label(mask: Tensor, diagonal: bool = True) -> tuple[Tensor, int]:
    """Number the connected regions of a mask.

    mask: (H, W) bool, any device. diagonal: whether touching corners connect. Returns labels (H, W)
    long on the same device, 0 outside and 1..count inside in reading order, and count.
    """
    ndimage = _ndimage()
    structure = ndimage.generate_binary_structure(2, 2 if diagonal else 1)
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask.cpu().numpy(), structure, labels)
    numbers = from_numpy(labels).long().to(mask.device)
    return numbers, int(numbers.max()) if numbers.numel() else 0


def without_holes(mask: Tensor) -> Tensor:
    """The mask (H, W) bool with the unselected regions that do not reach the border selected."""
    return from_numpy(_ndimage().binary_fill_holes(mask.cpu().numpy())).to(mask.device)


def distance_inside(mask: Tensor) -> Tensor:
    """Distance in px of each selected pixel of (H, W) bool to the nearest unselected one, between
    pixel centres: (H, W) float32, 0 outside, infinite where nothing is unselected."""
    if bool(mask.all()):
        return torch.full(mask.shape, torch.inf, device=mask.device, dtype=torch.float32)
    distances = _ndimage().distance_transform_edt(mask.cpu().numpy())
    return from_numpy(distances).float().to(mask.device)


def nearest_outside(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (H, W) long of the unselected pixel nearest to each pixel of (H, W) bool,
    which has at least one."""
    places = _ndimage().distance_transform_edt(
        mask.cpu().numpy(), return_distances=False, return_indices=True
    )
    rows, columns = from_numpy(places).long().to(mask.device)
    return rows, columns
