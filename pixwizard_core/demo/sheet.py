"""A contact sheet: input, answer and truth of each task side by side, title and score below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

GAP_PX, TEXT_PX, ACROSS = 10, 44, 3
THUMB_HEIGHT = 112
PAPER, INK, FAINT = (255, 255, 255), (24, 24, 27), (90, 90, 96)

Cell = tuple[Sequence[Tensor], str, str]  # pictures (3, H, W) in 0..1, heading, line below it


def contact_sheet(cells: Sequence[Cell], across: int = ACROSS) -> Tensor:
    """All cells on white paper, (3, H', W') in 0..1; across: cells in a row. Every cell has as many
    pictures, of the same shape."""
    from PIL import Image, ImageDraw

    height, width = cells[0][0][0].shape[-2:]
    size = (round(THUMB_HEIGHT * width / height), THUMB_HEIGHT)
    cell = (len(cells[0][0]) * (size[0] + 2) + GAP_PX, THUMB_HEIGHT + TEXT_PX)
    down = -(-len(cells) // across)
    sheet = Image.new("RGB", (across * cell[0] + GAP_PX, down * cell[1] + GAP_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (pictures, heading, line) in enumerate(cells):
        left = GAP_PX + (number % across) * cell[0]
        top = GAP_PX + (number // across) * cell[1]
        for place, picture in enumerate(pictures):
            values = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            thumb = Image.fromarray(values).resize(size, Image.Resampling.LANCZOS)
            sheet.paste(thumb, (left + place * (size[0] + 2), top))
        draw.text((left, top + THUMB_HEIGHT + 3), heading, INK, font(13))
        draw.text((left, top + THUMB_HEIGHT + 20), line, FAINT, font(12))
    return torch.from_numpy(np.array(sheet)).permute(2, 0, 1).float() / 255


def font(size: int):
    """Pillow's own font, which is there on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
