"""Named sets of sampler settings, each with its source, in one table.

A preset changes some of a model's own settings and leaves the others. docs/settings.md shows the
table, docs/speed.md what fewer steps cost in quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from .errors import SamplingError
from .generate import REFERENCE_STEPS, SampleSettings

AUTO = "auto"  # a choice, not a preset: it takes OWN
OWN = "own"
SPEED_FIELDS = ("solver", "steps", "shift")


@dataclass(frozen=True, slots=True)
class Preset:
    """changes: fields of SampleSettings; the others keep the model's values for the task. purpose,
    source: what it is for, and where it comes from. tasks: ids it is meant for; empty means all."""

    name: str
    changes: Mapping[str, Any]
    purpose: str
    source: str
    tasks: tuple[str, ...] = ()


_PUBLISHED = {
    "solver": "euler", "steps": REFERENCE_STEPS, "shift": 1.0, "w_text": 4.0, "w_image": 1.0,
    "all_channels": False,
}  # fmt: skip
_DENSE = ("depth", "normal", "segmentation", "canny", "hed", "sketch", "lineart", "pose")
_ROWS = (
    Preset(
        OWN, {}, "the model's own for the task; auto takes it",
        "the header of the model's file, else those of reference. PixWizard Tiny's are the fewest "
        "steps with the best score for each task (its model card)",
    ),
    Preset(
        "reference", _PUBLISHED, "as the released model was published",
        "the reference's published sampling command; its 60 time points are 59 steps",
    ),
    Preset(
        "paper-dense", {**_PUBLISHED, "w_text": 1.5}, "depth, normals, segmentation and other maps",
        "paper C.3: more text guidance degrades dense prediction; the paper gives no number, and "
        "1.5 is the middle of 1 (none) to 2. Not measured on the released model",
        _DENSE,
    ),
    Preset(
        "balanced", {"solver": "euler", "steps": 29, "shift": 1.0}, "half the time of reference",
        "docs/speed.md",
    ),
    Preset(
        "fast", {"solver": "euler", "steps": 14, "shift": 1.0}, "a quarter of the time",
        "docs/speed.md",
    ),
)  # fmt: skip
PRESETS: Mapping[str, Preset] = MappingProxyType({row.name: row for row in _ROWS})
PRESET_CHOICES = (AUTO, *PRESETS)

# Presets as levels of speed: solver, steps and shift, without guidance.
SPEEDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        name: {field: PRESETS[name].changes[field] for field in SPEED_FIELDS}
        for name in ("fast", "balanced", "reference")
    }
)


def find_preset(name: str) -> Preset:
    """The preset of this name; auto is the model's own. Raises SamplingError for another name."""
    if name == AUTO:
        return PRESETS[OWN]
    if name not in PRESETS:
        raise SamplingError(
            f"preset {name!r} is unknown; choose one of: {', '.join(PRESET_CHOICES)}"
        )
    return PRESETS[name]


def with_preset(own: SampleSettings, name: str = AUTO) -> SampleSettings:
    """Apply a preset. own: the model's settings for the task, which the preset changes in part.
    Raises SamplingError for an unknown name."""
    return replace(own, **find_preset(name).changes)


def with_speed(settings: SampleSettings, name: str) -> SampleSettings:
    """Settings at a level of SPEEDS. Raises SamplingError for another name."""
    if name not in SPEEDS:
        raise SamplingError(f"speed {name!r} is unknown; choose one of: {', '.join(SPEEDS)}")
    return replace(settings, **SPEEDS[name])


def misses(name: str, task_id: str) -> str:
    """A warning if a preset is meant for other tasks than this one, else ""."""
    preset = find_preset(name)
    if not preset.tasks or task_id in preset.tasks:
        return ""
    return f"preset {preset.name} is meant for {preset.purpose}, not for {task_id or 'free text'}"
