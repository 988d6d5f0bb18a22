"""pixwizard run --tile: a picture larger than the model, answered by overlapping tiles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from .progress import progress

AUTO_SIDE = -1  # --tile without a number
# Options that ask for another way to one answer, or for a size that tiles already have.
OTHER = ("best", "sharp", "layers", "region", "centre", "range", "near")


def add_tile_options(parser: argparse.ArgumentParser) -> None:
    """Add --tile and --overlap."""
    parser.add_argument(
        "--tile", type=_side, nargs="?", const=AUTO_SIDE, metavar="PX",
        help="answer a large picture by overlapping tiles of PX x PX px, for edges and "
        "restoration (default: the largest size that the model was trained at; docs/beyond.md)",
    )  # fmt: skip
    parser.add_argument(
        "--overlap", type=int, metavar="PX",
        help="px that tiles share with their neighbours (default: a quarter of a tile)",
    )  # fmt: skip


def _side(text: str) -> int:
    try:
        side = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a tile's side is a number of px. Got: {text}; write the picture before --tile"
        ) from None
    if side < 1:
        raise argparse.ArgumentTypeError(f"a tile's side is at least 1 px. Got: {text}")
    return side


def check_tiles(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for options that do not go together, before anything is loaded."""
    from ..tiles import way_of

    if arguments.tile is None:
        if arguments.overlap is not None:
            raise PixWizardError("--overlap is the overlap of tiles; give also --tile")
        return
    if not arguments.task:
        raise PixWizardError(
            "--tile needs --task: what an instruction in your own words does to parts of a "
            "picture is unknown"
        )
    way_of(arguments.task)
    if given := [name for name in OTHER if getattr(arguments, name) not in (None, False)]:
        raise PixWizardError(f"--tile cannot be used with --{given[0]}; leave one out")
    if arguments.fit != "stretch":
        raise PixWizardError(f"--tile cuts the whole picture; leave out --fit {arguments.fit}")


def known_sizes(named: Sequence[tuple[str, Path]]) -> Sequence[tuple[str, Path]]:
    """The same names and paths. Raises CanvasError if one is no picture, before anything is
    loaded."""
    from ..files.picture_files import picture_size

    for _, path in named:
        picture_size(path)
    return named


def write_tiled(
    arguments: argparse.Namespace, bundle: Any, stem: str, path: Path, *, sentence: str,
    settings: Any, seed: int,
) -> tuple[dict[str, Path], dict[str, Any]]:  # fmt: skip
    """Answer one picture file by tiles and write the answer while it is made. Returns the files by
    what they hold, and entries of the report."""
    from ..files.answer_bands import answer_bands
    from ..files.picture_bands import PictureBands
    from ..tasks import find_task
    from ..tiles import TiledRequest, answer_in_bands

    source = PictureBands(path)
    side = None if arguments.tile == AUTO_SIDE else arguments.tile
    request = TiledRequest(arguments.task, sentence, seed, settings, side, arguments.overlap)
    grid = request.grid(source.size, bundle)
    if grid.count == 1:
        print(f"{stem}: one tile suffices, so the answer is the same as without", file=sys.stderr)
    kind = find_task(arguments.task).decoder
    with (
        progress(stem, "tile") as advance,
        answer_bands(arguments.out, stem, kind, source.size) as (emit, files),
    ):
        answer_in_bands(bundle, source.size, source.read, request, emit, advance)
    model: Sequence[int] = grid.canvas.model
    told = {
        "count": grid.count, "size": list(grid.tile), "overlap": grid.overlap,
        "model_size": list(model),
    }  # fmt: skip
    return files, {"tiles": told}
