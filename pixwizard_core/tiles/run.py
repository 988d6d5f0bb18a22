"""Answer a picture tile by tile and blend the answers, with any model behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..canvas import Canvas, Rect, centres_for, plan
from ..canvas.images import EIGHT_BIT
from ..canvas.resample import resample
from .blend import Band, tile_window
from .grid import LATENT_CELL, TileGrid
from .guide import to_guide
from .noise import noise_field, place_seed

TILES_AT_ONCE = 4
BAND_ROWS = 256  # of the picture that are read at a time for a small copy of the whole

Read = Callable[[Rect], Tensor]  # a rectangle of the picture as (3, h, w) in 0..1
# Fitted tiles (B, 3, h, w) in 0..1, their noise (B, 4, h / 8, w / 8) and seeds to painted answers
# (B, 3, h, w) in 0..1.
Paint = Callable[[Tensor, Tensor, list[int]], Tensor]
Emit = Callable[[int, Tensor], None]  # the first row, and rows (3, n, W) of the answer in 0..1
OnTile = Callable[[int, int], None]


def fitted_whole(read: Read, canvas: Canvas) -> Tensor:
    """What canvas.fit_image() gives for a canvas that stretches: (1, 3, model), reading the picture
    in bands."""
    source, model = canvas.source, canvas.model
    narrow = [
        resample(
            read(Rect(0, top, source.width, min(top + BAND_ROWS, source.height))),
            min(BAND_ROWS, source.height - top), model.width, "lanczos", EIGHT_BIT,
        )
        for top in range(0, source.height, BAND_ROWS)
    ]  # fmt: skip
    whole = resample(torch.cat(narrow, 1), model.height, model.width, "lanczos", EIGHT_BIT)
    return whole.clamp(0, 1)[None]


def whole_canvas(grid: TileGrid, centres: Sequence[int]) -> Canvas:
    """How the whole picture lies on the model's picture, for the small answer that guides tiles."""
    return plan(*grid.picture, centres_for(None, centres))


def run_tiles(
    paint_tiles: Paint,
    read: Read,
    grid: TileGrid,
    seed: int,
    emit: Emit,
    *,
    guide_01: Tensor | None = None,
    on_tile: OnTile | None = None,
) -> None:
    """Answer every tile, and hand out the blended answer in bands from top to bottom.

    seed: of the noise; a tile's depends on the seed and its place alone. guide_01: (3, h, w), the
    small answer to the whole picture, whose coarse values tiles take; None leaves tiles as they
    are. on_tile(done, total): after each batch of tiles; an exception from it stops the run. Memory
    grows with the width of the picture, not with its height.
    """
    band, done = Band(grid), 0
    for number, top in enumerate(grid.tops):
        for start in range(0, len(grid.lefts), TILES_AT_ONCE):
            lefts = grid.lefts[start : start + TILES_AT_ONCE]
            answers = _answers(paint_tiles, read, grid, seed, lefts, top)
            for left, tile in zip(lefts, answers, strict=True):
                if guide_01 is not None:
                    tile = to_guide(tile, guide_01, grid.picture, grid.rect(left, top))
                band.add(tile, tile_window(grid, left, top), left)
            done += len(lefts)
            if on_tile:
                on_tile(done, grid.count)
        last = number + 1 == len(grid.tops)
        rows = (grid.picture.height if last else grid.tops[number + 1]) - top
        emit(top, band.finish(rows).clamp(0, 1))


def _answers(
    paint_tiles: Paint, read: Read, grid: TileGrid, seed: int, lefts: Sequence[int], top: int
) -> Tensor:
    """The answers to some tiles of one row: (B, 3, tile) in 0..1."""
    model = grid.canvas.model
    fitted = torch.cat([grid.canvas.fit_image(read(grid.rect(left, top))[None]) for left in lefts])
    places = [grid.cell(left, top) for left in lefts]
    wide, high = model.width // LATENT_CELL, model.height // LATENT_CELL
    noise = [noise_field(seed, Rect(x, y, x + wide, y + high)) for x, y in places]
    painted = paint_tiles(fitted, torch.stack(noise), [place_seed(seed, y, x) for x, y in places])
    return grid.canvas.restore_image(painted.float().cpu())
