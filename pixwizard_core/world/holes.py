"""Holes for inpainting, margins for outpainting: masks (n, H, W) bool, True = paint here."""

from __future__ import annotations

import torch
from torch import Tensor

from .degrade import field, grid, uniform


def random_hole(picture: Tensor, generator: torch.Generator) -> Tensor:
    """A rectangle, an ellipse or a free shape per picture (n, 3, H, W), about 5 to 35 % of its
    area.
    """
    height, width = picture.shape[-2:]
    ys = ((torch.arange(height, device=picture.device, dtype=torch.int64) + 0.5) / height)[:, None]
    xs = ((torch.arange(width, device=picture.device, dtype=torch.int64) + 0.5) / width)[None, :]
    cx, cy = (
        uniform(picture, generator, 0.25, 0.75, 1, 1),
        uniform(picture, generator, 0.3, 0.75, 1, 1),
    )
    half_w, half_h = (
        uniform(picture, generator, 0.13, 0.3, 1, 1),
        uniform(picture, generator, 0.13, 0.3, 1, 1),
    )
    u, v = (xs - cx) / half_w, (ys - cy) / half_h
    rectangle, ellipse = torch.maximum(u.abs(), v.abs()) < 1, u * u + v * v < 1
    free = field(picture, generator, 5)[:, 0] > uniform(picture, generator, 0.6, 1.1, 1, 1)
    kind = torch.randint(
        0,
        3,
        (picture.shape[0], 1, 1),
        generator=generator,
        device=picture.device,
        dtype=torch.int64,
    )
    return torch.where(kind == 0, rectangle, torch.where(kind == 1, ellipse, free))


def random_margin(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Blank borders on one to four sides, each up to 30 % of the picture; at least one is 12 % or
    more.
    """
    y, x = grid(picture)
    height, width = y[-1, 0] + y[0, 0], x[0, -1] + x[0, 0]
    n = picture.shape[0]
    share = uniform(picture, generator, 0.12, 0.3, 4) * (uniform(picture, generator, 0, 1, 4) < 0.5)
    always = torch.randint(
        0, 4, (n, 1), generator=generator, device=picture.device, dtype=torch.int64
    )
    least = uniform(picture, generator, 0.12, 0.3, 1)
    share = share.scatter(1, always, least)
    left, top, right, bottom = (s[:, None, None] for s in share.unbind(1))
    return (
        (x < left * width)
        | (x > (1 - right) * width)
        | (y < top * height)
        | (y > (1 - bottom) * height)
    )


def punch(rgb: Tensor, hole: Tensor, generator: torch.Generator) -> Tensor:
    """Fill the hole with black or white, at random per picture."""
    fill = (uniform(rgb, generator, 0, 1) < 0.5).float()
    return torch.where(hole[:, None], fill, rgb)
