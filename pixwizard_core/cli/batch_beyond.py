"""Options of pixwizard batch that go beyond the paper (docs/beyond.md): sharp answers, the best of
several, tiles. What only `pixwizard run` can do is refused with the reason."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import PixWizardError
from .beyond import SHARP_HELP, best_help
from .tiles import AUTO_SIDE, ONE_TILE, add_tile_options, check_tile_options

ONE_AT_A_TIME = ("best", "tile")
# Options of `pixwizard run` that this command refuses, their arguments, and why.
ONLY_IN_RUN: dict[str, tuple[dict[str, Any], str]] = {
    "layers": (
        {"metavar": "NAMES"},
        "it cuts out several things instead of doing one task; pixwizard run --layers takes any "
        "number of pictures",
    ),
    "region": (
        {"metavar": "MASK:TEXT", "action": "append"},
        "its masks mark places in one picture; use pixwizard run --region for each picture",
    ),
    "regions-together": (
        {"action": "store_true"},
        "it is for --region, whose masks mark places in one picture; use pixwizard run",
    ),
    "size": (
        {"metavar": "WxH"},
        "it is for new pictures without an input, and every item here has one; use pixwizard run "
        "--task text2image",
    ),
    "tasks": ({"action": "store_true"}, "pixwizard run --tasks lists the tasks"),
}


def add_batch_beyond(parser: argparse.ArgumentParser) -> None:
    """Add --sharp, --best, --tile, --overlap, and hidden ones that are refused."""
    group = parser.add_argument_group("beyond one plain answer (docs/beyond.md)")
    group.add_argument("--sharp", action="store_true", help=SHARP_HELP)
    group.add_argument(
        "--best", type=int, metavar="N",
        help=best_help("the picture's own", "all scores are in the index"),
    )  # fmt: skip
    add_tile_options(group)
    for name, (given, _) in ONLY_IN_RUN.items():
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS, **given)


def refuse_others(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for an option that `pixwizard run` alone has."""
    for name, (_, why) in ONLY_IN_RUN.items():
        if getattr(arguments, name.replace("-", "_")) not in (None, False):
            raise PixWizardError(f"--{name} is not for pixwizard batch: {why}")


def check_beyond(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for options that do not go together, before any file is looked at."""
    from ..best import check_count

    check_tile_options(arguments)
    if arguments.best is not None:
        check_count(arguments.best)
        if arguments.temporal is not None:
            raise PixWizardError(
                "--temporal gives all frames of a film one noise, and --best may choose another "
                "for each; leave one out"
            )
    if arguments.tile is not None and arguments.temporal:
        raise PixWizardError(
            "--temporal with a START begins with the previous result as a whole, which tiles do "
            "not keep; use --temporal without a number, or leave out --tile"
        )
    for name in ONE_AT_A_TIME:
        if getattr(arguments, name) is not None and arguments.batch > 1:
            raise PixWizardError(f"--{name} answers one picture after another; leave --batch at 1")


def beyond_of(arguments: argparse.Namespace, centres: Sequence[int]) -> dict[str, Any]:
    """The fields of a Job that these options set. centres: the model's. Raises CanvasError for a
    tile of no use."""
    from ..fleet.job import Tiles
    from ..tiles.grid import tile_size

    tiles = None
    if arguments.tile is not None:
        tiles = Tiles(None if arguments.tile == AUTO_SIDE else arguments.tile, arguments.overlap)
        tile_size(tiles.side, tiles.overlap, centres)
    return {"sharp": arguments.sharp, "best": arguments.best, "tiles": tiles}


def tell_beyond(items: Sequence[Any], job: Any) -> None:
    """Print to stderr for how many pictures an option changes nothing."""
    from ..fleet.fits import grid_of, why_not_sharp

    if job.sharp:
        reasons = Counter(reason for item in items if (reason := why_not_sharp(item, job)))
        for reason, count in sorted(reasons.items()):
            print(
                f"--sharp has no effect on {count} of {len(items)} pictures: {reason}",
                file=sys.stderr,
            )
    if job.tiles is not None:
        single = sum(grid_of(item, job).count == 1 for item in items)
        if single:
            print(f"{single} of {len(items)} pictures: {ONE_TILE}", file=sys.stderr)
