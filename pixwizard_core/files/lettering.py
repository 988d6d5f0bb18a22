"""Draw words into pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from ..decode.common import Rgb, picture, rgb_of
from ..torch_types import from_numpy

if TYPE_CHECKING:
    from PIL import ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SMALLEST_PX = 9  # height of letters that can still be read
SHARE = 0.035  # of the picture's shorter side
DARK = 0.5  # luminance below which letters are white
NO_LETTER = "\U0010ffff"  # which no font has, so this is how it draws what it lacks
# Pillow's own letters are Latin. What systems bring for the others, by the names of the files.
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc", "DroidSansFallbackFull.ttf", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "msyh.ttc", "meiryo.ttc", "msgothic.ttc", "malgun.ttf", "simsun.ttc", "arial.ttf",
    "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "Arial Unicode.ttf",
    "NotoSans-Regular.ttf", "DejaVuSans.ttf",
)  # fmt: skip


def write_tags(
    image_01: Tensor,
    places_px: Sequence[Sequence[tuple[int, int, int, int]]],
    words: Sequence[Sequence[str]],
    colour: str | Rgb,
) -> Tensor:
    """Pictures (B, C, H, W) with a tag at the upper left of each box xyxy: (B, 3, H, W) in 0..1.

    places_px, words: for each picture its boxes and their words; an empty word gives no tag. A tag
    lies above its box where there is room, else in it, and never beyond the picture. Letters that
    no font here has are left out.
    """
    shown = picture(image_01).clone()
    size = max(SMALLEST_PX, round(SHARE * min(shown.shape[-2:])))
    ink = shown.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    for one, boxes, texts in zip(shown, places_px, words, strict=True):
        for (left, top, _, _), text in zip(boxes, texts, strict=True):
            tag = letters(text, size).to(one)
            if tag.numel():
                _tag(one, left, top, tag, ink)
    return shown


def letters(text: str, size_px: int) -> Tensor:
    """A line of text as (h, w) in 0..1, 1 = ink, with a margin of a few pixels; (0, 0) when there
    is nothing to write, or nothing that can be written."""
    from PIL import Image, ImageDraw

    runs: list[tuple[float, str, Font, tuple[float, float, float, float]]] = []
    x = 0.0
    for font, part in _runs(text.strip(), size_px):
        runs.append((x, part, font, font.getbbox(part, anchor="ls")))
        x += font.getlength(part)
    if not runs:
        return torch.zeros(0, 0, dtype=torch.float32, device="cpu")
    left, right = min(x + box[0] for x, *_, box in runs), max(x + box[2] for x, *_, box in runs)
    top, bottom = min(box[1] for *_, box in runs), max(box[3] for *_, box in runs)
    margin = max(1, size_px // 5)
    sheet = Image.new("L", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin))
    draw = ImageDraw.Draw(sheet)
    for x, part, font, _ in runs:
        draw.text((margin - left + x, margin - top), part, 255, font, anchor="ls")
    return from_numpy(np.array(sheet, dtype=np.float32)) / 255


def _runs(text: str, size_px: int) -> list[tuple[Font, str]]:
    """(font, part) along a text: all in one font that has every letter, else each letter in the
    first font that has it. Pillow's own comes first."""
    from PIL import ImageFont

    fonts: list[Font] = [ImageFont.load_default(size_px)]
    if lacking(text, fonts[0]):
        fonts += [ImageFont.truetype(path, size_px) for path in system_fonts()]
    for font in fonts:
        if not lacking(text, font):
            return [(font, text)] if text else []
    nowhere = "".join(c for c in text if all(lacking(c, font) for font in fonts))
    kept = "".join(c for c in text if c not in nowhere).strip()
    places = (next(i for i, font in enumerate(fonts) if not lacking(c, font)) for c in kept)
    runs = groupby(zip(places, kept, strict=True), key=itemgetter(0))
    return [(fonts[place], "".join(c for _, c in part)) for place, part in runs]


def lacking(text: str, font: Font) -> str:
    """The letters of text that a font does not have."""
    nothing = _drawn(NO_LETTER, font)
    return "".join(c for c in dict.fromkeys(text) if c != " " and _drawn(c, font) == nothing)


def _drawn(letter: str, font: Font) -> bytes:
    """The pixels of a letter, which Pillow's types do not know as bytes."""
    return bytes(cast(Any, font.getmask(letter)))


@cache
def system_fonts() -> tuple[str, ...]:
    """Files of SYSTEM_FONTS in the folders where this system keeps its fonts."""
    from PIL import ImageFont

    found: list[str] = []
    for name in SYSTEM_FONTS:
        try:
            found.append(str(ImageFont.truetype(name).path))
        except OSError:  # not installed
            continue
    return tuple(found)


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
