"""pixwizard evaluate data: scores on datasets by the paper's protocols."""

from __future__ import annotations

import argparse
import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..errors import PixWizardError
from ..seeds import seed_argument
from . import batch as cli_batch
from .help_text import sentence
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

REFERRING, DEPTH = ("refcoco", "refcoco+", "grefcoco"), ("nyuv2", "sunrgbd")
RESTORED = ("rain100l", "sidd", "snow100k-l", "sots", "lolv2", "gopro", "toled", "uieb", "pairs")
EDITED, CONTROLLED = ("magicbrush", "emu-edit"), ("multigen-canny", "multigen-depth")
SQUARE = (*CONTROLLED, "places-inpaint", "places-outpaint", "coco30k", "hpsv2")
DATA = (*DEPTH, "nyuv2-normals", "ade20k", *REFERRING, *RESTORED, *EDITED, *SQUARE, "world")
WORLD_COUNT = 96
WORLD_TASKS = ("depth", "normal", "segmentation", "mask")
DEFAULT_OUT = Path("pixwizard_scores")
TEXT = "score a model on a dataset, by the paper's protocols"
SEED_HELP = "random seed for the noise and other random choices (default: %(default)s)"
# Option -> the datasets that use it.
USED_BY = {
    "tasks": ("world",),
    "list": ("sunrgbd", "uieb", "pairs"),
    "task": (*RESTORED, *EDITED),
    "instruction": (*RESTORED, *EDITED),
    "pair": ("pairs",),
    "turns": ("magicbrush",),
    "side": SQUARE,
    "draws": CONTROLLED,
    "method": REFERRING,
    "range": DEPTH,
    "near": DEPTH,
    "align": (*DEPTH, "world"),
    "sign": ("nyuv2-normals",),
}
# Option -> field of evaluation.layouts.DatasetOptions.
FIELDS = {
    "split": "split", "method": "method", "align": "align", "list": "listed", "count": "count",
    "task": "task", "instruction": "instruction", "turns": "turns", "side": "side",
    "draws": "seeds", "seed": "seed",
}  # fmt: skip


