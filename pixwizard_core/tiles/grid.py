"""Where the tiles of a picture lie: equal rectangles that overlap, in whole pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..canvas import CENTRES, Canvas, Rect, Size, centres_for, plan
from ..errors import CanvasError

LATENT_CELL = 8  # px of the model's picture per latent cell
MIN_TILE = 64  # px
MAX_TILES = 20_000
OVERLAP_SHARE = 4  # the default overlap is the tile's side divided by this
MAX_ASPECT = 4  # of a tile, as of the model's sizes


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles of one picture, all of one size.

    picture, tile: sizes in px of the picture. overlap: px that neighbours share at least. canvas:
    how every tile lies on the model's picture. lefts, tops: where tiles begin, rising; each tile is
    one of lefts by one of tops.
    """

    picture: Size
    tile: Size
    overlap: int
    canvas: Canvas
    lefts: tuple[int, ...]
    tops: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.lefts) * len(self.tops)

    def rect(self, left: int, top: int) -> Rect:
        """The pixels of the tile that begins there."""
        return Rect(left, top, left + self.tile.width, top + self.tile.height)

    def cell(self, left: int, top: int) -> tuple[int, int]:
        """(column, row) of the tile's first latent cell, in a latent of the whole picture."""
        across, down = _cells(self.tile, self.canvas)
        return round(left / across), round(top / down)


def make_grid(
    width: int,
    height: int,
    side: int | None = None,
    overlap: int | None = None,
    centres: Sequence[int] = CENTRES,
) -> TileGrid:
    """Plan the tiles of a picture of width x height px.

    side: of a square tile, in px of the picture, 64 and up; None takes the model's largest trained
    side, so that tiles are not scaled. A side of the picture shorter than that makes tiles lower
    and wider, or narrower and higher. overlap: px that neighbours share at least, 0 to half of
    side; None takes a quarter. centres: sides in px of the squares a model was trained at. A
    picture that is no larger than a tile gets one tile of its own size. Raises CanvasError, with
    the numbers, for what cannot be used.
    """
    side, overlap = tile_size(side, overlap, centres)
    picture = Size(width, height)
    plan(width, height)  # refuses sizes that cannot be used
    tile = _tile(picture, side)
    canvas = plan(*tile, centres_for(None, centres))
    across, down = _cells(tile, canvas)
    lefts = _starts(width, tile.width, overlap, across)
    tops = _starts(height, tile.height, overlap, down)
    if len(lefts) * len(tops) > MAX_TILES:
        raise CanvasError(
            f"a picture of {width} x {height} px needs {len(lefts) * len(tops)} tiles of {side} px "
            f"(limit {MAX_TILES}); use larger tiles or less overlap"
        )
    return TileGrid(picture, tile, overlap, canvas, lefts, tops)


def tile_size(side: int | None, overlap: int | None, centres: Sequence[int]) -> tuple[int, int]:
    """Side and overlap of tiles as in make_grid(), with what None stands for. Raises CanvasError
    for values out of range."""
    side = default_side(centres) if side is None else side
    overlap = side // OVERLAP_SHARE if overlap is None else overlap
    if side < MIN_TILE:
        raise CanvasError(f"a tile has at least {MIN_TILE} px a side. Got: {side}")
    if not 0 <= overlap <= side // 2:
        raise CanvasError(
            f"tiles of {side} px overlap by 0 to {side // 2} px, half of a tile. Got: {overlap}"
        )
    return side, overlap


def default_side(centres: Sequence[int]) -> int:
    """The side of a tile in px that the model answers at its own scale, at its largest trained
    size."""
    return max(centres)


def _tile(picture: Size, side: int) -> Size:
    """A tile of about side x side px that fits the picture."""
    if picture.height < side:
        wide = max(side, min(side * side // picture.height, MAX_ASPECT * picture.height))
        return Size(min(picture.width, wide), picture.height)
    if picture.width < side:
        high = max(side, min(side * side // picture.width, MAX_ASPECT * picture.width))
        return Size(picture.width, min(picture.height, high))
    return Size(side, side)


def _cells(tile: Size, canvas: Canvas) -> tuple[float, float]:
    """Width and height of a latent cell in px of the picture."""
    model = canvas.model
    return tile.width * LATENT_CELL / model.width, tile.height * LATENT_CELL / model.height


def _starts(length: int, tile: int, overlap: int, cell: float) -> tuple[int, ...]:
    """Where tiles begin along one axis. All but the last begin on a whole latent cell, so that
    neighbours see the same noise; the last ends with the picture."""
    if length == tile:
        return (0,)
    longest = max(1, int((tile - min(overlap, tile // 2)) / cell))  # cells from one to the next
    count = -(-(length - tile) // max(1, int(longest * cell))) + 1
    step = next(n for n in range(1, longest + 1) if int(n * cell) * (count - 1) >= length - tile)
    starts = (int(i * step * cell) for i in range(count - 1))
    return (*(start for start in starts if start < length - tile), length - tile)
