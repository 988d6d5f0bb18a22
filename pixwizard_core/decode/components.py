"""Connected regions of a mask, without loops over pixels: runs of each row are joined to those they
touch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def label(mask: Tensor, diagonal: bool = True) -> tuple[Tensor, int]:
    """Number the connected regions of a mask.

    mask: (H, W) bool, any device. diagonal: whether touching corners connect. Returns labels (H, W)
    long on the same device, 0 outside and 1..count inside in reading order, and count.
    """
    height, width = mask.shape
    edges = F.pad(mask.cpu().to(torch.int8), (1, 1)).diff(dim=1)  # width + 1 columns
    starts = (
        (edges == 1).flatten().nonzero()[:, 0]
    )  # position of a run's first pixel, rows laid end to end
    ends = (edges == -1).flatten().nonzero()[:, 0]  # one past its last
    if not len(starts):
        return torch.zeros_like(mask, dtype=torch.long), 0
    upper, lower = _touching(starts, ends, width + 1, reach=int(diagonal))
    roots = _join(len(starts), upper, lower)
    names, region = roots.unique(return_inverse=True)
    flat = torch.zeros(height * (width + 1), dtype=torch.long)
    change = region + 1
    flat[starts] = change
    # A run may end where nothing starts, never where another starts: one column separates the rows.
    flat[ends] -= change
    labels = flat.cumsum(0).view(height, width + 1)[:, :width]
    return labels.contiguous().to(mask.device), len(names)


def _touching(starts: Tensor, ends: Tensor, row: int, reach: int) -> tuple[Tensor, Tensor]:
    """Pairs (run, run of the next row) that overlap, or with reach 1 also meet at a corner."""
    first = torch.searchsorted(ends, starts + row - reach, right=True)
    last = torch.searchsorted(starts, ends + row + reach, right=False)
    count = (last - first).clamp(min=0)
    upper = torch.arange(len(starts)).repeat_interleave(count)
    offset = torch.arange(len(upper)) - (count.cumsum(0) - count).repeat_interleave(count)
    return upper, first[upper] + offset


def _join(count: int, a: Tensor, b: Tensor) -> Tensor:
    """For each of count nodes the smallest node it is connected to by the edges a-b."""
    parent = torch.arange(count)
    while True:
        root_a, root_b = parent[a], parent[b]
        if torch.equal(root_a, root_b):
            return parent
        low, high = torch.minimum(root_a, root_b), torch.maximum(root_a, root_b)
        parent = parent.scatter_reduce(0, high, low, "amin")
        while not torch.equal(shorter := parent[parent], parent):
            parent = shorter
