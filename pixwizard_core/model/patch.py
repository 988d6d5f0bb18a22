"""Latents to tokens and back, for one size or for a list of sizes in one padded batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor


class Grid(NamedTuple):
    """Token rows and columns of one latent."""

    rows: int
    cols: int

    @property
    def length(self) -> int:
        return self.rows * self.cols


def grid_of(latent: Tensor, patch: int) -> Grid:
    """Token grid of a (..., h, w) latent. Raises ValueError when a side is not whole patches."""
    height, width = latent.shape[-2:]
    if height % patch or width % patch or not height or not width:
        raise ValueError(
            f"latent {height}x{width} is not a whole number of {patch}x{patch} patches; use image "
            f"sides that are multiples of {8 * patch} px"
        )
    return Grid(height // patch, width // patch)


def patchify(latent: Tensor, patch: int) -> Tensor:
    """(B, C, h, w) -> (B, L, C*p*p), features in the order channel, row, column."""
    return rearrange(latent, "b c (gh p) (gw q) -> b (gh gw) (c p q)", p=patch, q=patch)


def unpatchify(tokens: Tensor, grid: Grid, patch: int, channels: int) -> Tensor:
    """(B, L, p*p*C) -> (B, C, h, w); features in the order row, column, channel.

    Not the inverse of patchify: the released model orders its output differently from its input.
    """
    return rearrange(
        tokens,
        "b (gh gw) (p q c) -> b c (gh p) (gw q)",
        gh=grid.rows,
        gw=grid.cols,
        p=patch,
        q=patch,
        c=channels,
    )


def pad_sequences(sequences: list[Tensor], filler: Tensor) -> Tensor:
    """Stack (L_i, D) sequences to (B, max L, D), the missing tail filled with filler (D,)."""
    longest = max(len(sequence) for sequence in sequences)
    rows = [
        torch.cat([seq, filler.to(seq).expand(longest - len(seq), -1)])
        if len(seq) < longest
        else seq
        for seq in sequences
    ]
    return torch.stack(rows)
