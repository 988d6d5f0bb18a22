"""Damage with more than one flaw: a flash in glass, faded colours, several flaws at once.

As in degrade: takes pictures (n, 3, H, W) in 0..1 and a generator on their device; damages each
picture of the batch in its own way.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import degrade
from .degrade import grid, uniform
from .pictures import grey

FLASHES = 2  # at most, in one picture
FIRST = ("dehaze", "lowlight", "deblur", "superres")  # flaws in front of and in the camera …
THEN = ("denoise", "derain", "desnow", "demoire")  # … and those that lie over its picture

# task -> how to make its input from pictures and their depth in metres (n, H, W)
Spoil = Callable[[Tensor, Tensor, torch.Generator], Tensor]
FAULTS: dict[str, Spoil] = {
    "denoise": lambda x, depth, g: degrade.noise(x, g),
    "derain": lambda x, depth, g: degrade.rain(x, g),
    "desnow": lambda x, depth, g: degrade.snow(x, g),
    "dehaze": lambda x, depth, g: degrade.haze(x, depth, g),
    "deblur": lambda x, depth, g: degrade.blur(x, g),
    "deshadow": lambda x, depth, g: degrade.shadow(x, g),
    "lowlight": lambda x, depth, g: degrade.low_light(x, g),
    "demoire": lambda x, depth, g: degrade.moire(x, g),
    "watermark": lambda x, depth, g: degrade.watermark(x, g),
    "superres": lambda x, depth, g: degrade.low_resolution(x, g),
}


def flash(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add one or two bright spots with a wide glow, like a flash in glass, and a thin veil."""
    y, xs = grid(x)
    height, width = float(y[-1, 0] + y[0, 0]), float(xs[0, -1] + xs[0, 0])
    result = x
    for spot in range(FLASHES):
        cx = uniform(x, generator, 0.15, 0.85) * width
        cy = uniform(x, generator, 0.15, 0.85) * height
        radius, flat = uniform(x, generator, 5, 14), uniform(x, generator, 0.6, 1.6)
        away = ((xs - cx) / flat).square() + ((y - cy) * flat).square()
        away = away.sqrt() / radius
        core = (1.2 * torch.exp(-(away**4))).clamp(max=0.97)
        fall = uniform(x, generator, 1.5, 3.5)
        glow = uniform(x, generator, 0.15, 0.45) * torch.exp(-away / fall)
        light = torch.maximum(core, glow)
        if spot:
            light = light * (uniform(x, generator, 0, 1) < 0.4)
        result = result * (1 - light) + light
    veil = uniform(x, generator, 0, 0.1)
    return (result * (1 - veil) + veil).clamp(0, 1)


def faded(x: Tensor, generator: torch.Generator) -> Tensor:
    """Imitate an old print: partly or sometimes fully lost colours, low contrast, lifted blacks,
    yellow paper."""
    plain = grey(x)[:, None]
    left = uniform(x, generator, -0.12, 0.5).clamp(min=0)
    pale = plain + (x - plain) * left
    contrast, lifted = uniform(x, generator, 0.5, 0.95), uniform(x, generator, 0, 0.2)
    paper = 1 - uniform(x, generator, 0, 0.18) * x.new_tensor((0.1, 0.35, 1.0))[:, None, None]
    return ((0.5 + (pale - 0.5) * contrast + lifted * (1 - pale)) * paper).clamp(0, 1)


def mixed(x: Tensor, depth_m: Tensor, generator: torch.Generator) -> Tensor:
    """Apply two flaws in sequence. depth_m: (n, H, W), metres."""
    return _one_of(THEN, _one_of(FIRST, x, depth_m, generator), depth_m, generator)


def _one_of(
    names: tuple[str, ...], x: Tensor, depth_m: Tensor, generator: torch.Generator
) -> Tensor:
    which = torch.randint(
        0, len(names), (len(x),), generator=generator, device=x.device, dtype=torch.int64
    )
    result = x.clone()
    for number, name in enumerate(names):
        rows = which == number
        if rows.any():
            result[rows] = FAULTS[name](x[rows], depth_m[rows], generator)
    return result


DAMAGE: dict[str, Spoil] = {
    "reflection": lambda x, depth, g: flash(x, g),
    "restore": mixed,
    "recolour_photo": lambda x, depth, g: faded(x, g),
}
