"""Answer a large picture by tiles, and write the answer while it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..canvas import Size
from ..files.answer_bands import answer_bands
from ..pipeline import Bundle
from ..tasks import find_task
from .answer import TiledRequest, answer_in_bands
from .run import OnTile, Read


def write_tiled(
    bundle: Bundle,
    size: Size,
    read: Read,
    request: TiledRequest,
    folder: Path,
    stem: str,
    on_tile: OnTile | None = None,
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Answer a picture of this size in px, which is read by rectangles, and write the answer.

    folder, stem: of the files. Returns the files by what they hold, and entries of a report: how
    many tiles, their size and overlap in px of the picture, and the model's size in px. Raises as
    answer_in_bands() and answer_bands(); then there are no files.
    """
    grid, kind = request.grid(size, bundle), find_task(request.task).decoder
    with answer_bands(folder, stem, kind, size) as (emit, files):
        answer_in_bands(bundle, size, read, request, emit, on_tile)
    model: tuple[int, ...] = grid.canvas.model
    told = {
        "count": grid.count, "size": list(grid.tile), "overlap": grid.overlap,
        "model_size": list(model),
    }  # fmt: skip
    return files, {"tiles": told}
