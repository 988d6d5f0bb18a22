"""Options of training on pairs of one's own, for train-lora and train."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..config import RELEASED_PARTS
from ..errors import PixWizardError
from ..seeds import seed_argument
from .models import PART_HELP


def _centres(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        wanted = "sides in px with commas, such as 512,768"
        raise argparse.ArgumentTypeError(f"{wanted}. Got: {text!r}") from None


# Setting -> how it is read, and what it does. Its usual value is the settings'.
SETTINGS = {
    "steps": (int, "number of optimiser steps (default: 300)"),
    "epochs": (float, "passes over all pairs, in place of --steps"),
    "batch": (int, "pairs per step, over all processes (default: 4)"),
    "at_once": (
        int,
        "pairs per forward pass; fewer need less memory and give the same result (default: all)",
    ),
    "rate": (
        float,
        "learning rate (default: 2e-3 for a LoRA of the bundled model and 1e-4 of the released "
        "model; 2e-4 and 5e-5 for all weights)",
    ),
    "schedule": (str, "decay of the learning rate: cosine, linear or constant (default: cosine)"),
    "warmup": (int, "steps over which the learning rate rises at the start (default: 20)"),
    "optimiser": (str, "adamw, or adamw8bit, which needs bitsandbytes (default: adamw)"),
    "weight_decay": (float, "weight decay of the optimiser (default: 0)"),
    "clip_gradients": (
        float,
        "maximum norm of the gradients (default: 1; 2 for all weights of the released model)",
    ),
    "ema": (
        float,
        "decay of the weight average that is saved; 0 turns it off (default: 0 for a LoRA, 0.99 "
        "or 0.9999 for all weights of the bundled or the released model)",
    ),
    "checkpointing": (bool, "recompute activations in the backward pass, to save memory"),
    "precision": (str, "precision of the arithmetic: auto, float32 or bfloat16 (default: auto)"),
    "drop_text": (float, "share of examples trained without the instruction (default: 0.05)"),
    "drop_image": (float, "share of examples trained without the input (default: 0.05)"),
    "drop_both": (float, "share of examples trained without both (default: 0.05)"),
    "time_mean": (
        float,
        "mean of the logit-normal distribution of training times (default: -0.4 for the bundled "
        "model)",
    ),
    "time_spread": (
        float,
        "standard deviation of that distribution; 0 draws times uniformly (default: 1.2 for the "
        "bundled model, 0 for the released model)",
    ),
    "mask_outside": (float, "loss weight where a pair's mask is black (default: 0)"),
    "focus": (float, "extra loss weight where input and target differ (default: 0)"),
    "centres": (
        _centres,
        "training resolutions: comma-separated sides in px of squares with the same area "
        "(default: the model's own)",
    ),
    "fit": (str, "fit pictures to their size by stretch, pad or crop (default: stretch)"),
    "balance_to": (int, "repeat lists with fewer pairs up to about this number (default: off)"),
    "text2image": (float, "share of examples without an input (default: as in the sources)"),
    "rank": (int, "rank of the LoRA (default: 16)"),
    "alpha": (float, "alpha of the LoRA, whose strength is alpha / rank (default: the rank)"),
    "base_precision": (
        str,
        "precision of the frozen weights below a LoRA: auto or fp8, which takes half the memory "
        "(default: auto, the model's own)",
    ),
    "validation": (float, "share of the pairs to hold out for validation (default: 0)"),
    "look_at": (int, "maximum number of held-out pairs to evaluate and show (default: 8)"),
    "validate_every": (int, "steps between validation losses (default: only first and last)"),
    "sample_every": (int, "steps between sample pictures (default: none are made)"),
    "save_every": (int, "steps between saved weights and states (default: only at the end)"),
    "seed": (seed_argument, "seed of all random choices (default: 0)"),
}
METAVARS = {int: "N", float: "X", str: "NAME", seed_argument: "N", _centres: "PX"}
FOR_LORA = ("rank", "alpha", "base_precision")
OF_SOURCES = {
    "instruction": "one instruction for all pairs of a folder",
    "task": "task of all pairs of a folder, with captions from .txt files",
    "inputs": "folder of inputs, relative to the source or absolute",
    "targets": "folder of targets, relative to the source or absolute",
    "root": "folder that the paths in a list are relative to (default: the list's own folder)",
}
OF_PAIRS = {"instruction": "TEXT", "inputs": "DIR", "targets": "DIR", "root": "DIR"}


def add_teach_options(parser: argparse.ArgumentParser, known: Iterable[str] = ()) -> None:
    """Add all options but those in known, which the parser has. None stands for what is not
    given."""
    from_others = set(known)
    learn = parser.add_argument_group("training on your own pairs (overrides --config)")
    for name, (kind, text) in SETTINGS.items():
        if name not in from_others:
            _add_setting(learn, name, kind, text)
    pairs = parser.add_argument_group("your own pairs")
    for name, text in OF_SOURCES.items():
        pairs.add_argument(f"--{name}", metavar=OF_PAIRS.get(name), help=text)
    pairs.add_argument(
        "--held-out", action="append", metavar="SOURCE", help="pairs for validation; repeatable"
    )
    pairs.add_argument("--cache", type=Path, help="folder for encoded pairs, shared between runs")
    pairs.add_argument(
        "--resume", action="store_true", default=None, help="resume the run in --out"
    )
    pairs.add_argument(
        "--shard",
        action="store_true",
        default=None,
        help="split weights, gradients and optimiser states over the processes (FSDP)",
    )
    models = parser.add_argument_group("model to train (default: the bundled small model)")
    models.add_argument("--bundle", type=Path, help="folder of another small model")
    for part in RELEASED_PARTS:
        models.add_argument(f"--{part}", type=Path, help=PART_HELP[part])
    models.add_argument(
        "--lumina",
        type=Path,
        help="weights of Lumina-Next to initialise a new model from: file or folder of its authors "
        "or of diffusers",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads."""
    parser.add_argument(
        "--threads", type=_count, help="CPU threads per process (default: set by torch)"
    )


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
        group.add_argument(flag, type=kind, metavar=METAVARS.get(kind), help=text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number, at least 1. Got: {text!r}")
    return int(text)
