"""Edits whose exact answer can be computed from a photograph, and the words that ask for them.

Pictures are (1, 3, H, W) in 0..1, before and after.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..world.edits import STYLES, restyle
from ..world.photograph_tasks import pencil
from ..world.pictures import as_rgb, gaussian, grey
from .chance import whole

CYANOTYPE = ((0.02, 0.12, 0.32), (0.93, 0.96, 0.95))  # the colours of black and of white
LEAST_TONE = 0.2  # of a recoloured object: its darkest place, as a share of the new colour
BRIGHTEST = 0.95  # the quantile of an object's brightness that gets the new colour in full


def _zoomed(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    top, left = height // 4, width // 4
    middle = image[:, :, top : height - top, left : width - left]
    return F.interpolate(middle, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def _squares(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    side = max(2, min(height, width) // 24)
    small = F.interpolate(image, (max(1, height // side), max(1, width // side)), mode="area")
    return F.interpolate(small, (height, width), mode="nearest-exact")


def _framed(image: Tensor, shade: float) -> Tensor:
    height, width = image.shape[2:]
    edge = max(1, min(height, width) // 16)
    framed = torch.full_like(image, shade)
    inside = (..., slice(edge, height - edge), slice(edge, width - edge))
    framed[inside] = image[inside]
    return framed


def _dark_corners(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)
    return image * (1 - 0.4 * (y.square() + x.square())).clamp(min=0)


def _saturated(image: Tensor, factor: float) -> Tensor:
    tone = as_rgb(grey(image))
    return (tone + (image - tone) * factor).clamp(0, 1)


def _tinted(image: Tensor, red: float, blue: float) -> Tensor:
    return (image * image.new_tensor((red, 1.0, blue))[:, None, None]).clamp(0, 1)


Change = Callable[[Tensor], Tensor]
EDITS: tuple[tuple[str, Change], ...] = (
    ("mirror the picture from left to right", lambda image: image.flip(3)),
    ("turn the picture by 180 degrees", lambda image: image.flip(2, 3)),
    ("zoom in on the middle", _zoomed),
    ("make it brighter", lambda image: image**0.6),
    ("make it darker", lambda image: image**1.7),
    ("raise the contrast", lambda image: (0.5 + (image - 0.5) * 1.5).clamp(0, 1)),
    ("lower the contrast", lambda image: 0.5 + (image - 0.5) * 0.5),
    ("make the colours stronger", lambda image: _saturated(image, 1.7)),
    ("make the colours weaker", lambda image: _saturated(image, 0.4)),
    ("make the light warmer", lambda image: _tinted(image, 1.15, 0.8)),
    ("make the light cooler", lambda image: _tinted(image, 0.8, 1.15)),
    ("blur the whole picture", lambda image: gaussian(image, min(image.shape[2:]) / 48)),
    ("show it as coarse squares", _squares),
    ("put a white frame around it", lambda image: _framed(image, 1.0)),
    ("put a black frame around it", lambda image: _framed(image, 0.0)),
    ("darken the corners", _dark_corners),
)


def _cyanotype(image: Tensor) -> Tensor:
    dark, light = (image.new_tensor(colour)[:, None, None] for colour in CYANOTYPE)
    return dark + (light - dark) * grey(image)[:, None]


def _restyled(style: str) -> Change:
    return lambda image: restyle(image, style)


LOOKS: tuple[tuple[str, Change], ...] = (
    *((name, _restyled(style)) for style, names in STYLES.items() for name in names),
    ("a pencil drawing", pencil),
    ("a pencil sketch on white paper", pencil),
    ("a cyanotype", _cyanotype),
    ("a blueprint-coloured photographic print", _cyanotype),
)


def changed(
    image: Tensor, changes: tuple[tuple[str, Change], ...], generator: torch.Generator
) -> tuple[str, Tensor]:
    """Make one of some changes, drawn at random. changes: EDITS or LOOKS. Returns the words that
    ask for it, and the answer."""
    words, change = changes[whole(generator, 0, len(changes) - 1)]
    return words, change(image)


def recoloured(image: Tensor, mask: Tensor, ink: Tensor) -> Tensor:
    """Give an object another colour and keep its light and shade. mask: (1, H, W) bool, with at
    least one pixel. ink: the colour (1, 3) in 0..1."""
    tone = grey(image)
    brightest = tone[mask].quantile(BRIGHTEST).clamp(min=1e-3)
    shade = LEAST_TONE + (1 - LEAST_TONE) * (tone / brightest).clamp(0, 1)
    return torch.where(mask[:, None], ink[:, :, None, None] * shade[:, None], image)
