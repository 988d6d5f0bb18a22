"""The commands about the bundled model: pixwizard evaluate and pixwizard train."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..progress import progress

EVALUATE = "score a small model on scenes it never saw, task by task"


def add_evaluate(commands) -> None:
    """Add `pixwizard evaluate` to the subparsers."""
    parser = commands.add_parser("evaluate", help=EVALUATE, description=EVALUATE)
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--world", action="store_true", help="on the demo world, whose truth is exact (default)"
    )
    parser.add_argument("--tasks", default="all", help="all (default), headline, or depth,mask,…")
    parser.add_argument("--count", type=int, default=96, help="scenes a task")
    parser.add_argument("--wide", type=int, default=32, help="scenes of other shapes; 0 skips them")
    parser.add_argument("--phrasings", default="both", choices=("seen", "held-out", "both"))
    parser.add_argument("--steps", type=int, help="solver intervals, instead of each task's own")
    parser.add_argument("--effects", action="store_true", help="also vary the sampler's settings")
    parser.add_argument("--effect-count", type=int, default=24, help="scenes a task and change")
    parser.add_argument("--out", type=Path, help="folder for scores.md, scores.json and plots")
    parser.add_argument("--bundle", type=Path, help="folder of another small model (default: ours)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, …")
    parser.add_argument("--half", action="store_true", help="bfloat16: faster on many machines")
    parser.add_argument("--batch", type=int, default=32, help="pictures at a time")
    parser.add_argument("--seed", type=int, help="another set of scenes")


def evaluate(arguments: argparse.Namespace) -> int:
    """Score, print the tables, and write them where asked."""
    from ..cli_run import load_small
    from .score_report import goal_table, table
    from .scoring import score_world

    plan, tasks = _plan(arguments), _tasks(arguments.tasks)
    bundle = load_small(arguments.bundle, arguments.device)
    with progress("scoring", "picture") as advance:
        results = score_world(bundle, tasks, plan, on_progress=advance)
    parts = [table(results), goal_table(results)]
    if arguments.effects:
        parts.append(_effects(bundle, arguments, plan))
    text = "\n\n".join(part for part in parts if part) + "\n"
    print(text, end="")
    if arguments.out:
        _write(arguments.out, text, results, plan)
    return 0


def _plan(arguments: argparse.Namespace):
    from dataclasses import replace

    from ..errors import PixWizardError
    from ..presets import TINY_SETTINGS
    from .scoring import Plan

    if min(arguments.count, arguments.batch, arguments.effect_count) < 1 or arguments.wide < 0:
        raise PixWizardError("--count, --effect-count and --batch must be at least 1, --wide 0")
    both = ("seen", "held_out")
    plan = Plan(
        count=arguments.count,
        wide=arguments.wide,
        ceiling=arguments.count,
        phrasings=both
        if arguments.phrasings == "both"
        else (arguments.phrasings.replace("-", "_"),),
        batch=arguments.batch,
        half=arguments.half,
    )
    if arguments.steps is not None:
        plan = replace(plan, settings=replace(TINY_SETTINGS, steps=arguments.steps))
    return plan if arguments.seed is None else replace(plan, seed=arguments.seed)


def _tasks(text: str) -> list[str]:
    from .examples import WORLD_TASKS
    from .score_report import HEADLINE
    from .scoring import check_tasks

    sets = {"all": list(WORLD_TASKS), "headline": list(HEADLINE)}
    return sets.get(text) or check_tasks([name.strip() for name in text.split(",")])


def _effects(bundle, arguments: argparse.Namespace, plan) -> str:
    from dataclasses import replace

    from .effects import effect_table, study

    plan = replace(plan, count=arguments.effect_count, settings=None)
    with progress("varying", "setting") as advance:
        effects = list(study(bundle, plan, on_progress=advance))
    return effect_table(effects)


def _write(folder: Path, text: str, results, plan) -> None:
    from .score_report import as_json, plot

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.md").write_text(text, encoding="utf-8")
    about = {"seed": plan.seed, "wide_scenes": plan.wide, "half": plan.half}
    (folder / "scores.json").write_text(as_json(results, **about), encoding="utf-8")
    try:
        plot(results, folder / "scores.png")
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)
    print(f"Scores are in {folder.absolute()}", file=sys.stderr)
