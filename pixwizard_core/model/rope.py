"""Two-dimensional rotary positions: a table of angles for a token grid, and the rotation itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

THETA = 10000.0
COMPLEX_DEVICES = ("cpu", "cuda")  # other devices lack some or all complex products


class RopeScaling(NamedTuple):
    """Extrapolation beyond the trained grid.

    factor: how much longer the side is than trained (1 = none). watershed: times below it use
    linear position scaling, times from it on use the NTK-aware base.
    """

    factor: float = 1.0
    watershed: float = 1.0


NO_SCALING = RopeScaling()


def frequencies(
    head_dim: int,
    scaling: RopeScaling,
    t: float,
    device: torch.device | str | None = None,
) -> Tensor:
    """Angular frequency per axis pair, (head_dim / 4,) float32, at time t."""
    linear = t < scaling.watershed
    theta = THETA if linear else THETA * scaling.factor
    exponent = torch.arange(0, head_dim, 4, dtype=torch.float32, device=device)[: head_dim // 4]
    base = 1.0 / (theta ** (exponent / head_dim))
    return base / scaling.factor if linear else base


def rope_table(
    height: int,
    width: int,
    head_dim: int,
    scaling: RopeScaling,
    t: float,
    device: torch.device | str | None = None,
) -> Tensor:
    """Cosines and sines for a grid of height x width tokens.

    Returns (height*width, head_dim/2, 2) float32, the last axis cosine and sine. Entry 2k turns by
    the row, entry 2k+1 by the column.
    """
    base = frequencies(head_dim, scaling, t, device)
    rows = torch.outer(torch.arange(height, dtype=torch.float32, device=device), base)
    cols = torch.outer(torch.arange(width, dtype=torch.float32, device=device), base)
    angles = torch.stack(
        [rows[:, None].expand(-1, width, -1), cols[None].expand(height, -1, -1)], dim=-1
    ).reshape(height * width, head_dim // 2)
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def pad_table(table: Tensor, length: int) -> Tensor:
    """Repeat the last position of a (L, d/2, 2) table up to length, as padding tokens get it."""
    missing = length - len(table)
    return torch.cat([table, table[-1:].expand(missing, -1, -1)]) if missing else table


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate adjacent feature pairs of queries or keys by their grid position.

    x: (B, L, n, d) any float type; computed in float32, returned in x.dtype.
    table: (L, d/2, 2) shared by the batch or (B, L, d/2, 2) one per sample.
    """
    pairs = torch.unflatten(x.float(), -1, (-1, 2))
    turn = table.unsqueeze(-3)  # (B|1, L, 1|n, d/2, 2)
    # Takes one pass over memory instead of seven, with equal results. The compiler cannot fuse
    # complex numbers, but turns the other form into one pass by itself.
    if x.device.type in COMPLEX_DEVICES and not torch.compiler.is_compiling():
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(turn))
    else:
        turned = rotate_real(pairs, turn)
    return turned.flatten(-2).to(x.dtype)


def rotate_real(pairs: Tensor, turn: Tensor) -> Tensor:
    """Complex product of (..., 2) tensors of real and imaginary part, in real numbers."""
    (even, odd), (cos, sin) = pairs.unbind(-1), turn.unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1)
