"""pixwizard evaluate speed: how much quality fewer evaluations of the small model cost."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..errors import PixWizardError
from .progress import progress

TEXT = "how much quality fewer evaluations of the small model cost, task by task"


def add_speed(commands) -> None:
    """Add `pixwizard evaluate speed` to the subparsers."""
    parser = commands.add_parser("speed", help=TEXT, description=TEXT)
    parser.set_defaults(command=evaluate)
    parser.add_argument("--tasks", default="trained", help="trained (default), or depth,mask,…")
    parser.add_argument("--count", type=int, default=24, help="scenes a task")
    parser.add_argument("--levels", action="store_true", help="the speed levels only")
    parser.add_argument("--half", action="store_true", help="bfloat16: faster on many machines")
    parser.add_argument(
        "--bundle", type=Path, help="folder of another small model (default: the bundled one)"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, …")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the scores by way of sampling and task, and write them where asked."""
    from ..bench.machine import load, machine, told
    from ..evaluation import savings
    from ..evaluation.score_report import tasks_of
    from ..evaluation.scoring import Plan
    from ..files.picture_files import replace_file
    from .models import load_small

    if arguments.count < 1:
        raise PixWizardError(f"--count must be at least 1. Got: {arguments.count}")
    facts = machine(arguments.device)
    print(told(facts), flush=True)
    bundle = load_small(arguments.bundle, arguments.device)
    tasks = tasks_of(arguments.tasks, arguments.bundle)
    plan = Plan(count=arguments.count, half=arguments.half)
    found = []
    with progress("sampling", "task") as advance:
        for one in savings.study(bundle, plan, tasks, advance, arguments.levels):
            found.append(one)
            if arguments.json:  # hours of work: what there is so far
                replace_file(arguments.json, savings.savings_json(found).encode())
    print(savings.savings_table(found))
    facts["load_after"] = load()
    print(f"load afterwards {facts['load_after']}")
    if arguments.json:
        figures = {"machine": facts, "savings": json.loads(savings.savings_json(found))}
        replace_file(arguments.json, (json.dumps(figures, indent=2) + "\n").encode())
    return 0
