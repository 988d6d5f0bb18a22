"""Lay overlapping tiles over one another, a row of tiles at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import TileGrid

LEAST = 1e-4  # weight at the very edge, so that every pixel has some
UNSEEN_SHARE = 8  # the outermost part of an overlap, divided by this, is context alone


def window(length: int, overlap: int, first: bool, last: bool) -> Tensor:
    """Weights (length,) along one axis of a tile, float32: 1 inside, falling smoothly to almost 0
    over the overlap with each neighbour. first, last: the picture ends there, so nothing falls.

    Two neighbours that overlap by exactly that sum to 1 all along the overlap, but for LEAST.
    """
    weights = torch.ones(length, dtype=torch.float32, device="cpu")
    if not overlap:
        return weights
    rim = overlap // UNSEEN_SHARE
    place = (torch.arange(overlap, dtype=torch.float32, device="cpu") + 0.5 - rim) / (
        overlap - 2 * rim
    )
    ramp = (0.5 - 0.5 * torch.cos(torch.pi * place.clamp(0, 1))).clamp(min=LEAST)
    if not first:
        weights[:overlap] *= ramp
    if not last:
        weights[length - overlap :] *= ramp.flip(0)
    return weights


def tile_window(grid: TileGrid, left: int, top: int) -> Tensor:
    """Weights (tile.height, tile.width) of the tile that begins there."""
    columns = window(
        grid.tile.width, min(grid.overlap, grid.tile.width // 2),
        left == grid.lefts[0], left == grid.lefts[-1],
    )  # fmt: skip
    rows = window(
        grid.tile.height, min(grid.overlap, grid.tile.height // 2),
        top == grid.tops[0], top == grid.tops[-1],
    )  # fmt: skip
    return rows[:, None] * columns


class Band:
    """The weighted mean of tiles, kept for one row of tiles.

    add() takes the tiles of one row after another, from the top; finish() gives the rows that no
    later tile can change. Memory does not grow with the height of the picture.
    """

    def __init__(self, grid: TileGrid) -> None:
        shape = (3, grid.tile.height, grid.picture.width)
        self.sums = torch.zeros(shape, dtype=torch.float32, device="cpu")
        self.weights = torch.zeros(shape[1:], dtype=torch.float32, device="cpu")

    def add(self, tile: Tensor, weights: Tensor, left: int) -> None:
        """Lay a tile (3, tile.height, tile.width) on the current row. left: where it begins."""
        columns = slice(left, left + tile.shape[-1])
        self.sums[..., columns].addcmul_(tile, weights)
        self.weights[:, columns] += weights

    def finish(self, rows: int) -> Tensor:
        """The uppermost rows (3, rows, picture.width); the rest moves up by as many."""
        done = self.sums[:, :rows] / self.weights[:rows]
        for field in (self.sums, self.weights):
            kept = field[..., rows:, :].clone()
            field.zero_()
            field[..., : kept.shape[-2], :] = kept
        return done
