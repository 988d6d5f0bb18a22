"""Growing, shrinking, filling and softening of masks (B, H, W)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .components import distance_inside, label, without_holes


def grow(mask: Tensor, radius: int) -> Tensor:
    """Add every pixel within radius px (Euclidean) of a bool mask; a negative radius shrinks by as
    much.

    Beyond the border counts as not selected when growing and as selected when shrinking, so an
    object that runs out of the picture keeps touching its border.
    """
    if radius == 0:
        return mask
    if radius < 0:
        return ~grow(~mask, -radius)
    return _each(mask, lambda one: distance_inside(~one) <= radius)


def fill_holes(mask: Tensor) -> Tensor:
    """Select the unselected regions of a bool mask that do not reach the border."""
    return _each(mask, without_holes)


def drop_small(mask: Tensor, min_area: int) -> Tensor:
    """Unselect connected regions of fewer than min_area px."""
    return _each(mask, lambda one: _keep(one, lambda areas: areas >= min_area))


def largest(mask: Tensor) -> Tensor:
    """Keep only the largest connected region of each mask, the first of equals."""
    return _each(
        mask,
        lambda one: _keep(
            one,
            lambda areas: (
                torch.arange(len(areas), dtype=torch.int64, device="cpu") == areas.argmax()
            ),
        ),
    )


def feather(mask: Tensor, radius: float) -> Tensor:
    """Soft edge: Gaussian blur with standard deviation radius / 2 px; float32 in 0..1, the border
    is repeated."""
    soft = mask.float()
    if radius <= 0:
        return soft
    reach = math.ceil(1.5 * radius)
    offsets = torch.arange(-reach, reach + 1, device=mask.device, dtype=torch.float32)
    weights = torch.exp(-2 * (offsets / radius) ** 2)
    weights = (weights / weights.sum()).view(1, 1, 1, -1)
    soft = F.conv2d(F.pad(soft[:, None], (reach, reach, 0, 0), "replicate"), weights)
    soft = F.conv2d(F.pad(soft, (0, 0, reach, reach), "replicate"), weights.transpose(2, 3))
    return soft[:, 0].clamp(0, 1)


def _each(mask: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([function(one) for one in mask]) if len(mask) else mask


def _keep(mask: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    labels, count = label(mask)
    if count == 0:
        return mask
    areas = labels.cpu().flatten().bincount(minlength=count + 1)[1:]
    chosen = torch.cat([torch.tensor([False], dtype=torch.bool, device="cpu"), choose(areas)]).to(
        mask.device
    )
    return chosen[labels]
