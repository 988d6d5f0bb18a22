"""Depth: from a grey answer picture to numbers, and from numbers to a picture for viewing.

depth_01 is (B, H, W) float32 with white (1) near unless stated otherwise, as ControlNet users
expect.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DecodeError
from .common import picture
from .polarity import DEFAULT_NEAR, near_is_white

METRES = (0.0, 10.0)  # the range the paper scores indoor depth in (D.1)
NORMALISATIONS = ("none", "image", "batch", "fixed")

# Equally spaced anchors, RGB in hexadecimal, interpolated linearly.
_ANCHORS = {
    "grey": "000000 ffffff",
    "spectral": "9e0142 d53e4f f46d43 fdae61 fee08b ffffbf e6f598 abdda4 66c2a5 3288bd 5e4fa2",
    "viridis": "440154 472c7a 3b518b 2c718e 21908d 27ad81 5cc863 aadc32 fde725",
    "magma": "000004 1c1044 4f127b 812581 b5367a e55064 fb8761 fec287 fcfdbf",
    "turbo": "30123b 466be3 28bbec 31f299 a2fc3c edd03a fb8022 d23105 7a0403",
}
COLOUR_MAPS = (*_ANCHORS, *(f"{name}_r" for name in _ANCHORS))


def decode_depth(image_01: Tensor, near: str = DEFAULT_NEAR) -> Tensor:
    """Average the channels: (B, C, H, W) in 0..1 to depth_01 (B, H, W), 1 = near.

    near: the shade of near things in the answer, "white", "black" or "auto" (see
    polarity.near_is_white). Raises DecodeError for another word.
    """
    return near_is_white(picture(image_01).mean(1), near)[0]


def to_metres(
    depth_01: Tensor, near: float = METRES[0], far: float = METRES[1], *, white_is_near: bool = True
) -> Tensor:
    """Undo the linear map from metres to grey; returns values in near..far, in metres.

    Correct only for the range the picture was made with; the model's own depth is relative.
    Raises DecodeError unless near < far.
    """
    _check_range(near, far, "near", "far")
    return far - depth_01 * (far - near) if white_is_near else near + depth_01 * (far - near)


def normalise(
    depth: Tensor,
    mode: str = "image",
    *,
    percentiles: tuple[float, float] = (0.0, 100.0),
    low: float = 0.0,
    high: float = 1.0,
    seen: Tensor | None = None,
) -> Tensor:
    """Stretch depth (B, H, W) to 0..1.

    mode: "image" stretches each picture by itself; "batch" uses one range for all, so that a video
    does not flicker; "fixed" maps low..high to 0..1; "none" changes nothing. percentiles: the two
    that become 0 and 1 in the first two modes. seen: bool (H, W) or (B, H, W), the pixels that
    these modes measure; None for all. A flat picture becomes 0. Raises DecodeError for an unknown
    mode or an empty range.
    """
    if mode not in NORMALISATIONS:
        raise DecodeError(
            f"normalisation must be one of {', '.join(NORMALISATIONS)}. Got: {mode!r}"
        )
    if mode == "none":
        return depth
    if mode == "fixed":
        _check_range(low, high, "low", "high")
        return ((depth - low) / (high - low)).clamp(0, 1)
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise DecodeError(
            f"percentiles must rise within 0 to 100. Got: {percentiles[0]} and {percentiles[1]}"
        )
    shown = torch.ones_like(depth, dtype=torch.bool) if seen is None else seen.expand_as(depth)
    parts = [one[here] for one, here in zip(depth, shown, strict=True)]
    parts = parts if mode == "image" else [torch.cat(parts)]
    darkest, brightest = (
        torch.stack([_percentile(part, p) for part in parts])[:, None, None] for p in percentiles
    )
    span = brightest - darkest
    return torch.where(span > 0, (depth - darkest) / span.where(span > 0, 1), 0.0).clamp(0, 1)


def colourise(values_01: Tensor, colour_map: str = "spectral_r") -> Tensor:
    """Colour values (B, H, W) in 0..1 as a picture (B, 3, H, W) in 0..1. colour_map: one of
    COLOUR_MAPS; "_r" reverses it."""
    name = colour_map.lower()
    if name not in COLOUR_MAPS:
        raise DecodeError(
            f"unknown colour map {colour_map!r}; choose one of: {', '.join(COLOUR_MAPS)}"
        )
    hexes = _ANCHORS[name.removesuffix("_r")].split()
    table = torch.tensor(
        [[int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)] for h in hexes],
        dtype=torch.float32,
        device="cpu",
    )
    table = (table.flip(0) if name.endswith("_r") else table).to(values_01.device)
    place = values_01.float().clamp(0, 1) * (len(table) - 1)
    below = place.long().clamp(max=len(table) - 2)
    weight = (place - below)[..., None]
    return torch.lerp(table[below], table[below + 1], weight).movedim(-1, 1)


def _percentile(values: Tensor, percent: float) -> Tensor:
    if not len(values):
        return values.new_zeros((), dtype=torch.float32)
    # kthvalue, since torch.quantile refuses more than 16 million values
    index = round(percent / 100 * (len(values) - 1))
    return values.float().kthvalue(index + 1).values


def _check_range(low: float, high: float, low_name: str, high_name: str) -> None:
    if not low < high:
        raise DecodeError(f"{low_name} must be below {high_name}. Got: {low} and {high}")