def add_data(commands) -> None:
    """Add `pixwizard evaluate data` to the subparsers."""
    parser = commands.add_parser("data", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument("data", choices=DATA, metavar="NAME", help=f"dataset: {', '.join(DATA)}")
    parser.add_argument(
        "--root", type=Path, help="folder of the dataset (default: none; world is generated)"
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="folder to write to (default: %(default)s)"
    )
    parser.add_argument(
        "--split", default="",
        help="split, such as validation, testA or photo (default: the paper's)",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=int, metavar="N",
        help=f"questions (default: all), or scenes per task of world (default: {WORLD_COUNT})",
    )  # fmt: skip
    parser.add_argument("--save", action="store_true", help="also save the answers as files")
    add_measure_options(parser)
    parser.add_argument(
        "--metrics",
        help="comma-separated metrics: l1,fidelity,lpips_vgg,clip,dino,fid,is,… "
        "(default: the dataset's own)",
    )
    parser.add_argument(
        "--batch", type=int, default=1,
        help=cli_batch.BATCH_HELP,
    )  # fmt: skip
    parser.add_argument("--seed", type=seed_argument, default=0, help=SEED_HELP)
    some = parser.add_argument_group("options of single datasets")
    some.add_argument("--task", help="restoration, edits: task in place of the usual one")
    some.add_argument(
        "--instruction", metavar="TEXT", help="restoration, edits: instruction in your own words"
    )
    some.add_argument(
        "--pair", nargs=2, metavar=("IN", "TRUE"), help="pairs: folders of inputs and truth"
    )
    some.add_argument("--list", help="sunrgbd, uieb: file of names in a split; pairs: JSON list")
    some.add_argument(
        "--turns", choices=("single", "multi"), help="magicbrush: turns to score (default: single)"
    )
    some.add_argument("--side", type=int, help="side in px of square inputs and blank canvases")
    some.add_argument("--draws", type=int, help="multigen: answers per condition (default: 4)")
    some.add_argument(
        "--tasks", help=f"world: comma-separated tasks (default: {','.join(WORLD_TASKS)})"
    )
    some.add_argument(
        "--method", choices=("mask", "hsv", "both"),
        help="referring: mask, highlight read by its hue, or both (default: mask)",
    )  # fmt: skip
    some.add_argument(
        "--align",
        action="store_true",
        default=None,
        help="depth: align scale and shift to the truth first",
    )
    some.add_argument(
        "--sign", type=int, nargs=3, metavar=("X", "Y", "Z"),
        help="normals: -1 flips an axis that is not x right, y up, z to the viewer",
    )  # fmt: skip
    add_depth_options(some, "depth: nearest and farthest distance in metres (default: 0 10)")
    how = parser.add_argument_group("sampling")
    add_phrasing_option(how)
    add_sampling_options(how)
    add_model_options(parser)
    cli_batch.add_engine_options(parser)


def add_measure_options(parser) -> None:
    """Add the options that measures of pictures need."""
    parser.add_argument(
        "--weights", type=Path, metavar="DIR",
        help="folder of weights for measuring networks (see pixwizard evaluate weights)",
    )  # fmt: skip


def evaluate(arguments: argparse.Namespace) -> int:
    """Score a dataset by its protocol, with the engines of pixwizard batch."""
    from ..evaluation.evaluate_set import SetPlan
    from ..evaluation.layouts import DatasetOptions
    from ..evaluation.measuring import check_measures
    from ..evaluation.networks.weight_files import WeightFolder

    _refuse_unused(arguments)
    job = replace(cli_batch.job_of(arguments), save=arguments.save, palette=_palette(arguments))
    given = {field: getattr(arguments, name) for name, field in FIELDS.items()}
    given = {field: value for field, value in given.items() if value is not None}
    if arguments.range is not None:
        given["range_m"] = range_of(arguments)
    if arguments.sign is not None:
        given["sign"] = tuple(arguments.sign)
    if arguments.pair is not None:
        given["pair"] = tuple(arguments.pair)
    if arguments.root is None:
        given.pop("count", None)  # the files were written with this count
    names = arguments.metrics.split(",") if arguments.metrics else None
    plan = SetPlan(
        arguments.data, _root(arguments),
        DatasetOptions(near=near_of(arguments), **given),
        None if names is None else check_measures(names), arguments.phrasing,
        WeightFolder(arguments.weights), arguments.device,
    )  # fmt: skip
    result = run_set(arguments, plan, job)
    _show(arguments, plan, job, result)
    status = 0
    for report in result.reports:
        status = max(status, cli_batch.finish(report))
    return status


def run_set(arguments: argparse.Namespace, plan, job):
    """Evaluate one dataset with the chosen engine, showing progress."""
    from ..evaluation.evaluate_set import evaluate_set

    def tell(tasks) -> None:
        warn_of_untaught(job.model.taught, tasks)

    def engine(job, items, failures):
        return cli_batch.carry_out(arguments, job, items, failures)

    with ExitStack() as bars:
        seen, measured = (_when_called(bars, label) for label in ("looking at", "measuring"))
        return evaluate_set(plan, job, engine, on_seen=seen, on_tasks=tell, on_measured=measured)


def _when_called(bars: ExitStack, label: str):
    """A callback that starts its line or bar on the first call, so that bars do not overlap."""
    begun: list = []

    def advance(done: int, total: int, failed: int = 0) -> None:
        if not begun:
            begun.append(bars.enter_context(progress(label, "picture")))
        begun[0](done, total, failed)

    return advance


def _refuse_unused(arguments: argparse.Namespace) -> None:
    """Raise PixWizardError for an option that the dataset does not use."""
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


def _show(arguments: argparse.Namespace, plan, job, result) -> None:
    """Print the table with its protocol, and write both as text and JSON beside the index."""
    from ..evaluation.paper import WHOLE
    from ..evaluation.protocol_lines import protocol_lines
    from ..evaluation.tables import table
    from ..files.data_files import write_json
    from ..files.picture_files import replace_file

    wordings = wordings_of(result.tasks, job.model.taught, arguments.phrasing)
    if arguments.instruction is not None:
        wordings = {task: arguments.instruction for task in wordings}
    asked = ", ".join(f"{task} “{form}”" for task, form in wordings.items())
    lines = protocol_lines(plan, job)
    lines += [f"left out {name}: {why}" for name, why in result.measured.left_out.items()]
    if arguments.shard != WHOLE:
        lines.append(f"only part {arguments.shard} of the pictures; omit --shard for all")
    notes = [*result.notes, *result.measured.notes.values()]
    lines += notes
    parts = [f"Asked as: {asked}", table(result.rows), "\n".join(f"- {line}" for line in lines)]
    text = "\n\n".join(parts)
    print(text)
    replace_file(arguments.out / "scores.md", (text + "\n").encode())
    content = {
        "data": arguments.data,
        "wordings": wordings,
        "preset": arguments.preset or AUTO,
        "overrides": given_settings(arguments),
        "notes": notes,
        "failed": result.failed,
        "rows": finite(result.rows),
        "protocol": lines,
    }
    write_json(arguments.out / "scores.json", content)


def finite(rows: list[dict]) -> list[dict]:
    """Rows for JSON, which has no NaN."""

    def clean(value):
        return None if isinstance(value, float) and math.isnan(value) else value

    return [
        {**row, "scores": {name: clean(value) for name, value in row["scores"].items()}}
        for row in rows
    ]
