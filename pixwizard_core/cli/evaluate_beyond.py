"""pixwizard evaluate beyond: what the parts beyond the paper gain, measured on rooms."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..errors import PixWizardError
from ..seeds import seed_argument
from .help_text import sentence
from .models import add_small_options
from .progress import progress

TEXT = "measure on rooms what the parts beyond the paper gain and cost (docs/beyond.md)"
PARTS = ("sharp", "best", "layers", "larger", "regional", "lighter")


def add_beyond(commands: Any) -> None:
    """Add `pixwizard evaluate beyond` to the subparsers."""
    parser = commands.add_parser("beyond", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--parts", default=",".join(PARTS),
        help="comma-separated parts to measure (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=24, help="rooms (default: %(default)s)")
    add_small_options(parser)
    parser.add_argument("--seed", type=seed_argument, help="seed that picks another set of rooms")


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure each part and print its table."""
    from ..world.held_out import HELD_OUT_SEED
    from .models import load_small_asked

    parts = arguments.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise PixWizardError(f"no part {unknown[0]!r}; choose from: {', '.join(PARTS)}")
    if arguments.count < 1:
        raise PixWizardError(f"--count must be at least 1. Got: {arguments.count}")
    bundle = load_small_asked(arguments)
    seed = HELD_OUT_SEED if arguments.seed is None else arguments.seed
    for part in parts:
        with progress(part, "picture") as advance:
            done = 0

            def on_batch(count: int, advance: Any = advance) -> None:
                nonlocal done
                done += count
                advance(done, 0)

            print(MEASURES[part](bundle, arguments.count, seed, on_batch) + "\n", flush=True)
    return 0


def _sharp(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation.sharp_study import sharp_table, study

    return sharp_table(study(bundle, count, seed, on_batch))


def _best(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation.best_study import best_tables, study_masks, study_tasks

    rows = study_masks(bundle, count, seed, on_batch)
    return best_tables(rows, study_tasks(bundle, max(1, count // 4), seed, on_batch))


def _layers(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation.layers_study import layers_table, study_layers

    return layers_table(study_layers(bundle, count, seed, on_batch), count)


def _larger(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation.larger_study import larger_tables, study_larger

    return larger_tables(study_larger(bundle, count, seed, on_batch), count)


def _regional(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation.regional_study import regional_table, study_regions

    return regional_table(study_regions(bundle, count, seed, on_batch))


def _lighter(bundle: Any, count: int, seed: int, on_batch: Callable[[int], None]) -> str:
    from ..evaluation import lighter_study as study
    from ..evaluation.lighter_tables import layer_table, size_table, task_table

    errors = layer_table(study.layer_errors(bundle, seed), study.text_errors(bundle, count, seed))
    tasks = task_table(study.study_tasks(bundle, count, seed, on_batch))
    return "\n\n".join((errors, tasks, size_table(study.released_sizes())))


MEASURES = {
    "sharp": _sharp, "best": _best, "layers": _layers, "larger": _larger, "regional": _regional,
    "lighter": _lighter,
}  # fmt: skip
