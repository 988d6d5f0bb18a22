"""Enlarge what was read at the model's size so that its edges follow those of the large source.

Joint bilateral upsampling (Kopf and others, 2007): each pixel of the source takes the mean of the
values around it, and those whose small picture has its colour weigh most. kornia's
joint_bilateral_blur works at one size only, and needs the whole window in memory at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 2  # px of the small picture to each side
PLACE_SIGMA = 1.0  # px of the small picture
COLOUR_SIGMA = 0.06  # L2 of RGB in 0..1; 0.04 to 0.08 do as well on rooms, photographs have noise
LEAST = 1e-3  # weight of a colour that does not fit at all, so that some weight is always left
BAND_PX = 1 << 20  # of the result at a time, so that memory does not grow with it


def guided_resize(
    values: Tensor,
    small_01: Tensor,
    large_01: Tensor,
    *,
    reach: int = REACH,
    place_sigma: float = PLACE_SIGMA,
    colour_sigma: float = COLOUR_SIGMA,
) -> Tensor:
    """Values (B, C, h, w) at the size of large_01: (B, C, H, W), float32.

    small_01: (B or 1, 3, h, w) in 0..1, the picture that the values were read from. large_01: (B or
    1, 3, H, W), the same at its own size. reach, place_sigma: px of the small picture. Each result
    is a mean of values with weights that sum to 1, so it stays in their range. Raises ValueError
    when the sizes of the first two differ.
    """
    if values.shape[-2:] != small_01.shape[-2:]:
        raise ValueError(
            f"values and their picture must have one size. Got: {tuple(values.shape[-2:])} and "
            f"{tuple(small_01.shape[-2:])}"
        )
    batch = max(len(values), len(small_01), len(large_01))
    height, width = large_01.shape[-2:]
    known = torch.cat([
        values.float().expand(batch, -1, -1, -1),
        small_01.to(values.device).float().expand(batch, -1, -1, -1),
    ], 1)  # fmt: skip
    result = values.new_empty((batch, values.shape[1], height, width), dtype=torch.float32)
    rows = max(1, BAND_PX // max(1, width * batch))
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        large = large_01[..., start:stop, :].to(values.device).float()
        down = _places(start, stop, height, known.shape[-2], known.device)
        across = _places(0, width, width, known.shape[-1], known.device)
        result[..., start:stop, :] = _weighted(
            known, large, down, across, reach, place_sigma, colour_sigma
        )
    return result


def _places(start: int, stop: int, count: int, small: int, device: torch.device) -> Tensor:
    """Where the centres of pixels start..stop of count lie among small ones: (n,) float64."""
    index = torch.arange(start, stop, dtype=torch.float64, device="cpu")
    return ((index + 0.5) * small / count - 0.5).to(device, torch.float32)


def _weighted(
    known: Tensor, large: Tensor, down: Tensor, across: Tensor,
    reach: int, place_sigma: float, colour_sigma: float,
) -> Tensor:  # fmt: skip
    """The weighted means for one band of rows. known: values and then red, green and blue."""
    channels = known.shape[1] - 3
    shape = (len(known), 1, len(down), len(across))
    total = known.new_zeros((len(known), channels, *shape[2:]))
    weights = known.new_zeros(shape)
    for dy in range(-reach, reach + 1):
        rows, by_row = _step(down, dy, known.shape[-2], place_sigma)
        strip = known.index_select(2, rows)
        for dx in range(-reach, reach + 1):
            columns, by_column = _step(across, dx, known.shape[-1], place_sigma)
            here = strip.index_select(3, columns)
            apart = (here[:, channels:] - large).square_().sum(1, keepdim=True)
            weight = apart.mul_(-0.5 / colour_sigma**2).exp_().add_(LEAST)
            weight *= by_row[:, None] * by_column
            total.addcmul_(here[:, :channels], weight)
            weights += weight
    return total.div_(weights)


def _step(places: Tensor, by: int, size: int, sigma: float) -> tuple[Tensor, Tensor]:
    """The small pixels that lie `by` from the nearest to each place, and their weights by
    distance. Beyond the border the last pixel is repeated."""
    found = places.round() + by
    weight = torch.exp((found - places).square() * (-0.5 / sigma**2))
    return found.long().clamp(0, size - 1), weight
