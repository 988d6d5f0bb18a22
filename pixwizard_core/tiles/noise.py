"""One field of noise for a picture of any size: what a place gets depends on the place alone."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from ..canvas import Rect

BLOCK = 64  # latent cells a side that are drawn together
CHANNELS = 4


def noise_field(seed: int, cells: Rect) -> Tensor:
    """Unit noise (4, cells.height, cells.width) of these latent cells, float32, on the CPU.

    cells: a rectangle at or right of and below 0. Two rectangles of one seed agree where they
    overlap, however the field is cut, and nothing beyond the asked part is kept.
    """
    field = torch.empty(CHANNELS, cells.height, cells.width, dtype=torch.float32, device="cpu")
    for row in range(cells.top // BLOCK, -(-cells.bottom // BLOCK)):
        for column in range(cells.left // BLOCK, -(-cells.right // BLOCK)):
            block = _block(seed, row, column)
            top, left = max(cells.top, row * BLOCK), max(cells.left, column * BLOCK)
            bottom = min(cells.bottom, (row + 1) * BLOCK)
            right = min(cells.right, (column + 1) * BLOCK)
            shown = Rect(left, top, right, bottom)
            here = _moved(shown, -cells.left, -cells.top)
            here.cut(field)[:] = _moved(shown, -column * BLOCK, -row * BLOCK).cut(block)
    return field


def place_seed(seed: int, row: int, column: int) -> int:
    """A seed that belongs to a place of the field, 0 to 2^63 - 1."""
    name = f"{seed} {row} {column}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) >> 1


def _block(seed: int, row: int, column: int) -> Tensor:
    generator = torch.Generator().manual_seed(place_seed(seed, row, column))
    shape = (CHANNELS, BLOCK, BLOCK)
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


def _moved(rect: Rect, right: int, down: int) -> Rect:
    return Rect(rect.left + right, rect.top + down, rect.right + right, rect.bottom + down)
