"""Separable resampling with antialiasing, on any device, for tensors of any leading shape.

Lanczos follows Pillow's: pixel centres at half integers, a window of three lobes widened by the
shrink factor, weights that sum to one, columns first and rows second. (Pillow 13 starts with the
cheaper axis; the released model was trained on pictures from earlier versions.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 128  # outputs per dense product; the whole weight matrix would be mostly zeros


def lanczos3(x: Tensor) -> Tensor:
    """Sinc windowed to three lobes: sinc(x) sinc(x/3) inside |x| < 3, else 0."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


def triangle(x: Tensor) -> Tensor:
    """Triangle filter: linear interpolation when enlarging, a weighted area mean when shrinking;
    never overshoots."""
    return (1 - x.abs()).clamp(min=0)


FILTERS = {"lanczos": (lanczos3, 3.0), "triangle": (triangle, 1.0)}


def resample(
    image: Tensor, height: int, width: int, filter: str, levels: int | None = None
) -> Tensor:
    """Resize the last two axes to (height, width).

    image: (..., H, W) float. filter: a key of FILTERS. levels: when given, values are taken as 0..1
    and each pass is clamped and rounded to that many steps, as an 8-bit resize does with 255. Works
    in float32, returns image.dtype. An axis that keeps its size is not touched.
    """
    out = image.float()
    if width != image.shape[-1]:
        out = _quantise(_along_last(out, width, filter), levels)
    if height != image.shape[-2]:
        out = _along_last(out.transpose(-1, -2), height, filter).transpose(-1, -2)
        out = _quantise(out, levels).contiguous()
    return out.to(image.dtype)


def nearest(image: Tensor, height: int, width: int) -> Tensor:
    """Resize the last two axes by taking the pixel under each new pixel's centre; any dtype, no new
    values."""
    rows = _nearest_index(image.shape[-2], height, image.device)
    columns = _nearest_index(image.shape[-1], width, image.device)
    return image.index_select(-2, rows).index_select(-1, columns)


def _nearest_index(size: int, new_size: int, device: torch.device) -> Tensor:
    # Whole numbers only, so no rounding can shift a boundary: floor((i + 1/2) * size / new_size).
    return (
        (2 * torch.arange(new_size, device=device, dtype=torch.int64) + 1) * size // (2 * new_size)
    )


def _along_last(x: Tensor, new_size: int, filter: str) -> Tensor:
    first, weights = _weights(x.shape[-1], new_size, filter)
    size, taps = x.shape[-1], weights.shape[1]
    out = x.new_empty((*x.shape[:-1], new_size))
    for start in range(0, new_size, BLOCK):
        stop = min(start + BLOCK, new_size)
        left = int(first[start])
        right = min(size, int(first[stop - 1]) + taps)
        rows = first[start:stop, None] - left + torch.arange(taps, dtype=torch.int64, device="cpu")
        matrix = torch.zeros(stop - start, int(rows.max()) + 1, dtype=torch.float32, device="cpu")
        matrix.scatter_add_(1, rows, weights[start:stop])
        out[..., start:stop] = x[..., left:right] @ matrix[:, : right - left].T.to(x.device)
    return out


def _weights(size: int, new_size: int, filter: str) -> tuple[Tensor, Tensor]:
    """First source index (new_size,) and weights (new_size, taps) of each output; weights outside
    are 0."""
    function, support = FILTERS[filter]
    scale = size / new_size
    widen = max(scale, 1.0)
    reach = support * widen
    middle = (torch.arange(new_size, dtype=torch.float64, device="cpu") + 0.5) * scale
    first = (middle - reach + 0.5).floor().clamp(min=0).long()
    last = (middle + reach + 0.5).floor().clamp(max=size).long()  # exclusive
    index = first[:, None] + torch.arange(math.ceil(reach) * 2 + 1, dtype=torch.int64, device="cpu")
    weights = function((index.double() + 0.5 - middle[:, None]) / widen)
    weights = torch.where(index < last[:, None], weights, torch.zeros_like(weights))
    return first, (weights / weights.sum(1, keepdim=True)).float()


def _quantise(x: Tensor, levels: int | None) -> Tensor:
    if levels is None:
        return x
    return torch.floor(x * levels + 0.5).clamp(0, levels) / levels
