"""pixwizard evaluate world: score a small model on scenes not used in training."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..seeds import seed_argument
from .help_text import sentence
from .models import add_small_options
from .progress import progress
from .settings import AUTO, add_preset_options, given_settings, tell_settings

TEXT = "score a small model task by task, on scenes held out from training"
CEILING_SCENES = 96
SETS = ("trained", "all", "headline")  # of tasks
PHRASINGS = {
    "trained": ("trained",),
    "seen": ("seen",),
    "held-out": ("held_out",),
    "both": ("seen", "held_out"),
    "all": ("trained", "seen", "held_out"),
}


def add_world(commands) -> None:
    """Add `pixwizard evaluate world` to the subparsers."""
    parser = commands.add_parser("world", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--tasks",
        default="trained",
        help="trained (the tasks that the model has learned), all, headline, or a comma-separated "
        "list (default: %(default)s)",
    )
    parser.add_argument(
        "--count", type=int, default=96, help="scenes per task (default: %(default)s)"
    )
    parser.add_argument(
        "--wide", type=int, default=32,
        help="scenes per task that are not square; 0 skips them (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--phrasings", default="trained", choices=tuple(PHRASINGS),
        help="wordings of the instructions: trained (the trained form), seen (in training), "
        "held-out (from training), both of the last two, or all (default: %(default)s)",
    )  # fmt: skip
    add_preset_options(parser)
    parser.add_argument(
        "--photographs", action="store_true",
        help="score on photographs held out from training, for tasks whose truth is known there "
        "(needs scikit-image)",
    )  # fmt: skip
    parser.add_argument(
        "--referring", action="store_true", help="also score masks by the kind of referring phrase"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the tasks already scored in OUT"
    )
    parser.add_argument("--out", type=Path, help="folder for scores.md, scores.json and plots")
    add_small_options(parser)
    parser.add_argument(
        "--half", action="store_true", help="compute in bfloat16, which many machines do faster"
    )
    parser.add_argument(
        "--batch", type=int, default=32, help="pictures per forward pass (default: %(default)s)"
    )
    parser.add_argument("--seed", type=seed_argument, help="seed that picks another set of scenes")


def evaluate(arguments: argparse.Namespace) -> int:
    """Score, print the tables, and write them if asked."""
    from ..evaluation.score_report import goal_table, table, tasks_of, wording_line
    from ..evaluation.scoring import score_world
    from ..files.picture_files import replace_file
    from ..world.photograph_tasks import PHOTOGRAPH_TASKS
    from .models import load_small_asked

    plan, tasks = _plan(arguments), tasks_of(arguments.tasks, arguments.bundle)
    if arguments.photographs and arguments.tasks in SETS:
        tasks = [task for task in tasks if task in PHOTOGRAPH_TASKS]
    bundle = load_small_asked(arguments)
    about = _about(bundle, plan)
    done = _scored(arguments.out, about) if arguments.resume else {}

    def keep(result) -> None:
        done[result.task] = result
        if arguments.out:
            _write_scores(arguments.out, list(done.values()), about)

    with progress("scoring", "picture") as advance:
        left = [task for task in tasks if task not in done]
        score_world(bundle, left, plan, on_task=keep, on_progress=advance)
    results = [done[task] for task in tasks]
    parts = [wording_line(results, bundle.taught), table(results)]
    if not arguments.photographs:  # the goals are about scenes
        parts.append(goal_table(results))
    if arguments.referring:
        parts.append(_referring(bundle, plan))
    text = "\n\n".join(part for part in parts if part) + "\n"
    print(text, end="")
    if arguments.out:
        replace_file(arguments.out / "scores.md", text.encode())
        _plot(results, arguments.out / "scores.png")
        print(f"Scores are in {arguments.out.absolute()}", file=sys.stderr)
    return 0


def _about(bundle, plan) -> dict:
    """Everything that scores depend on besides the task."""
    import hashlib

    weights = hashlib.sha256()
    for tensor in bundle.model.state_dict().values():
        weights.update(tensor.detach().cpu().float().numpy().tobytes())
    return {
        "seed": plan.seed,
        "count": plan.count,
        "wide_scenes": plan.wide,
        "phrasings": list(plan.phrasings),
        "half": plan.half,
        "preset": plan.preset,
        "overrides": dict(plan.overrides),
        "photographs": plan.photographs,
        "weights": weights.hexdigest()[:16],
    }


def _scored(folder: Path | None, about: dict) -> dict:
    """Scores in a folder by task, from the same settings and the same weights."""
    from ..errors import PixWizardError
    from ..evaluation.score_report import from_json
    from ..json_text import read_json, read_text

    if folder is None:
        raise PixWizardError("--resume needs --out, the folder with the scores so far")
    path = folder / "scores.json"
    if not path.is_file():
        return {}
    text = read_text(path, PixWizardError)
    found = read_json(text, f"{path} is", PixWizardError)
    if not isinstance(found, dict) or not isinstance(found.pop("tasks", None), dict):
        raise PixWizardError(f"{path} holds no scores; choose another --out")
    if found != about:
        other = [name for name in about if found.get(name) != about[name]]
        raise PixWizardError(
            f"{path} has scores made with other settings ({', '.join(other)}); choose another "
            "--out, or omit --resume"
        )
    return {result.task: result for result in from_json(text)}


def _plan(arguments: argparse.Namespace):
    from dataclasses import replace

    from ..errors import PixWizardError
    from ..evaluation.scoring import ScoringPlan

    if min(arguments.count, arguments.batch) < 1 or arguments.wide < 0:
        raise PixWizardError("--count and --batch must be at least 1, --wide at least 0")
    if arguments.photographs and arguments.referring:
        raise PixWizardError("--referring is about scenes; omit it, or omit --photographs")
    plan = ScoringPlan(
        count=arguments.count,
        wide=arguments.wide,
        ceiling=min(arguments.count, CEILING_SCENES),
        phrasings=PHRASINGS[arguments.phrasings],
        batch=arguments.batch,
        half=arguments.half,
        preset=arguments.preset or AUTO,
        overrides=given_settings(arguments),
        photographs=arguments.photographs,
    )
    tell_settings(arguments)
    return plan if arguments.seed is None else replace(plan, seed=arguments.seed)


def _referring(bundle, plan) -> str:
    from ..evaluation import referring

    with progress("phrases", "picture") as advance:
        done = 0

        def on_batch(count: int) -> None:
            nonlocal done
            done += count
            advance(done, plan.count)

        return referring.referring_table(referring.study(bundle, plan, on_batch))


def _write_scores(folder: Path, results, about: dict) -> None:
    from ..evaluation.score_report import as_values
    from ..files.data_files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "scores.json", as_values(results, **about))


def _plot(results, path: Path) -> None:
    from ..evaluation.score_report import plot

    try:
        plot(results, path)
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)
