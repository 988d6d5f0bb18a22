"""Answer a large picture with a bundle: tile by tile, or as usual where one tile suffices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..canvas import Size
from ..canvas.images import check_finite, ensure_rgb
from ..errors import CanvasError
from ..generate import SampleSettings
from ..pipeline import (
    Bundle,
    Request,
    answer,
    conditions_of,
    encode_pictures,
    run,
    settings_for,
    solve,
)
from .grid import TileGrid, make_grid
from .offered import way_of
from .run import Emit, OnTile, Paint, Read, fitted_whole, run_tiles, whole_canvas


@dataclass(frozen=True)
class TiledRequest:
    """What to ask of one large picture.

    task: its id, one that offered.way_of() accepts. instruction: the sentence that asks for it.
    settings: None uses the bundle's for the task. side, overlap: of tiles in px of the picture; see
    make_grid().
    """

    task: str
    instruction: str
    seed: int = 0
    settings: SampleSettings | None = None
    side: int | None = None
    overlap: int | None = None

    def grid(self, size: Size, bundle: Bundle) -> TileGrid:
        """The tiles of a picture of this size. Raises CanvasError for sizes that cannot be used,
        InstructionError for a task that tiles do not serve."""
        way_of(self.task)
        return make_grid(*size, self.side, self.overlap, bundle.centres)


class Tiled(NamedTuple):
    """image_01: (1, 3, H, W) in 0..1, of the source's size. grid: its tiles."""

    image_01: Tensor
    grid: TileGrid


def answer_in_bands(
    bundle: Bundle,
    size: Size,
    read: Read,
    request: TiledRequest,
    emit: Emit,
    on_tile: OnTile | None = None,
) -> TileGrid:
    """Answer a picture that is read by rectangles, and hand out the answer in bands of rows from
    top to bottom.

    size: of the picture in px. read: see run.Read. emit(row, rows): the first row, and (3, n, W) in
    0..1. on_tile(done, total): after each batch of tiles; an exception from it stops the run. Where
    one tile suffices, the answer is exactly that of pipeline.run() with the same seed. Returns the
    tiles. Raises CanvasError, InstructionError, SamplingError.
    """
    grid, way = request.grid(size, bundle), way_of(request.task)
    settings = request.settings or bundle.settings_of(request.task)
    if grid.count == 1:
        emit(0, _at_once(bundle, read, grid, request, settings, on_tile))
        return grid
    guide = None
    if way.guided:
        guide = _small_answer(bundle, read, grid, request, settings)
    painter = bundle_painter(bundle, request.instruction, grid, settings)
    run_tiles(painter, read, grid, request.seed, emit, guide_01=guide, on_tile=on_tile)
    return grid


def answer_tiled(
    bundle: Bundle, image_01: Tensor, request: TiledRequest, on_tile: OnTile | None = None
) -> Tiled:
    """The same for one picture in memory: (1, 1..4, H, W) in 0..1; transparency is ignored."""
    rgb, _ = ensure_rgb(image_01)
    check_finite(rgb, "image")
    if len(rgb) != 1:
        raise CanvasError(f"tiles take one picture at a time. Got: {len(rgb)}")
    height, width = rgb.shape[-2:]
    whole = torch.empty(1, 3, height, width, dtype=torch.float32, device="cpu")

    def emit(row: int, rows: Tensor) -> None:
        whole[0, :, row : row + rows.shape[1]] = rows

    grid = answer_in_bands(
        bundle, Size(width, height), lambda rect: rect.cut(rgb[0]), request, emit, on_tile
    )
    return Tiled(whole, grid)


def bundle_painter(
    bundle: Bundle, instruction: str, grid: TileGrid, settings: SampleSettings
) -> Paint:
    """A Paint that asks a bundle. The sentence is encoded once for all tiles."""
    with torch.no_grad():
        words, empty = bundle.text.encode([instruction]), bundle.text.encode([""])
    settings = settings_for(grid.canvas, bundle.centres, settings)

    def paint(fitted_01: Tensor, noise: Tensor, seeds: list[int]) -> Tensor:
        conditions = conditions_of(encode_pictures(bundle, fitted_01), words, empty)
        return solve(bundle, *conditions, seeds, settings, noise=noise)[1].cpu()

    return paint


def _at_once(
    bundle: Bundle, read: Read, grid: TileGrid, request: TiledRequest, settings: SampleSettings,
    on_tile: OnTile | None,
) -> Tensor:  # fmt: skip
    """The answer of one tile, as without tiles: (3, H, W)."""
    whole = read(grid.rect(0, 0))[None]
    result = run(bundle, Request(whole, request.instruction, request.seed, settings))
    if on_tile:
        on_tile(1, 1)
    return result.image_01[0]


def _small_answer(
    bundle: Bundle, read: Read, grid: TileGrid, request: TiledRequest, settings: SampleSettings
) -> Tensor:
    """The answer to the whole picture at the model's size: (3, h, w)."""
    canvas = whole_canvas(grid, bundle.centres)
    encoded = encode_pictures(bundle, fitted_whole(read, canvas))
    settings = settings_for(canvas, bundle.centres, settings)
    return answer(bundle, encoded, [request.instruction], [request.seed], settings)[1][0]
