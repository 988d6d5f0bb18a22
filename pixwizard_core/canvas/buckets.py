"""Sizes that suit the model: all grids of 16-px cells with about the area of a centre and an aspect
ratio of at most 4:1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ..errors import CanvasError

CELL = 16  # pixels of one token: VAE factor 8 times patch size 2
MAX_ASPECT = 4
MAX_CENTRE = 4096
CENTRES = (512, 768, 1024)  # what the released model was trained with (paper C.4)
LARGEST_AUTO = 1024  # px; auto never picks a larger centre
BLANK_CENTRE = 768  # px, without a source, as in the reference's published command
SQUARE_FIRST = (512, 1024)  # the reference lists the square first for these, which breaks ties
# The reference's table for 256 is a hand-picked subset of what the rule gives (11 of 49); kept for
# parity.
REFERENCE_256 = ((256, 256), (128, 512), (144, 432), (176, 368), (192, 336), (224, 288),
                 (288, 224), (336, 192), (368, 176), (432, 144), (512, 128))  # fmt: skip


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class ByArea(tuple[int, ...]):
    """Centres from which each picture gets the one nearest to its own area; see auto_centre(). Any
    other sequence of centres gives the closest aspect ratio among all their sizes."""


def auto_centre(width: int, height: int, centres: Sequence[int] = CENTRES) -> int:
    """The centre, side of a square in px, whose area is nearest to that of a picture of width x
    height px; the larger of two that are equally near.

    This keeps the picture's resolution as far as training allows (paper C.4). Centres above 1024
    are used only when there is no smaller one. Raises CanvasError for no centres.
    """
    area = width * height
    return min(_for_auto(centres), key=lambda centre: (abs(centre * centre - area), -centre))


def blank_centre(centres: Sequence[int] = CENTRES) -> int:
    """The centre to use without a source picture, in px: the one nearest to 768."""
    return auto_centre(BLANK_CENTRE, BLANK_CENTRE, centres)


def blank_size(centres: Sequence[int] = CENTRES) -> Size:
    """The square to paint without a source picture, in px."""
    return Size(blank_centre(centres), blank_centre(centres))


def _for_auto(centres: Sequence[int]) -> list[int]:
    if not centres:
        raise CanvasError("no centre given; name at least one, for example 512")
    return [centre for centre in centres if centre <= LARGEST_AUTO] or [min(centres)]


@lru_cache(maxsize=64)
def bucket_table(centre: int) -> tuple[Size, ...]:
    """All sizes for a centre, widest first.

    Walks along the curve width * height = (centre / 16)^2 in cells: pairs each width with every
    height from the tallest of the next wider one up to its own tallest. Raises
    CanvasError unless centre is a multiple of 16 from 16 to 4096.
    """
    if centre == 256:
        return tuple(Size(*size) for size in REFERENCE_256)
    if centre % CELL or not CELL <= centre <= MAX_CENTRE:
        raise CanvasError(
            f"the centre must be a multiple of {CELL} from {CELL} to {MAX_CENTRE} px. Got: {centre}"
        )
    cells = (centre // CELL) ** 2
    table: list[Size] = []
    shortest = 1
    for width in range(cells, 0, -1):
        tallest = cells // width
        table += [
            Size(width * CELL, height * CELL)
            for height in range(shortest, tallest + 1)
            if max(width, height) <= MAX_ASPECT * min(width, height)
        ]
        shortest = tallest
    if centre in SQUARE_FIRST:
        table.remove(Size(centre, centre))
        table.insert(0, Size(centre, centre))
    return tuple(table)


def choose(width: int, height: int, centres: Sequence[int] = CENTRES) -> tuple[int, int, int]:
    """The size whose aspect ratio is closest to a picture's: (width, height, centre), in pixels.

    Compares |w/h - width/height| over all tables in the order given; the first of equals wins.
    With ByArea only the table of the picture's own centre is used. Raises CanvasError for an empty
    list or a side below 1.
    """
    if not centres:
        raise CanvasError("no centre given; name at least one, for example 512")
    if width < 1 or height < 1:
        raise CanvasError(f"a picture has at least 1 x 1 px. Got: {width} x {height}")
    if isinstance(centres, ByArea):
        centres = (auto_centre(width, height, centres),)
    aspect = width / height
    candidates = ((size, centre) for centre in centres for size in bucket_table(centre))
    size, centre = min(candidates, key=lambda c: abs(c[0].width / c[0].height - aspect))
    return size.width, size.height, centre


def whole_cells(width: int, height: int) -> Size:
    """The multiples of 16 px nearest to a picture's own size, at least 16 a side; scales little and
    uses no bucket."""
    return Size(*(max(CELL, (2 * side + CELL) // (2 * CELL) * CELL) for side in (width, height)))


def centres_for(centre: int | None, trained: Sequence[int] = CENTRES) -> tuple[int, ...]:
    """Centres for plan(): the requested one, in px, or the trained ones to choose from by area."""
    return ByArea(trained) if centre is None else (centre,)
