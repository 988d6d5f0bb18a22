"""pixwizard evaluate paper: every number of the paper's tables with one command."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from ..errors import PixWizardError
from ..seeds import seed_argument
from ..tasks import FREE_TEXT
from . import batch as cli_batch
from .evaluate_data import SEED_HELP, add_measure_options, run_set
from .models import add_model_options
from .settings import add_depth_options, add_sampling_options, near_of, range_of
from .wording import add_phrasing_option, wordings_of

TEXT = "measure the 58 numbers of the paper's tables, or report what each one lacks"
DEFAULT_OUT, TABLE = Path("pixwizard_paper"), "paper.md"
ABOUT = """\
Measure the 58 numbers of the paper's tables 1, 2, 3, 5 and 6, or report what each one lacks: its
dataset, the weights of a measuring network, or a model that was taught the task. The table is
printed and written to OUT as paper.md and paper.json after each dataset. Run the same command again
to resume: what has not changed is not computed again."""
EXAMPLES = """\
examples:
  pixwizard evaluate paper --root DATA
      report what is present, what is missing, and where to get it
  pixwizard evaluate paper --root DATA --weights W --only table5 --count 20
      try it out with 20 pictures of each restoration set
  pixwizard evaluate weights W
      list the weight files that metrics need, and which of them are in W"""
ABLATIONS = ("no-image-tokens", "no-image-latent", "all-tokens")


def add_paper(commands) -> None:
    """Add `pixwizard evaluate paper` to the subparsers."""
    parser = commands.add_parser(
        "paper", help=TEXT, description=ABOUT, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--root", type=Path, required=True, metavar="DATA",
        help="folder with one folder per dataset: sots, gopro, coco, … (see docs/evaluation.md)",
    )  # fmt: skip
    add_measure_options(parser)
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, help="folder to write to (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help="comma-separated tables and datasets, such as table3,sots (default: all)",
    )
    parser.add_argument(
        "--count", type=int, default=0, metavar="N", help="questions per dataset (default: all)"
    )
    parser.add_argument(
        "--ablate", choices=ABLATIONS, metavar="PART",
        help=f"part to switch off, without retraining: {', '.join(ABLATIONS)}",
    )  # fmt: skip
    add_depth_options(parser, "depth: nearest and farthest distance in metres (default: 0 10)")
    parser.add_argument(
        "--batch", type=int, default=1,
        help=cli_batch.BATCH_HELP,
    )  # fmt: skip
    parser.add_argument("--seed", type=seed_argument, default=0, help=SEED_HELP)
    how = parser.add_argument_group("sampling")
    add_phrasing_option(how)
    add_sampling_options(how)
    add_model_options(parser)
    cli_batch.add_engine_options(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure what can be measured, and print and write the table."""
    from ..decode import ade20k
    from ..evaluation.cells import chosen_cells, names_of_cells
    from ..evaluation.networks.weight_files import WeightFolder
    from ..evaluation.paper import METRES, PaperRun, carry_out

    only = arguments.only.split(",") if arguments.only else []
    if unknown := [name for name in only if name not in names_of_cells()]:
        raise PixWizardError(
            f"--only knows no {unknown[0]!r}; it takes {', '.join(names_of_cells())}"
        )
    if arguments.count < 0:
        raise PixWizardError(f"--count cannot be negative. Got: {arguments.count}")
    if not arguments.root.is_dir():
        raise PixWizardError(f"there is no folder {arguments.root}")
    job = _ablated(replace(cli_batch.job_of(arguments), palette=ade20k()), arguments.ablate)
    run = PaperRun(
        arguments.root, job, WeightFolder(arguments.weights),
        lambda plan, job: run_set(arguments, plan, job), arguments.count, arguments.phrasing,
        arguments.device, near_of(arguments), range_of(arguments) or METRES, arguments.shard, _told,
    )  # fmt: skip
    try:
        results = carry_out(run, chosen_cells(only), lambda some: _write(arguments, job, some))
    except KeyboardInterrupt:
        _told(f"the table so far is in {arguments.out / TABLE}; the same command goes on")
        raise
    print(_write(arguments, job, results), end="")
    return 0


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ablated(job, name: str | None):
    """The job with a part switched off. Raises PixWizardError when --tokens contradicts it."""
    from ..evaluation.ablations import ABLATIONS

    if name is None:
        return job
    return replace(job, overrides={**job.overrides, **ABLATIONS[name].overrides})


def _write(arguments: argparse.Namespace, job, results) -> str:
    """Write the table as text and as JSON. Returns the text."""
    from ..evaluation.paper_table import (
        as_json,
        cells_table,
        choice_lines,
        missing_lines,
        note_lines,
    )
    from ..files.data_files import write_json
    from ..files.picture_files import replace_file

    head = _head(arguments, job, results)
    parts = [head, cells_table(results)]
    for title, lines in (
        ("Missing", missing_lines(results)),
        ("To know", note_lines(results)),
        ("How it is measured", choice_lines(results)),
        ("How it is asked", _wordings(arguments, job, results)),
    ):
        if lines:
            parts.append("\n".join([f"{title}:", "", *(f"- {line}" for line in lines)]))
    text = "\n\n".join(parts) + "\n"
    arguments.out.mkdir(parents=True, exist_ok=True)
    replace_file(arguments.out / TABLE, text.encode())
    content = {"head": head, "cells": as_json(results)}
    write_json(arguments.out / "paper.json", content)
    return text


def _wordings(arguments: argparse.Namespace, job, results) -> list[str]:
    from ..evaluation.layouts.restoration import ZERO_SHOT

    tasks = [result.cell.task for result in results]
    asked = wordings_of(tasks, job.model.taught, arguments.phrasing)
    lines = [f"{task}: {form}" for task, form in asked.items() if task != FREE_TEXT]
    free = dict.fromkeys(one.cell.data for one in results if one.cell.task == FREE_TEXT)
    return lines + [f"{data}, zero-shot: {ZERO_SHOT[data]}" for data in free]


def _head(arguments: argparse.Namespace, job, results) -> str:
    """The table's head: model, settings and number of cells."""
    from ..evaluation.ablations import ABLATIONS, RETRAINED
    from ..evaluation.paper import MEASURED, WHOLE

    done = sum(result.state == MEASURED for result in results)
    if job.model.released:
        model = "the released model"
    else:
        model = f"{job.model.folder or 'the bundled model'}, which is not the paper's"
    if job.model.loras:
        model += f", with LoRA {', '.join(map(str, job.model.loras))}"
    changed = ", ".join(f"{name} {value}" for name, value in job.overrides.items())
    lines = [
        f"{done} of {len(results)} cells measured, with {model}.",
        f"Preset {job.preset}, {changed or 'nothing else'} given; fit {job.fit}, centre "
        f"{job.centre or 'auto'}, seed {job.seed}; depth with {near_of(arguments)} as near.",
    ]
    if arguments.count:
        lines.append(f"Only {arguments.count} questions of each dataset: no numbers of the paper.")
    if arguments.shard != WHOLE:
        lines.append(f"Only part {arguments.shard} of the pictures; omit --shard for all.")
    if arguments.ablate:
        lines.append(f"Switched off: {ABLATIONS[arguments.ablate].told}. {RETRAINED}.")
    return "\n".join(lines)
