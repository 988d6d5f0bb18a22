"""Random regions for inpainting (circles, rectangles, strokes) and outpainting (everything around a
central rectangle). Sizes are in px; masks are (H, W) bool, True = to be painted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .chance import between, whole

LEAST_KEPT = 0.35  # of each side that outpainting leaves, at least
MOST_KEPT = 0.9


def hole(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw a mask (H, W) of a circle, a rectangle or strokes, each equally likely."""
    shape = HOLES[whole(generator, 0, len(HOLES) - 1)]
    return shape(height, width, generator)


def circle(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw a mask (H, W) of a circle, with a radius of 10 to 30 % of the shorter side and its
    middle at 20 to 80 % of each side."""
    y, x = _pixels(height, width)
    radius = between(generator, 0.1, 0.3) * min(height, width)
    row, column = between(generator, 0.2, 0.8) * height, between(generator, 0.2, 0.8) * width
    return (y - row).square() + (x - column).square() < radius * radius


def rectangle(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw a mask (H, W) of a rectangle inside the picture, with 15 to 50 % of each side."""
    tall, wide = between(generator, 0.15, 0.5) * height, between(generator, 0.15, 0.5) * width
    top = between(generator, 0, height - tall)
    left = between(generator, 0, width - wide)
    y, x = _pixels(height, width)
    return (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)


def strokes(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw a mask (H, W) of two to four strokes of a round brush, each of three to five straight
    pieces."""
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
    """Draw a mask (H, W) of everything around a central rectangle, whose sides are LEAST_KEPT to
    MOST_KEPT of the picture's."""
    y, x = _pixels(height, width)
    tall = round(between(generator, LEAST_KEPT, MOST_KEPT) * height)
    wide = round(between(generator, LEAST_KEPT, MOST_KEPT) * width)
    top, left = (height - tall) // 2, (width - wide) // 2
    return ~((y > top) & (y < top + tall) & (x > left) & (x < left + wide))


def fill(picture: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """Fill the masked area of a picture with black or white, each equally likely. picture and
    result: (1, 3, H, W) in 0..1; mask: (H, W) bool."""
    return torch.where(mask, float(whole(generator, 0, 1)), picture)


HOLES: tuple[Callable[[int, int, torch.Generator], Tensor], ...] = (circle, rectangle, strokes)


def _pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the middles of the pixels in px: y (H, 1) and x (1, W)."""
    return torch.arange(height)[:, None] + 0.5, torch.arange(width)[None] + 0.5


def _distance(y: Tensor, x: Tensor, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
    """Return each pixel's distance (H, W) in px from the line segment between two points (y, x)."""
    dy, dx = end[0] - start[0], end[1] - start[1]
    along = ((y - start[0]) * dy + (x - start[1]) * dx) / max(dy * dy + dx * dx, 1e-6)
    along = along.clamp(0, 1)
    return (y - start[0] - along * dy).hypot(x - start[1] - along * dx)
