"""pixwizard evaluate sampler: what each setting of the sampler costs and does."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from .help_text import sentence
from .models import add_small_options
from .progress import progress

TEXT = "compare sampler settings (steps, solver, guidance, token selection) by time and score"


def add_sampler(commands: Any) -> None:
    """Add `pixwizard evaluate sampler` to the subparsers."""
    parser = commands.add_parser("sampler", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--tasks",
        help="trained (the tasks that the model has learned), or a comma-separated list "
        "(default: four different tasks)",
    )
    parser.add_argument(
        "--kinds",
        help="comma-separated kinds of settings, such as speed,guided for the speed levels "
        "(default: all)",
    )
    parser.add_argument(
        "--count", type=int, default=24, help="scenes per task (default: %(default)s)"
    )
    parser.add_argument(
        "--half", action="store_true", help="compute in bfloat16, which many machines do faster"
    )
    add_small_options(parser)
    parser.add_argument("--json", type=Path, help="also write the results to this JSON file")
    parser.add_argument("--plot", type=Path, help="also plot the results to this picture file")


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the scores by variation and task, and write them if asked."""
    from ..bench.machine import load, machine, told
    from ..evaluation import sampler_study
    from ..evaluation.score_report import tasks_of
    from ..evaluation.scoring import ScoringPlan
    from ..evaluation.variations import KINDS, variations
    from .models import load_small_asked

    if arguments.count < 1:
        raise PixWizardError(f"--count must be at least 1. Got: {arguments.count}")
    kinds = arguments.kinds.split(",") if arguments.kinds else KINDS
    variations(kinds)  # refuses an unknown one before anything is loaded
    facts = machine(arguments.device)
    print(told(facts), flush=True)
    bundle = load_small_asked(arguments)
    tasks = sampler_study.TASKS
    if arguments.tasks:
        tasks = tasks_of(arguments.tasks, arguments.bundle)
    plan = ScoringPlan(count=arguments.count, half=arguments.half)
    found: list[sampler_study.StudyRow] = []
    with progress("sampling", "task") as advance:
        for rows in sampler_study.study(bundle, plan, tasks, kinds, advance):
            found += rows
            if arguments.json:  # a run takes hours, so save the results so far
                _write(arguments.json, facts, found)
    print(sampler_study.study_table(found))
    facts["load_after"] = load()
    print(f"load afterwards {facts['load_after']}")
    if arguments.json:
        _write(arguments.json, facts, found)
    if arguments.plot:
        try:
            sampler_study.plot_study(found, arguments.plot)
        except ImportError:
            print("no plot: matplotlib is not installed", file=sys.stderr)
    return 0


def _write(path: Path, facts: dict[str, Any], found: list[Any]) -> None:
    from ..evaluation.sampler_study import as_rows
    from ..files.data_files import write_json

    write_json(path, {"machine": facts, "rows": as_rows(found)})
