"""pixwizard evaluate: scores on datasets by the paper's protocols, or on the demo world."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

from ..errors import PixWizardError
from . import batch as cli_batch
from . import evaluate_world as world
from .run import add_released_options, add_sampling_options

DATA = ("nyuv2", "nyuv2-normals", "sunrgbd", "ade20k", "refcoco", "refcoco+", "grefcoco")
RESTORED = ("rain100l", "sidd", "world")
WORLD_BATCH, WORLD_COUNT = 32, 96  # without --data
WORLD_TASKS = ("depth", "normal", "segmentation", "mask")
FILMS = 4
DEFAULT_OUT = Path("pixwizard_scores")


def add_evaluate(commands) -> None:
    """Add `pixwizard evaluate` to the subparsers."""
    world.add_evaluate(commands)
    parser = commands.choices["evaluate"]
    # Without a value the two ways of evaluating each take their own.
    parser.set_defaults(command=evaluate, batch=None, count=None)
    data = parser.add_argument_group("a dataset (by the same engines as pixwizard batch)")
    data.add_argument("--data", choices=(*DATA, *RESTORED), help="its name")
    data.add_argument("--root", type=Path, help="its folder; world is written when left out")
    data.add_argument("--split", default="", help="validation, val, testA, …")
    data.add_argument("--list", default="", help="file with the folders of a split (sunrgbd)")
    data.add_argument(
        "--method", default="mask", choices=("mask", "hsv", "both"),
        help="referring: a painted mask, or a highlight read by its hue",
    )  # fmt: skip
    data.add_argument("--range", type=float, nargs=2, default=(0.0, 10.0), metavar=("NEAR", "FAR"),
                      help="metres of the two ends of a depth picture")  # fmt: skip
    data.add_argument(
        "--white-is", default="far", choices=("near", "far"), help="in a depth picture"
    )
    data.add_argument(
        "--align", action="store_true", help="fit depth to the truth by scale and shift first"
    )
    data.add_argument(
        "--sign", type=int, nargs=3, default=(1, 1, 1), metavar=("X", "Y", "Z"),
        help="-1 turns an axis of a normal map that is not x right, y up, z to the viewer",
    )  # fmt: skip
    data.add_argument(
        "--flicker", type=int, metavar="FRAMES",
        help="instead: how answers to films of the demo world flicker, by how frames are started",
    )  # fmt: skip
    data.add_argument("--save", action="store_true", help="keep the answers as files as well")
    add_sampling_options(data)
    add_released_options(data)
    cli_batch.add_engine_options(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Score a dataset, or the demo world as before."""
    if arguments.flicker is not None:
        return _flicker(arguments)
    if not arguments.data:
        arguments.batch = WORLD_BATCH if arguments.batch is None else arguments.batch
        arguments.count = WORLD_COUNT if arguments.count is None else arguments.count
        return world.evaluate(arguments)
    from ..evaluation.layouts import Options, find_data
    from ..evaluation.protocols import score
    from ..fleet.plan import identify

    arguments.out = arguments.out or DEFAULT_OUT
    arguments.batch = 1 if arguments.batch is None else arguments.batch
    arguments.seed = arguments.seed or 0
    job = replace(
        cli_batch.job_of(arguments), save=arguments.save, palette=_palette(arguments), score=score
    )
    options = Options(
        split=arguments.split,
        method=arguments.method,
        range_m=tuple(arguments.range),
        white_is_near=arguments.white_is == "near",
        align=arguments.align,
        sign=tuple(arguments.sign),
        listed=arguments.list,
        count=0 if arguments.data == "world" else arguments.count or 0,
    )
    found = find_data(arguments.data, _root(arguments), options)
    with cli_batch.rate("looking at", "picture") as advance:
        items, failures = identify(
            found, {}, lambda seen, failed: advance(seen, len(found), failed)
        )
    report = cli_batch.carry_out(arguments, job, items, failures)
    _show(arguments, report)
    return cli_batch.finish(report)


def _flicker(arguments: argparse.Namespace) -> int:
    """Print flicker and error of each task and way of starting frames."""
    from ..evaluation.films import FILM_TASKS, measure
    from .run import load_small

    if arguments.flicker < 2:
        raise PixWizardError(f"--flicker takes at least 2 frames. Got: {arguments.flicker}")
    chosen = arguments.tasks.split(",") if arguments.tasks != "trained" else list(FILM_TASKS)
    if unknown := set(chosen) - set(FILM_TASKS):
        raise PixWizardError(f"--flicker knows {', '.join(FILM_TASKS)}, not {min(unknown)}")
    bundle = load_small(arguments.bundle, arguments.device)
    rows = measure(bundle, chosen, arguments.count or FILMS, arguments.flicker)
    print("| task | steps | frames start from | flicker, of 255 | error |\n|---|---|---|---|---|")
    for row in rows:
        cells = [row["task"], str(row["steps"]), row["way"]]
        print(f"| {' | '.join(cells)} | {row['flicker']:.3f} | {row['error']:.4f} |")
    return 0


def _palette(arguments: argparse.Namespace):
    from ..decode import ade20k, tiny_world

    return tiny_world() if arguments.data == "world" else ade20k()


def _root(arguments: argparse.Namespace) -> Path:
    from ..evaluation.layouts import unpack_sidd

    if arguments.data == "sidd" and arguments.root:
        return unpack_sidd(arguments.root, arguments.out / "sidd_blocks")
    if arguments.root:
        return arguments.root
    if arguments.data != "world":
        raise PixWizardError(f"--data {arguments.data} is a folder of yours; say which by --root")
    from ..world.folder import write_world

    tasks = arguments.tasks.split(",") if arguments.tasks != "trained" else WORLD_TASKS
    count = WORLD_COUNT if arguments.count is None else arguments.count
    return write_world(arguments.out / "world", tasks, count)


def _show(arguments: argparse.Namespace, report) -> None:
    """Print the table and write it, and the same as JSON, beside the index."""
    from ..evaluation.layouts import LAYOUTS
    from ..evaluation.tables import rows_of, table
    from ..files.picture_files import replace_file

    split = arguments.split or LAYOUTS[arguments.data].splits[0]
    rows = rows_of(arguments.data, split, report.records)
    text = table(rows)
    print(text)
    replace_file(arguments.out / "scores.md", (text + "\n").encode())
    content = {"data": arguments.data, "failed": len(report.failures), "rows": _finite(rows)}
    replace_file(arguments.out / "scores.json", (json.dumps(content, indent=1) + "\n").encode())


def _finite(rows: list[dict]) -> list[dict]:
    def clean(value):
        return None if isinstance(value, float) and math.isnan(value) else value

    return [
        {**row, "scores": {name: clean(value) for name, value in row["scores"].items()}}
        for row in rows
    ]
