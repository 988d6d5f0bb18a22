"""Boxes from answer pictures in which an outline of a known colour is drawn around things.

Boxes are xyxy in pixels, right and bottom exclusive; the outline lies just inside its box.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from ..torch_types import ints, norm
from .common import Rgb, picture, rgb_of, same_size
from .components import label
from .masks import mask_boxes
from .morphology import grow

NEAR_COLOUR = 0.30  # farthest a line's pixel may be from the colour, L2 of RGB in 0..1 over sqrt(3)
HALF_WAY = 0.5  # with a source: how far from source towards colour a pixel must be
LINE_SHARE = 0.5  # a row or column is a side of the box when this much of it is line
MIN_SIDE_PX = 4
MAX_PIECES = 8  # examine at most this many connected pieces of line, largest first
SPECK = 0.05  # ignore a piece with less than this share of the largest one's pixels


class Box(NamedTuple):
    """One box. score: 0..1, the mean share of the four sides along which the outline was found."""

    xyxy_px: tuple[int, int, int, int]
    score: float


def decode_boxes(
    image_01: Tensor,
    colour: str | Rgb,
    source_01: Tensor | None = None,
    *,
    min_score: float = 0.5,
) -> list[list[Box]]:
    """Find outlines of a colour: (B, C, H, W) in 0..1 to a list of boxes for each picture, best
    first.

    source_01: the picture before the outline was drawn; with it, objects that already have the
    colour are ignored. A picture without an outline gives an empty list. Outlines that touch each
    other count as one. min_score: 0..1, drop boxes below it.
    """
    answer = picture(image_01)
    lines = outline(answer, colour, source_01)
    return [_boxes_of(one, min_score) for one in lines]


def outline(image_01: Tensor, colour: str | Rgb, source_01: Tensor | None = None) -> Tensor:
    """Find pixels drawn in the colour: (B, C, H, W) in 0..1 to (B, H, W) bool."""
    answer = picture(image_01)
    ink = answer.new_tensor(rgb_of(colour)).view(3, 1, 1) / 255
    near = norm(answer - ink, dim=1) <= NEAR_COLOUR * 3**0.5
    if source_01 is None:
        return near
    source = same_size(answer, source_01)
    towards = ink - source
    moved = ((answer - source) * towards).sum(1)
    return near & (moved > HALF_WAY * (towards * towards).sum(1).clamp(min=1e-2))


def _boxes_of(line: Tensor, min_score: float) -> list[Box]:
    """Boxes of one picture's line pixels (H, W). An outline may be broken into pieces, so pairs of
    pieces and all of them together are tried as well; the better rectangle wins."""
    labels, count = label(grow(line[None], 1)[0])  # bridges gaps of up to two pixels
    labels = labels * line
    sizes = labels.flatten().bincount(minlength=count + 1)[1:]
    order = sizes.argsort(descending=True, stable=True)[:MAX_PIECES]
    pieces = ints(order[sizes[order] >= SPECK * sizes[order[:1]].float()] + 1)
    groups: list[tuple[int, ...]] = [*combinations(pieces, 1), *combinations(pieces, 2)]
    if len(pieces) > 2:
        groups.append(tuple(pieces))
    tried = [(_box(labels, group), group) for group in groups]
    tried = [(box, group) for box, group in tried if box.score >= min_score]
    found: list[Box] = []
    used: set[int] = set()
    for box, group in sorted(tried, key=lambda pair: -pair[0].score):
        if used.isdisjoint(group):
            found.append(box)
            used.update(group)
    return found


def _box(labels: Tensor, group: tuple[int, ...]) -> Box:
    part = torch.zeros_like(labels, dtype=torch.bool)
    for index in group:
        part |= labels == index
    left, top, right, bottom = _rectangle(part)
    if min(right - left, bottom - top) < MIN_SIDE_PX:
        return Box((left, top, right, bottom), 0.0)
    return Box((left, top, right, bottom), _score(part[top:bottom, left:right]))


def _rectangle(part: Tensor) -> tuple[int, int, int, int]:
    """The rectangle of an outline; stray pixels beyond its straight sides are left out."""
    left, top, right, bottom = ints(mask_boxes(part[None])[0])
    columns, rows = part.sum(0), part.sum(1)
    left, right = _span(columns, left, right, LINE_SHARE * (bottom - top))
    top, bottom = _span(rows, top, bottom, LINE_SHARE * (right - left))
    return left, top, right, bottom


def _span(counts: Tensor, first: int, last: int, enough: float) -> tuple[int, int]:
    sides = ints((counts >= enough).nonzero()[:, 0])
    if not sides or sides[-1] + 1 - sides[0] < (last - first) / 2:
        return first, last  # a side is missing, so the extent of the pixels is the better guess
    return sides[0], sides[-1] + 1


def _score(part: Tensor) -> float:
    """Share of each side that has line within a narrow band, averaged over the four sides."""
    band = max(2, round(0.05 * min(part.shape)))
    sides = (part[:band].any(0), part[-band:].any(0), part[:, :band].any(1), part[:, -band:].any(1))
    return float(torch.stack([side.float().mean() for side in sides]).mean())
