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
ONE_TILE = "one tile suffices, so the answer is the same as without"


def add_tile_options(parser) -> None:
    """Add --tile and --overlap to a parser or a group of it."""
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
    """Raise PixWizardError for options that do not go together, or a task that tiles do not serve,
    before anything is loaded."""
    from ..tiles import way_of

    if arguments.tile is not None and not arguments.task:
        raise PixWizardError(
            "--tile needs --task: what an instruction in your own words does to parts of a "
            "picture is unknown"
        )
    if arguments.tile is not None:
        way_of(arguments.task)
    check_tile_options(arguments)


def check_tile_options(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for options that do not go together with tiles."""
    if arguments.tile is None:
        if arguments.overlap is not None:
            raise PixWizardError("--overlap is the overlap of tiles; give also --tile")
        return
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
    from ..files.picture_bands import PictureBands
    from ..tiles import TiledRequest
    from ..tiles.written import write_tiled as write

    source = PictureBands(path)
    side = None if arguments.tile == AUTO_SIDE else arguments.tile
    request = TiledRequest(arguments.task, sentence, seed, settings, side, arguments.overlap)
    if request.grid(source.size, bundle).count == 1:
        print(f"{stem}: {ONE_TILE}", file=sys.stderr)
    with progress(stem, "tile") as advance:
        return write(bundle, source.size, source.read, request, arguments.out, stem, advance)
