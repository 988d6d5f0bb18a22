"""Lines of edge, sketch and line-art answers as masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DecodeError
from .common import picture

MAX_THINNING = 64  # rounds; each removes one pixel from both sides of a line


def decode_edges(
    image_01: Tensor, threshold: float = 0.5, *, dark: bool = False, thinned: bool = False
) -> Tensor:
    """Lines of an answer: (B, C, H, W) in 0..1 to (B, H, W) bool.

    threshold: 0..1 from paper to line; a pixel beyond it belongs to a line. dark: lines are dark
    on light paper. thinned: thin them to one pixel. Raises DecodeError for a picture that cannot be
    read.
    """
    if not 0 <= threshold <= 1:
        raise DecodeError(f"the threshold must be 0 to 1. Got: {threshold}")
    grey = picture(image_01).mean(1)
    lines = (1 - grey if dark else grey) > threshold
    return thin(lines) if thinned else lines


def thin(mask: Tensor, rounds: int = MAX_THINNING) -> Tensor:
    """Thin (B, H, W) bool to lines one pixel wide, connected as before. Source: Zhang and Suen,
    1984.

    rounds: at most this many; anything wider than twice that keeps a core.
    """
    padded = F.pad(mask, (1, 1, 1, 1))
    for _ in range(rounds):
        if not _take_off(padded, first=True) + _take_off(padded, first=False):
            break
    return padded[:, 1:-1, 1:-1].contiguous()


def _take_off(padded: Tensor, first: bool) -> int:
    """Do half a round, in place on (B, H + 2, W + 2) with an empty border. Returns how many pixels
    were removed."""
    middle = padded[:, 1:-1, 1:-1]
    walled = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    # Only a pixel with an open side can be removed, so examine only those.
    batch, row, column = (middle & ~walled).nonzero().unbind(1)
    height, width = padded.shape[1:]
    places = (batch * height + row + 1) * width + column + 1
    flat = padded.view(-1)
    around = (-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1)  # from north
    ring = torch.stack([flat[places + step] for step in around])
    count = ring.sum(0)
    # Steps from unselected to selected around the ring: one means the pixel lies on an edge.
    steps = (~ring & ring.roll(-1, 0)).sum(0)
    north, east, south, west = ring[0], ring[2], ring[4], ring[6]
    sides = ~(east & south & (north | west)) if first else ~(north & west & (east | south))
    loose = (count >= 2) & (count <= 6) & (steps == 1) & sides
    flat[places[loose]] = False
    return int(loose.sum())
