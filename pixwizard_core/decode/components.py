"""Connected regions of masks and distances within them, computed with scipy, which the host
already includes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def label(mask: Tensor, diagonal: bool = True) -> tuple[Tensor, int]:
    """Number the connected regions of a mask.

    mask: (H, W) bool, any device. diagonal: whether touching corners connect. Returns labels (H, W)
    long on the same device, 0 outside and 1..count inside in reading order, and count.
    """
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(2, 2 if diagonal else 1)
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask.cpu().numpy(), structure, labels)
    numbers = torch.from_numpy(labels).long().to(mask.device)
    return numbers, int(numbers.max()) if numbers.numel() else 0


def distance_inside(mask: Tensor) -> Tensor:
    """Distance in px of each selected pixel of (H, W) bool to the nearest unselected one, between
    pixel centres: (H, W) float32, 0 outside, infinite where nothing is unselected."""
    from scipy import ndimage

    if bool(mask.all()):
        return torch.full(mask.shape, torch.inf, device=mask.device, dtype=torch.float32)
    distances = ndimage.distance_transform_edt(mask.cpu().numpy())
    return torch.from_numpy(distances).float().to(mask.device)


def nearest_outside(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (H, W) long of the unselected pixel nearest to each pixel of (H, W) bool,
    which has at least one."""
    from scipy import ndimage

    places = ndimage.distance_transform_edt(
        mask.cpu().numpy(), return_distances=False, return_indices=True
    )
    rows, columns = torch.from_numpy(places).long().to(mask.device)
    return rows, columns
