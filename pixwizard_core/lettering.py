"""Words written into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .decode.common import Rgb, picture, rgb_of

SMALLEST_PX = 9  # height of letters that can still be read
SHARE = 0.035  # of the picture's shorter side
DARK = 0.5  # luminance below which letters are white


def write_tags(
    image_01: Tensor,
    places_px: Sequence[Sequence[tuple[int, int, int, int]]],
    words: Sequence[Sequence[str]],
    colour: str | Rgb,
) -> Tensor:
    """Pictures (B, C, H, W) with a tag at the upper left of each box xyxy: (B, 3, H, W) in 0..1.

    places_px, words: for each picture its boxes and their words; an empty word gives no tag. A tag
    lies above its box where there is room, else in it, and never beyond the picture.
    """
    shown = picture(image_01).clone()
    size = max(SMALLEST_PX, round(SHARE * min(shown.shape[-2:])))
    ink = shown.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    for one, boxes, texts in zip(shown, places_px, words, strict=True):
        for (left, top, _, _), text in zip(boxes, texts, strict=True):
            if text:
                _tag(one, left, top, letters(text, size).to(one), ink)
    return shown


def letters(text: str, size_px: int) -> Tensor:
    """A line of text as (h, w) in 0..1, 1 = ink, with a margin of a few pixels."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size_px)
    margin = max(1, size_px // 5)
    left, top, right, bottom = font.getbbox(text)
    sheet = Image.new("L", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin))
    ImageDraw.Draw(sheet).text((margin - left, margin - top), text, 255, font)
    return torch.from_numpy(np.array(sheet, dtype=np.float32)) / 255


def _tag(one: Tensor, left: int, top: int, ink_share: Tensor, paper: Tensor) -> None:
    """Lay a tag on (3, H, W), in place."""
    height, width = one.shape[1:]
    ink_share = ink_share[:height, :width]
    high, wide = ink_share.shape
    y = top - high if top >= high else min(top, height - high)
    x = max(0, min(left, width - wide))
    luminance = float((paper.flatten() * paper.new_tensor([0.299, 0.587, 0.114])).sum())
    ink = torch.full_like(paper, 1.0 if luminance < DARK else 0.0)
    one[:, y : y + high, x : x + wide] = torch.lerp(
        paper.expand(-1, high, wide), ink.expand(-1, high, wide), ink_share
    )
