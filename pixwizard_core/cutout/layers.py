"""Layers with transparency from soft masks, a picture and a background: tensors in and out.

Stacked again, the layers give the picture back: bit for bit where every layer is either opaque or
transparent, nearly at the rims between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..decode.components import distance_inside, nearest_outside
from ..errors import DecodeError

RIM_PX = 3.0  # alpha is soft at most this far from an outline
LOW, HIGH = 0.3, 0.7  # soft values that become transparent and opaque
EIGHT_BIT = 255


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing. colour: (3, H, W) in 0..1, free of what is behind it at the rim. alpha: (H, W) in
    0..1."""

    name: str
    colour: Tensor
    alpha: Tensor

    @property
    def rgba(self) -> Tensor:
        """(4, H, W) in 0..1, not premultiplied; black where it is transparent."""
        shown = self.colour * (self.alpha > 0)
        return torch.cat([shown, self.alpha[None]])


def soft_edge(soft: Tensor, rim_px: float = RIM_PX) -> Tensor:
    """Alpha from the soft mask (H, W) in 0..1 of one thing: 0 or 1 farther than rim_px from its
    outline, in between a ramp over LOW to HIGH. In 8-bit steps, so that a file of 8 bits is opaque
    and transparent in the same places."""
    selected = soft > 0.5
    if not bool(selected.any()):
        return torch.zeros_like(soft)
    ramp = ((soft - LOW) / (HIGH - LOW)).clamp(0, 1)
    deep = (distance_inside(selected) > rim_px) | (distance_inside(~selected) > rim_px)
    return torch.where(deep, selected.to(ramp), (ramp * EIGHT_BIT).round() / EIGHT_BIT)


def make_layers(
    picture_01: Tensor, background_01: Tensor, alphas: Sequence[Tensor], names: Sequence[str]
) -> tuple[Tensor, list[Layer]]:
    """The background (3, H, W), which is the picture wherever no layer is, and the layers, the
    first one on top.

    picture_01, background_01: (3, H, W) in 0..1; the latter shows what is behind the things.
    alphas: (H, W) in 0..1, one for each name. Raises DecodeError for other sizes or counts.
    """
    size = picture_01.shape[-2:]
    require_size(background_01, picture_01, "the background")
    for number, alpha in enumerate(alphas, 1):
        require_size(alpha, picture_01, f"mask {number}")
    if len(alphas) != len(names):
        raise DecodeError(f"{len(alphas)} masks for {len(names)} names; give one for each")
    covered = torch.zeros(size, dtype=torch.bool, device=picture_01.device)
    for alpha in alphas:
        covered |= alpha > 0
    background = torch.where(covered, background_01, picture_01)
    below, layers = background, list[Layer]()
    for name, alpha in [*zip(names, alphas, strict=True)][::-1]:
        layer = Layer(name, own_colour(picture_01, below, alpha), alpha)
        below = laid(layer, below)
        layers.append(layer)
    return background, layers[::-1]


def require_size(one: Tensor, picture_01: Tensor, what: str) -> None:
    """Raise DecodeError for something of another size than the picture. what: for the message."""
    (height, width), (rows, columns) = picture_01.shape[-2:], one.shape[-2:]
    if (height, width) != (rows, columns):
        raise DecodeError(
            f"{what} is {columns} x {rows} px and the picture {width} x {height} px; give one of "
            "the picture's size"
        )


def own_colour(picture_01: Tensor, below_01: Tensor, alpha: Tensor) -> Tensor:
    """The colour (3, H, W) of a thing alone. At its rim, picture = alpha colour + (1 - alpha) below
    is solved for it; the less of the thing shows, the more its nearest opaque colour counts."""
    rim = (alpha > 0) & (alpha < 1)
    solid = alpha >= 1
    if not bool(rim.any()) or not bool(solid.any()):
        return picture_01
    rows, columns = nearest_outside(~solid)
    near = picture_01[:, rows, columns]
    solved = (picture_01 - (1 - alpha) * below_01) / alpha.clamp(min=1e-3)
    mixed = torch.lerp(near, solved.clamp(0, 1), alpha)
    return torch.where(rim, mixed, picture_01)


def laid(layer: Layer, below_01: Tensor) -> Tensor:
    """A layer over what is below it, (3, H, W) in 0..1; bit for bit one of both where alpha is 0 or
    1."""
    blended = torch.lerp(below_01, layer.colour, layer.alpha)
    blended = torch.where(layer.alpha >= 1, layer.colour, blended)
    return torch.where(layer.alpha <= 0, below_01, blended)


def stack(background_01: Tensor, layers: Sequence[Layer]) -> Tensor:
    """The layers, the first one on top, over the background: (3, H, W) in 0..1."""
    below = background_01
    for layer in layers[::-1]:
        below = laid(layer, below)
    return below
