"""pixwizard evaluate data: scores on datasets by the paper's protocols."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from ..errors import PixWizardError
from ..seeds import seed_argument
from . import batch as cli_batch
from .models import add_model_options
from .progress import progress
from .settings import (
    AUTO,
    add_depth_options,
    add_sampling_options,
    given_settings,
    near_of,
    range_of,
)
from .wording import add_phrasing_option, warn_of_untaught, wordings_of

DATA = ("nyuv2", "nyuv2-normals", "sunrgbd", "ade20k", "refcoco", "refcoco+", "grefcoco")
RESTORED = ("rain100l", "sidd", "world")
WORLD_COUNT = 96
WORLD_TASKS = ("depth", "normal", "segmentation", "mask")
DEFAULT_OUT = Path("pixwizard_scores")
TEXT = "score a dataset by the paper's protocols"
DEPTH, REFERRING = ("nyuv2", "sunrgbd"), ("refcoco", "refcoco+", "grefcoco")
# Option -> the datasets that use it.
USED_BY = {
    "tasks": ("world",),
    "list": ("sunrgbd",),
    "method": REFERRING,
    "range": DEPTH,
    "near": DEPTH,
    "align": (*DEPTH, "world"),
    "sign": ("nyuv2-normals",),
}
# Option -> field of evaluation.layouts.DatasetOptions.
FIELDS = {"split": "split", "method": "method", "align": "align", "list": "listed",
          "count": "count"}  # fmt: skip


def add_data(commands) -> None:
    """Add `pixwizard evaluate data` to the subparsers."""
    parser = commands.add_parser("data", help=TEXT, description=TEXT)
    parser.set_defaults(command=evaluate)
    parser.add_argument("data", choices=(*DATA, *RESTORED), metavar="NAME",
                        help=f"one of {', '.join((*DATA, *RESTORED))}")  # fmt: skip
    parser.add_argument("--root", type=Path, help="its folder; if omitted, world is generated")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write")
    parser.add_argument("--split", default="", help="validation, val, testA, …")
    parser.add_argument("--count", type=int, help="of pictures, or of the world's scenes a task")
    parser.add_argument("--save", action="store_true", help="also keep the answers as files")
    parser.add_argument(
        "--batch", type=int, default=1,
        help="pictures per forward pass; another number changes the last bits of results",
    )  # fmt: skip
    parser.add_argument("--seed", type=seed_argument, default=0, help="of the noise")
    some = parser.add_argument_group("for some of the datasets")
    some.add_argument("--tasks", help=f"world: of its scenes (default {','.join(WORLD_TASKS)})")
    some.add_argument("--list", help="sunrgbd: file with the folders of a split")
    some.add_argument(
        "--method", choices=("mask", "hsv", "both"),
        help="referring: a painted mask (default), or a highlight read by its hue",
    )  # fmt: skip
    some.add_argument(
        "--align", action="store_true", default=None, help="depth: fit by scale and shift first"
    )
    some.add_argument(
        "--sign", type=int, nargs=3, metavar=("X", "Y", "Z"),
        help="normals: -1 turns an axis that is not x right, y up, z to the viewer",
    )  # fmt: skip
    add_depth_options(some, "depth: metres of its two ends (default 0 10)")
    how = parser.add_argument_group("how")
    add_phrasing_option(how)
    add_sampling_options(how)
    add_model_options(parser)
    cli_batch.add_engine_options(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Score a dataset by its protocol, with the engines of pixwizard batch."""
    from ..evaluation.layouts import DatasetOptions, find_data
    from ..evaluation.protocols import score
    from ..fleet.plan import identify

    _refuse_unused(arguments)
    job = replace(
        cli_batch.job_of(arguments), save=arguments.save, palette=_palette(arguments), score=score
    )
    given = {field: getattr(arguments, name) for name, field in FIELDS.items()}
    given = {field: value for field, value in given.items() if value is not None}
    if arguments.range is not None:
        given["range_m"] = range_of(arguments)
    if arguments.sign is not None:
        given["sign"] = tuple(arguments.sign)
    if arguments.root is None:
        given.pop("count", None)  # it has been written so
    options = DatasetOptions(near=near_of(arguments), **given)
    found = find_data(arguments.data, _root(arguments), options)
    with progress("looking at", "picture") as advance:
        items, failures = identify(
            found, {"phrasing": arguments.phrasing},
            lambda seen, failed: advance(seen, len(found), failed), job.model.taught,
        )  # fmt: skip
    taught, tasks = job.model.taught, [item.task for item in items]
    warn_of_untaught(taught, tasks)
    report = cli_batch.carry_out(arguments, job, items, failures)
    _show(arguments, report, wordings_of(tasks, taught, arguments.phrasing))
    return cli_batch.finish(report)


def _refuse_unused(arguments: argparse.Namespace) -> None:
    """Raises PixWizardError for an option that the dataset does not use."""
    for name, users in USED_BY.items():
        if getattr(arguments, name) is not None and arguments.data not in users:
            raise PixWizardError(
                f"--{name.replace('_', '-')} does nothing for {arguments.data}; it is for "
                f"{', '.join(users)}"
            )
    if arguments.tasks is not None and arguments.root is not None:
        raise PixWizardError(
            "--tasks chooses scenes to write, but --root names existing ones; give one of them"
        )


def _palette(arguments: argparse.Namespace):
    from ..decode import ade20k, tiny_world

    return tiny_world() if arguments.data == "world" else ade20k()


def _root(arguments: argparse.Namespace) -> Path:
    if arguments.root:
        return arguments.root
    if arguments.data != "world":
        raise PixWizardError(f"{arguments.data} needs a folder of yours; give it with --root")
    from ..world.folder import write_world

    tasks = arguments.tasks.split(",") if arguments.tasks else WORLD_TASKS
    count = WORLD_COUNT if arguments.count is None else arguments.count
    return write_world(arguments.out / "world", tasks, count)


def _show(arguments: argparse.Namespace, report, wordings: dict[str, str]) -> None:
    """Print the table and write it, and the same as JSON, beside the index."""
    from ..evaluation.layouts import LAYOUTS
    from ..evaluation.reading import reading_notes
    from ..evaluation.tables import rows_of, table
    from ..files.data_files import write_json
    from ..files.picture_files import replace_file

    split = arguments.split or LAYOUTS[arguments.data].splits[0]
    rows = rows_of(arguments.data, split, report.records)
    asked = ", ".join(f"{task} “{form}”" for task, form in wordings.items())
    notes = [f"Asked as: {asked}", *reading_notes(report.records, _palette(arguments))]
    text = "\n\n".join([notes[0], table(rows), *notes[1:]])
    print(text)
    replace_file(arguments.out / "scores.md", (text + "\n").encode())
    content = {
        "data": arguments.data,
        "wordings": wordings,
        "preset": arguments.preset or AUTO,
        "overrides": given_settings(arguments),
        "notes": notes[1:],
        "failed": len(report.failures),
        "rows": _finite(rows),
    }
    write_json(arguments.out / "scores.json", content)


def _finite(rows: list[dict]) -> list[dict]:
    def clean(value):
        return None if isinstance(value, float) and math.isnan(value) else value

    return [
        {**row, "scores": {name: clean(value) for name, value in row["scores"].items()}}
        for row in rows
    ]
