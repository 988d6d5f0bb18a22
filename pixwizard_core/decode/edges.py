"""Lines of edge, sketch and line-art answers as masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DecodeError
from .common import picture

MAX_THINNING = 64  # rounds; each takes one pixel off both sides of a line


def decode_edges(
    image_01: Tensor, threshold: float = 0.5, *, dark: bool = False, thinned: bool = False
) -> Tensor:
    """Lines of an answer: (B, C, H, W) in 0..1 to (B, H, W) bool.

    threshold: how much of the way from paper to line a pixel must be, 0..1. dark: lines are dark on
    light paper. thinned: bring them to one pixel. Raises DecodeError.
    """
    if not 0 <= threshold <= 1:
        raise DecodeError(f"the threshold must be 0 to 1. Got: {threshold}")
    grey = picture(image_01).mean(1)
    lines = (1 - grey if dark else grey) > threshold
    return thin(lines) if thinned else lines


def thin(mask: Tensor, rounds: int = MAX_THINNING) -> Tensor:
    """Thin (B, H, W) bool to lines one pixel wide that hang together as before (Zhang and Suen,
    1984).

    rounds: at most so many; what is wider than twice that keeps a core.
    """
    for _ in range(rounds):
        before = mask
        mask = mask & ~_loose(mask, first=True)
        mask = mask & ~_loose(mask, first=False)
        if torch.equal(mask, before):
            break
    return mask


def _loose(mask: Tensor, first: bool) -> Tensor:
    """Pixels that one half-round takes away."""
    ring = _ring(mask)
    count = ring.sum(0)
    # Steps from unselected to selected around the ring: one means the pixel lies on an edge.
    steps = (~ring & ring.roll(-1, 0)).sum(0)
    north, east, south, west = ring[0], ring[2], ring[4], ring[6]
    sides = ~(east & south & (north | west)) if first else ~(north & west & (east | south))
    return mask & (count >= 2) & (count <= 6) & (steps == 1) & sides


def _ring(mask: Tensor) -> Tensor:
    """The eight neighbours (8, B, H, W), clockwise from north; none beyond the border."""
    padded = F.pad(mask, (1, 1, 1, 1))
    height, width = mask.shape[-2:]
    places = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    return torch.stack([padded[..., y : y + height, x : x + width] for y, x in places])
