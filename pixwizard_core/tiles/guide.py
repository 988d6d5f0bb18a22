"""Bring the answer to a tile in line with the small answer to the whole picture.

A tile sees a part and does not know how far away or how bright the whole is. The small answer
knows, but not the detail.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..canvas import Rect, Size
from ..canvas.resample import resample

COARSE = 8  # px of the small answer, a cell of its latent, that count as one coarse value


def cut_guide(guide_01: Tensor, picture: Size, rect: Rect, size: Size) -> Tensor:
    """The part of a small picture of the whole that shows rect: (C, size).

    guide_01: (C, h, w), a picture of this size made smaller. rect: in px of the picture. Values
    between pixels are linear; beyond the border the last one is repeated.
    """
    across = _places(rect.left, rect.right, size.width, picture.width)
    down = _places(rect.top, rect.bottom, size.height, picture.height)
    rows, columns = torch.meshgrid(down, across, indexing="ij")
    places = torch.stack([columns, rows], -1)[None]
    return F.grid_sample(
        guide_01[None].float(), places, "bilinear", "border", align_corners=False
    )[0]


def _places(first: int, end: int, count: int, whole: int) -> Tensor:
    """The centres of count equal parts of first..end, as -1..1 over 0..whole."""
    step = (end - first) / count
    at = first + step * (torch.arange(count, dtype=torch.float64, device="cpu") + 0.5)
    return (at / whole * 2 - 1).float()


def to_guide(tile_01: Tensor, guide_01: Tensor, picture: Size, rect: Rect) -> Tensor:
    """A tile (C, h, w) with its own detail and the coarse values of the small answer.

    rect: where the tile lies, in px of the picture. What is coarse is what COARSE px of the small
    answer hold on average. The result may leave 0..1 a little.
    """
    height, width = tile_01.shape[-2:]
    apart = cut_guide(guide_01, picture, rect, Size(width, height)) - tile_01
    cells = (
        max(1, round(rect.height * guide_01.shape[-2] / picture.height / COARSE)),
        max(1, round(rect.width * guide_01.shape[-1] / picture.width / COARSE)),
    )
    coarse = resample(apart, *cells, "triangle")
    return tile_01 + resample(coarse, height, width, "triangle")
