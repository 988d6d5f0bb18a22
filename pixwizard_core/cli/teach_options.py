"""Options of training on pairs of one's own, for train-lora and train."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..config import RELEASED_PARTS
from ..errors import PixWizardError
from ..seeds import seed_argument


def _centres(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        wanted = "sides in px with commas, such as 512,768"
        raise argparse.ArgumentTypeError(f"{wanted}. Got: {text!r}") from None


# Setting -> how it is read, and what it does. Its usual value is the settings'.
SETTINGS = {
    "steps": (int, "updates (300)"),
    "epochs": (float, "passes over all pairs, in the place of --steps"),
    "batch": (int, "pairs of an update, over all processes (4)"),
    "at_once": (int, "pairs that pass through the model together; fewer take less memory (all)"),
    "rate": (
        float,
        "learning rate (2e-3 for a LoRA of the bundled model, 1e-4 of the released one)",
    ),
    "schedule": (str, "how the rate falls: cosine (usual), linear, constant"),
    "warmup": (int, "steps in which the rate rises (20)"),
    "optimiser": (str, "adamw (usual), or adamw8bit, which needs bitsandbytes"),
    "weight_decay": (float, "of the optimiser (0)"),
    "clip_gradients": (float, "largest norm of the gradients (1)"),
    "ema": (float, "decay of the averaged weights that are saved (0 for a LoRA: none)"),
    "checkpointing": (bool, "compute each block twice, to take less memory"),
    "precision": (str, "auto (usual), float32, bfloat16"),
    "drop_text": (float, "share of pairs that lose their words (0.05)"),
    "drop_image": (float, "share that lose their picture (0.05)"),
    "drop_both": (float, "share that lose both (0.05)"),
    "time_mean": (float, "times are a logistic of a normal distribution of this mean …"),
    "time_spread": (float, "… and this spread; 0 draws them evenly"),
    "mask_outside": (float, "weight of the loss where a pair's mask is black (0)"),
    "focus": (float, "extra weight of places where input and target differ (0)"),
    "centres": (
        _centres,
        "sides in px of the squares whose areas are trained at, with commas (the model's)",
    ),
    "fit": (str, "stretch (usual), pad, crop: how a picture is fitted to its size"),
    "balance_to": (int, "repeat lists with fewer pairs up to about this number"),
    "text2image": (float, "share of the pairs that have no input"),
    "rank": (int, "width of the LoRA (16)"),
    "alpha": (float, "its strength is alpha / rank (the rank)"),
    "validation": (float, "share of the pairs that is held out"),
    "look_at": (int, "held-out pairs that are looked at (8)"),
    "validate_every": (int, "steps between losses on held-out pairs"),
    "sample_every": (int, "steps between strips of sample pictures"),
    "save_every": (int, "steps between saved results and states"),
    "seed": (seed_argument, "of all random choices"),
}
FOR_LORA = ("rank", "alpha")
OF_SOURCES = {
    "instruction": "one sentence for all pairs of a folder",
    "task": "ask for this task; captions come from .txt files",
    "inputs": "folder of the inputs, below the source or absolute",
    "targets": "folder of the targets, likewise",
    "root": "where the paths of a list start from",
}


def add_teach_options(parser: argparse.ArgumentParser, known: Iterable[str] = ()) -> None:
    """Add all options but those in known, which the parser has. None stands for what is not
    given."""
    from_others = set(known)
    learn = parser.add_argument_group("training on your own pairs")
    for name, (kind, text) in SETTINGS.items():
        if name not in from_others:
            _add_setting(learn, name, kind, text)
    pairs = parser.add_argument_group("your own pairs")
    for name, text in OF_SOURCES.items():
        pairs.add_argument(f"--{name}", help=text)
    pairs.add_argument(
        "--held-out", action="append", metavar="SOURCE", help="pairs to watch, not to train on"
    )
    pairs.add_argument("--cache", type=Path, help="folder of encoded pairs, shared between runs")
    pairs.add_argument(
        "--resume", action="store_true", default=None, help="go on with the run in --out"
    )
    models = parser.add_argument_group("model to teach (default: the bundled small one)")
    models.add_argument("--bundle", type=Path, help="folder of another small model")
    for part in RELEASED_PARTS:
        models.add_argument(f"--{part}", type=Path, help="of the released model")
    models.add_argument(
        "--lumina", type=Path, help="Lumina-Next's weights, to begin a whole model with"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads."""
    parser.add_argument("--threads", type=_count, help="threads of one process (torch's choice)")


def given(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The options of these names that were given."""
    values = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def refuse(arguments: argparse.Namespace, names: Iterable[str], why: str) -> None:
    """Raise PixWizardError for a given option that does nothing. why: what it is not for."""
    for name in given(arguments, names):
        raise PixWizardError(f"--{name.replace('_', '-')} does nothing {why}; leave it out")


def _add_setting(group: Any, name: str, kind: Any, text: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        group.add_argument(flag, type=kind, help=text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number, at least 1. Got: {text!r}")
    return int(text)
