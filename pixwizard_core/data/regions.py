"""Regions of a picture that are to be painted: circle, rectangle, strokes, and all but a central
rectangle. Masks are (H, W) bool, True = to be painted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .chance import between, whole

LEAST_KEPT = 0.35  # of each side that outpainting leaves, at least
MOST_KEPT = 0.9


def hole(height: int, width: int, generator: torch.Generator) -> Tensor:
    """A circle, a rectangle or free strokes, each as likely."""
    shape = HOLES[whole(generator, 0, len(HOLES) - 1)]
    return shape(height, width, generator)


def circle(height: int, width: int, generator: torch.Generator) -> Tensor:
    """A circle of a tenth to three tenths of the shorter side in radius, its centre in the
    picture's middle part."""
    y, x = _pixels(height, width)
    radius = between(generator, 0.1, 0.3) * min(height, width)
    row, column = between(generator, 0.2, 0.8) * height, between(generator, 0.2, 0.8) * width
    return (y - row).square() + (x - column).square() < radius * radius


def rectangle(height: int, width: int, generator: torch.Generator) -> Tensor:
    """A rectangle of 15 to 50 % of each side, wholly within the picture."""
    tall, wide = between(generator, 0.15, 0.5) * height, between(generator, 0.15, 0.5) * width
    top = between(generator, 0, height - tall)
    left = between(generator, 0, width - wide)
    y, x = _pixels(height, width)
    return (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)


def strokes(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Two to four strokes of a round brush, each of three to five bent pieces."""
    y, x = _pixels(height, width)
    short = min(height, width)
    mask = torch.zeros(height, width, dtype=torch.bool)
    for _ in range(whole(generator, 2, 4)):
        radius = between(generator, 0.02, 0.06) * short
        row, column = between(generator, 0.1, 0.9) * height, between(generator, 0.1, 0.9) * width
        for _ in range(whole(generator, 3, 5)):
            angle = between(generator, 0, 2 * torch.pi)
            length = between(generator, 0.1, 0.3) * short
            step = (
                length * torch.sin(torch.tensor(angle)),
                length * torch.cos(torch.tensor(angle)),
            )
            end = (row + float(step[0]), column + float(step[1]))
            mask |= _distance(y, x, (row, column), end) < radius
            row, column = min(max(end[0], 0), height), min(max(end[1], 0), width)
    return mask


def surroundings(height: int, width: int, generator: torch.Generator) -> Tensor:
    """All but a central rectangle of any proportion, which keeps LEAST_KEPT to MOST_KEPT of each
    side."""
    y, x = _pixels(height, width)
    tall = round(between(generator, LEAST_KEPT, MOST_KEPT) * height)
    wide = round(between(generator, LEAST_KEPT, MOST_KEPT) * width)
    top, left = (height - tall) // 2, (width - wide) // 2
    return ~((y > top) & (y < top + tall) & (x > left) & (x < left + wide))


def fill(picture: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """A picture (1, 3, H, W) with mask (H, W) black or white, each as likely."""
    return torch.where(mask, float(whole(generator, 0, 1)), picture)


HOLES: tuple[Callable[[int, int, torch.Generator], Tensor], ...] = (circle, rectangle, strokes)


def _pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Middles of the pixels: y (H, 1) and x (1, W)."""
    return torch.arange(height)[:, None] + 0.5, torch.arange(width)[None] + 0.5


def _distance(y: Tensor, x: Tensor, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
    """How far each pixel is from a straight piece."""
    dy, dx = end[0] - start[0], end[1] - start[1]
    along = ((y - start[0]) * dy + (x - start[1]) * dx) / max(dy * dy + dx * dx, 1e-6)
    along = along.clamp(0, 1)
    return (y - start[0] - along * dy).hypot(x - start[1] - along * dx)
