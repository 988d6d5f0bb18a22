"""Draw masks over their picture."""

from __future__ import annotations

from torch import Tensor

from .common import Rgb, picture, rgb_of


def overlay(
    image_01: Tensor, mask: Tensor, colour: str | Rgb = "red", opacity: float = 0.5
) -> Tensor:
    """Lay a colour over (B, C, H, W) in 0..1 where mask (B, H, W), bool or 0..1, selects. Returns
    (B, 3, H, W). opacity: 0..1."""
    shown = picture(image_01)
    ink = shown.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    weight = mask.to(shown)[:, None] * opacity
    return shown + weight * (ink - shown)
