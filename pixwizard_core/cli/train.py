"""pixwizard train: the small model on the demo world, or any PixWizard on your own pairs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import RELEASED_PARTS
from ..errors import PixWizardError
from ..seeds import seed_argument
from .help_text import sentence
from .teach import add_sources, teach
from .teach_options import OF_SOURCES, SETTINGS, add_teach_options, add_threads, refuse

TRAIN = "train the small model on the demo world, or any PixWizard model on your own pairs"
OF_BOTH = ("steps", "batch", "seed")
FOR_BUNDLED = (
    "work", "minutes", "photographs", "autoencoder", "start", "workers", "compile",
)  # fmt: skip
FOR_OWN = (
    *(name for name in SETTINGS if name not in OF_BOTH), *OF_SOURCES, *RELEASED_PARTS, "bundle",
    "cache", "held_out", "lumina", "resume", "shard",
)  # fmt: skip


def add_train(commands) -> None:
    """Add `pixwizard train` to the subparsers."""
    parser = commands.add_parser("train", help=TRAIN, description=sentence(TRAIN))
    parser.set_defaults(command=train)
    add_sources(parser)
    parser.add_argument(
        "--config", type=Path, help="TOML or JSON settings file (default: the bundled model's)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the weights to")
    parser.add_argument(
        "--work", type=Path, help="folder for samples and checkpoints (default: OUT/work)"
    )
    budget = parser.add_argument_group("options that override the settings file")
    budget.add_argument("--minutes", type=float, help="training time in minutes")
    budget.add_argument("--steps", type=int, help="number of training steps, in place of --minutes")
    budget.add_argument("--batch", type=int, help="samples per step")
    budget.add_argument("--scenes", type=int, help="number of scenes to render and reuse")
    budget.add_argument(
        "--photographs", type=int, help="number of photograph crops to make and reuse"
    )
    budget.add_argument(
        "--autoencoder", help="file of the autoencoder to use (default: the bundled one)"
    )
    budget.add_argument("--tasks", help="comma-separated tasks to train for every scene")
    budget.add_argument(
        "--start",
        help='folder of weights to start from, "bundled" for the bundled ones, or "" for none',
    )
    budget.add_argument("--workers", type=int, help="number of processes that make samples")
    budget.add_argument("--seed", type=seed_argument, help="seed of all random choices")
    budget.add_argument("--device", help="device to train on: auto, cpu, cuda, …")
    budget.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile the model for faster steps; takes some minutes and needs a C++ compiler",
    )
    own = parser.add_argument_group("training a LoRA (see train-lora)")
    own.add_argument(
        "--lora", metavar="SOURCE", help="source of pairs to train a LoRA on, or the word world"
    )
    add_threads(parser)
    add_teach_options(parser, OF_BOTH)


def train(arguments: argparse.Namespace) -> int:
    """Train, printing progress now and then, and print what was written. Raises PixWizardError for
    an option that does nothing for what is trained."""
    if arguments.lora and arguments.sources:
        raise PixWizardError("--lora names the source of a LoRA; leave the other sources out")
    if not arguments.lora and not arguments.sources:
        refuse(arguments, FOR_OWN, "for the bundled model; it is for pairs of your own")
        return _train_bundle(arguments)
    what = "for a LoRA" if arguments.lora else "for pairs of your own"
    refuse(arguments, FOR_BUNDLED, f"{what}; it is for the bundled model")
    sources = [arguments.lora] if arguments.lora else arguments.sources
    return teach(arguments, sources, lora=bool(arguments.lora))


def _train_bundle(arguments: argparse.Namespace) -> int:
    from ..training.config import BUNDLED, read_config
    from ..training.small_model import train_bundle

    if arguments.threads:
        import torch

        torch.set_num_threads(arguments.threads)
    config = read_config(arguments.config or BUNDLED).with_values(_changes(arguments), "command")
    if arguments.steps is not None:
        config = config.with_values({"with_setup": False})

    def on_row(row: dict, run) -> None:
        budget = run.settings
        goal = f"{budget.steps} steps" if budget.steps else f"{budget.minutes:g} min"
        print(
            f"step {row['step']:>6}  {row['minutes']:7.2f} min of {goal}  "
            f"{row['samples']:>9} samples  loss {row['loss']:.4f}",
            flush=True,
        )

    run = train_bundle(config, arguments.out, arguments.work or arguments.out / "work", on_row)
    print(f"{run.step} steps; the weights are in {arguments.out.absolute()}")
    return 0


def _changes(arguments: argparse.Namespace) -> dict:
    """The command line's changes to the settings file."""

    def given(*names: str) -> dict:
        values = {name: getattr(arguments, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    from ..evaluation.score_report import tasks_of

    data = given("scenes", "photographs", "autoencoder")
    budget = {"steps": 0} if arguments.minutes and not arguments.steps else {}
    if arguments.tasks:
        data["tasks"] = tasks_of(arguments.tasks)
    return {
        **given("seed", "device", "compile", "workers", "start"),
        "data": data,
        "train": {**budget, **given("minutes", "steps", "batch")},
    }
