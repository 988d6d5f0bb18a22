"""pixwizard evaluate films: how much answers to moving scenes of the demo world flicker."""

from __future__ import annotations

import argparse

from ..errors import PixWizardError
from ..tasks import TRAINED, read_phrasing
from .help_text import sentence
from .models import add_small_options
from .wording import add_phrasing_option

TEXT = "measure the flicker of answers to videos of the demo world, by how frames are started"


def add_films(commands) -> None:
    """Add `pixwizard evaluate films` to the subparsers."""
    parser = commands.add_parser("films", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument(
        "--frames", type=int, default=8, help="frames per video (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=int, default=4, help="number of videos (default: %(default)s)"
    )
    parser.add_argument(
        "--tasks", help="comma-separated tasks (default: depth,normal,segmentation)"
    )
    add_phrasing_option(parser)
    add_small_options(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Print flicker and error of each task and way of starting frames."""
    from ..evaluation.films import FILM_TASKS, measure
    from .models import load_small_asked

    if arguments.frames < 2:
        raise PixWizardError(f"--frames must be at least 2. Got: {arguments.frames}")
    chosen = arguments.tasks.split(",") if arguments.tasks else list(FILM_TASKS)
    if arguments.count < 1:
        raise PixWizardError(f"--count must be at least 1. Got: {arguments.count}")
    if unknown := set(chosen) - set(FILM_TASKS):
        raise PixWizardError(f"films are scored in {', '.join(FILM_TASKS)}, not {min(unknown)}")
    bundle = load_small_asked(arguments)
    phrasing = read_phrasing(arguments.phrasing or TRAINED)
    rows = measure(bundle, chosen, arguments.count, arguments.frames, phrasing)
    asked = {row["task"]: row["instruction"] for row in rows}
    said = ", ".join(f"{task} “{sentence}”" for task, sentence in asked.items())
    print(f"Asked as: {said}\n")
    print("| task | steps | frames start from | flicker, of 255 | error |\n|---|---|---|---|---|")
    for row in rows:
        cells = [row["task"], str(row["steps"]), row["way"]]
        print(f"| {' | '.join(cells)} | {row['flicker']:.3f} | {row['error']:.4f} |")
    return 0
