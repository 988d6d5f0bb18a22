"""Random line drawings of photographs, as in the paper (B.3): Canny edges at random thresholds, and
sketches that are thinned, thresholded, thickened and partly erased."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.degrade import field
from ..world.photograph_tasks import soft_edges
from .chance import between, whole

LOWEST, HIGHEST = 0.04, 0.2  # of Canny's lower threshold, for grey levels of 0..1
APART = (0.04, 0.2)  # how far the upper threshold is above it


def canny_lines(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Canny edges at random thresholds, white on black and one pixel wide. picture and result:
    (1, 3, H, W) in 0..1."""
    from kornia.filters.canny import canny

    low = between(generator, LOWEST, HIGHEST)
    high = low + between(generator, *APART)
    _, edges = canny(picture, low, high)
    return (edges > 0).float().expand(-1, 3, -1, -1)


def sketch(picture: Tensor, generator: torch.Generator, soft: Tensor | None = None) -> Tensor:
    """Draw a random sketch, dark strokes on white. picture and result: (1, 3, H, W) in 0..1.

    soft: a map of soft edges, bright on black, such as a HED map (1, 3, H, W) in 0..1. None uses
    soft edges or Canny edges of the picture, each half of the time.
    """
    if soft is None:
        from_canny = whole(generator, 0, 1) == 1
        soft = canny_lines(picture, generator) if from_canny else soft_edges(picture)
    strength = soft.mean(1, keepdim=True)
    strength = F.avg_pool2d(F.pad(strength, (1, 1, 1, 1), mode="replicate"), 3, 1)
    level = between(generator, 0.15, 0.45) * float(strength.max())
    lines = (thin(strength) & (strength > max(level, 1e-3))).float()
    lines = _changed(lines, generator)
    if whole(generator, 0, 1):
        lines = lines * _kept(lines, generator)
    return (1 - lines).expand(-1, 3, -1, -1)


def thin(strength: Tensor) -> Tensor:
    """Find the ridges of an edge map (1, 1, H, W); returns bool of the same shape.

    A ridge pixel is at least as strong as its two neighbours in the direction, of four, with the
    strongest curvature. Flat areas have no ridges.
    """
    around = F.pad(strength, (1, 1, 1, 1), mode="replicate")
    mid, before, after = slice(1, -1), slice(0, -2), slice(2, None)
    lines = (
        ((mid, before), (mid, after), 1.0),
        ((before, mid), (after, mid), 1.0),
        ((before, before), (after, after), 0.5),  # diagonal neighbours are farther away
        ((before, after), (after, before), 0.5),
    )
    bent: list[Tensor] = []
    highest: list[Tensor] = []
    for first, second, weight in lines:
        one, other = around[..., first[0], first[1]], around[..., second[0], second[1]]
        bent.append((2 * strength - one - other) * weight)
        highest.append(strength >= torch.maximum(one, other))
    most = torch.stack(bent).max(0)
    ridge = torch.stack(highest).gather(0, most.indices[None])[0]
    return ridge & (most.values > 0)


def _changed(lines: Tensor, generator: torch.Generator) -> Tensor:
    """Keep lines (1, 1, H, W), thicken them, or close their gaps (thicken and thin), at random."""
    how = whole(generator, 0, 2)
    if how == 0:
        return lines
    thicker = F.max_pool2d(lines, 3, 1, 1)
    return thicker if how == 1 else 1 - F.max_pool2d(1 - thicker, 3, 1, 1)


def _kept(lines: Tensor, generator: torch.Generator) -> Tensor:
    """Return 1 where strokes stay and 0 in smooth regions of about a fifth of the picture."""
    return (field(lines, generator, 4) < between(generator, 0.6, 1.2)).float()
