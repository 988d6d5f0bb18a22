"""Sampling options shared by run, batch and evaluate."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import CanvasError, PixWizardError
from ..seeds import seed_argument

AUTO = "auto"
PRESET_CHOICES = (AUTO, "own", "reference", "paper-dense", "balanced", "fast")
# Options that are fields of SampleSettings.
SETTINGS = ("steps", "solver", "shift", "w_text", "w_image", "tokens")
NEAR_CHOICES = ("white", "black", "auto")
CHANNELS = {"first-3": False, "all": True}


def add_setting_options(parser: argparse.ArgumentParser) -> None:
    """Add options for the output and for sampling."""
    how = parser.add_argument_group("sampling and output")
    how.add_argument(
        "--out", type=Path, default=Path("pixwizard_out"),
        help="folder to write to (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--seed", type=seed_argument, default=0,
        help="random seed for the noise, 0 to 2^64 - 1 (default: %(default)s)",
    )  # fmt: skip
    add_sampling_options(how)
    read = parser.add_argument_group("reading depth")
    add_depth_options(read, "nearest and farthest distance in metres (default: relative depth)")


def add_sampling_options(how) -> None:
    """Add settings of the sampler and the canvas."""
    add_preset_options(how)
    how.add_argument("--solver", help="ODE solver: euler, midpoint, heun, rk4 or dopri5")
    how.add_argument("--shift", type=float, help="time shift; 1 means no shift")
    how.add_argument("--w-text", type=float, help="guidance weight of the instruction")
    how.add_argument("--w-image", type=float, help="guidance weight of the input picture")
    how.add_argument(
        "--tokens", help="selection of image tokens: topk (deterministic) or gumbel (random)"
    )
    how.add_argument(
        "--fit", default="stretch",
        help="fit to the model's size: stretch, pad or crop (default: %(default)s)",
    )  # fmt: skip
    how.add_argument(
        "--centre", type=centre_argument, metavar="PX",
        help="working resolution: side in px of the square with the same area, or auto for the "
        "trained side nearest to the picture's area (default: auto)",
    )  # fmt: skip
    how.add_argument(
        "--max-pixels", type=int, metavar="N",
        help="accept pictures of up to N pixels (default: about 179 million)",
    )  # fmt: skip


def add_preset_options(how) -> None:
    """Add the settings shared by every command that runs a model on given tasks."""
    how.add_argument(
        "--preset", metavar="NAME",
        help=f"sampling preset: {', '.join(PRESET_CHOICES)} (default: auto, the model's own); "
        "other options override it",
    )  # fmt: skip
    how.add_argument("--steps", type=int, help="number of solver steps")
    how.add_argument(
        "--channels", choices=tuple(CHANNELS), help="latent channels that guidance is applied to"
    )


def add_depth_options(group, range_help: str) -> None:
    """Add options for reading painted depth."""
    group.add_argument(
        "--near", choices=NEAR_CHOICES,
        help="how the depth map shows near objects; auto detects it (default: white)",
    )  # fmt: skip
    group.add_argument("--range", type=float, nargs=2, metavar=("NEAR", "FAR"), help=range_help)


def near_of(arguments: argparse.Namespace) -> str:
    """--near, or the default polarity."""
    from ..decode.polarity import DEFAULT_NEAR

    return arguments.near or DEFAULT_NEAR


def range_of(arguments: argparse.Namespace) -> tuple[float, float] | None:
    """--range in metres, if given. Raises PixWizardError unless 0 <= first < second."""
    if arguments.range is None:
        return None
    near, far = arguments.range
    if not 0 <= near < far < math.inf:
        raise PixWizardError(f"--range is NEAR FAR in metres, nearer first. Got: {near:g} {far:g}")
    return near, far


def centre_argument(text: str) -> int | None:
    """Parse --centre for argparse: None for auto, else the side in px."""
    from ..canvas import bucket_table

    if text == AUTO:
        return None
    try:
        bucket_table(int(text))
    except (ValueError, CanvasError):
        raise argparse.ArgumentTypeError(
            f"the centre is auto, or a multiple of 16 from 16 to 4096 px. Got: {text}"
        ) from None
    return int(text)


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of SampleSettings that the command line sets directly."""
    given = {name: getattr(arguments, name, None) for name in SETTINGS}
    given["all_channels"] = CHANNELS.get(arguments.channels)
    return {name: value for name, value in given.items() if value is not None}


def chosen_settings(arguments: argparse.Namespace, own):
    """The preset's settings with the command line's changes. own: the model's SampleSettings for
    the task. Raises SamplingError for an unknown preset or an invalid value."""
    from ..presets import with_preset

    return replace(with_preset(own, arguments.preset or AUTO), **given_settings(arguments))


def settings_report(settings) -> dict[str, Any]:
    """The SampleSettings used, for a report, by the names of the options."""
    return {"settings": {name: getattr(settings, name) for name in (*SETTINGS, "all_channels")}}


def tell_settings(arguments: argparse.Namespace) -> None:
    """Print to stderr what a preset sets, and which options override it."""
    from ..presets import find_preset, misses

    if arguments.preset is None:
        return
    preset, given = find_preset(arguments.preset), given_settings(arguments)
    lines = [f"preset {preset.name}: {_told(preset.changes) or preset.purpose}"]
    if given:
        lines.append(f"given beside it, and used instead: {_told(given)}")
    task = getattr(arguments, "task", None)
    if task and (note := misses(preset.name, task)):
        lines.append(note)
    print("\n".join(lines), file=sys.stderr)


def _told(values: Any) -> str:
    shown = {True: "all", False: "first-3"}
    return ", ".join(
        f"channels {shown[value]}" if name == "all_channels" else f"{name} {value}"
        for name, value in values.items()
    )
