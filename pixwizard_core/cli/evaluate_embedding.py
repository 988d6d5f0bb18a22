"""pixwizard evaluate task-embedding: how far apart tasks are before and after the task embedder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import PixWizardError
from .help_text import sentence
from .models import add_model_options

TEXT = "compare instructions before and after the task embedder (figure 11 of the paper)"
EACH = 24


def add_embedding(commands) -> None:
    """Add `pixwizard evaluate task-embedding` to the subparsers."""
    parser = commands.add_parser("task-embedding", help=TEXT, description=sentence(TEXT))
    parser.set_defaults(command=evaluate)
    parser.add_argument("--tasks", help="comma-separated tasks (default: all that the model knows)")
    parser.add_argument(
        "--each", type=int, default=EACH,
        help="maximum number of instructions per task (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for task_embedding.json and .png")
    add_model_options(parser)


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the separation, and write coordinates and plots if asked."""
    from ..evaluation import task_embedding as study
    from ..files.data_files import write_json
    from ..tasks import TASKS, find_task
    from .models import load_asked

    if arguments.each < 2:
        raise PixWizardError(f"--each must be at least 2. Got: {arguments.each}")
    bundle = load_asked(arguments)
    if arguments.tasks:
        tasks = [find_task(name.strip()).id for name in arguments.tasks.split(",")]
    else:
        tasks = [task for task in TASKS if bundle.taught.knows(task)]
    if len(set(tasks)) < 2:
        raise PixWizardError("give at least two tasks; one cannot be apart from itself")
    sentences = study.sentences_of(tasks, arguments.each)
    found = study.separations(bundle, sentences)
    print(f"{len(sentences.texts)} sentences of {len(set(tasks))} tasks")
    print(study.separation_table(found))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        if why := study.why_no_tsne():
            print(f"no t-SNE: {why}", file=sys.stderr)
        content = study.as_json(found, sentences)
        write_json(arguments.out / "task_embedding.json", content)
        try:
            study.plot(content, arguments.out / "task_embedding.png")
        except ImportError:
            print("no plot: matplotlib is not installed", file=sys.stderr)
        print(f"Places are in {arguments.out.absolute()}", file=sys.stderr)
    return 0
