"""One depth map from several runs of the same picture, and how far they agree."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DecodeError

ROUNDS = 8
FIT_SIDE = 384  # scale and shift are fitted on a grid of about this many points a side
OUTLIERS = 3.0  # the fit ignores a point this many times the typical difference away
MAD_TO_DEVIATION = 1.4826  # for a normal distribution


class Merged(NamedTuple):
    """depth: (H, W), the median of each pixel. uncertainty: (H, W), the standard deviation of the
    runs at each pixel, estimated from their median deviation, in the unit of depth. aligned:
    (N, H, W)."""

    depth: Tensor
    uncertainty: Tensor
    aligned: Tensor


def merge_depths(depths: Tensor, *, align: bool = True) -> Merged:
    """Merge depth maps (N, H, W) of one picture, each correct up to a scale and shift of its own.

    Fits every map by scale and shift to the common median, recomputed after each round; outliers
    are ignored. The result keeps the mean level and spread of the input. Polarity must agree. A
    single map is returned unchanged with uncertainty 0. Raises DecodeError for an empty input or
    one that is not finite.
    """
    if depths.ndim != 3 or not len(depths):
        raise DecodeError(f"depth maps must be (N, H, W), N at least 1. Got: {tuple(depths.shape)}")
    if not bool(torch.isfinite(depths).all()):
        raise DecodeError("a depth map holds values that are not finite; run its VAE in float32")
    depths = depths.float()
    if align and len(depths) > 1:
        depths = _aligned(depths)
    middle = _median(depths)
    return Merged(middle, _median((depths - middle).abs()) * MAD_TO_DEVIATION, depths)


def _median(maps: Tensor) -> Tensor:
    """Median along the first axis; the mean of the middle two when the count is even."""
    count = len(maps)
    return maps.sort(0).values[(count - 1) // 2 : count // 2 + 1].mean(0)


def _aligned(depths: Tensor) -> Tensor:
    step_y, step_x = (max(1, side // FIT_SIDE) for side in depths.shape[1:])
    points = depths[:, ::step_y, ::step_x].flatten(1).double()
    level, width = points.mean(1).mean(), points.std(1, correction=0).mean()
    common = points.median(0).values
    scale, shift = (
        torch.ones(len(points), 1, dtype=torch.float32, device="cpu"),
        torch.zeros(len(points), 1, dtype=torch.float32, device="cpu"),
    )
    scale, shift = scale.to(points), shift.to(points)
    for _ in range(ROUNDS):
        moved = points * scale + shift
        apart = (moved - common).abs()
        weight = (apart <= OUTLIERS * apart.median(1, keepdim=True).values + 1e-9).double()
        scale, shift = _fit(points, common, weight)
        common = (points * scale + shift).median(0).values
        # Each fit to a mean comes out slightly flat; without this the maps would shrink to nothing.
        if common.std(correction=0) > 0:
            common = (common - common.mean()) * (width / common.std(correction=0)) + level
    return (depths * scale[..., None] + shift[..., None]).to(depths.dtype)


def _fit(points: Tensor, common: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (never negative) and shift, (N, 1) each, that fit each row to common by weighted least
    squares."""
    total = weight.sum(1, keepdim=True)
    mean_x = (weight * points).sum(1, keepdim=True) / total
    mean_y = (weight * common).sum(1, keepdim=True) / total
    spread = (weight * (points - mean_x) ** 2).sum(1, keepdim=True)
    both = (weight * (points - mean_x) * (common - mean_y)).sum(1, keepdim=True)
    scale = torch.where(spread > 0, both / spread.clamp(min=1e-30), 0.0).clamp(min=0)
    return scale, mean_y - scale * mean_x
