"""A model's own data: the centres it was trained at, and its recommended settings.

They are JSON in the header of the transformer's file:
{"centres": [128], "settings": {"steps": 4}, "tasks": {"depth": {"steps": 1}}}. Missing values are
those of SampleSettings, or for a task those of settings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from .canvas.buckets import CENTRES, bucket_table
from .config import TINY, ModelConfig
from .encoders.tiny import BUNDLE
from .errors import CanvasError, CheckpointError, SamplingError
from .generate import SampleSettings
from .json_text import read_json, read_text

SETTINGS_KEY = "pixwizard.settings"
SETTINGS_FILE = "settings.json"
FIELDS = ("steps", "solver", "shift", "w_text", "w_image", "all_channels", "tokens")
MOST_STEPS = 1000


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """centres: sides in px of the squares whose areas the model was trained at. settings:
    recommended in general; task_settings: better ones for single tasks, by task id."""

    centres: tuple[int, ...] = CENTRES
    settings: SampleSettings = field(default_factory=SampleSettings)
    task_settings: Mapping[str, SampleSettings] = field(default_factory=dict)

    def of(self, task_id: str) -> SampleSettings:
        """Recommended settings for a task."""
        return self.task_settings.get(task_id, self.settings)


RELEASED = OwnSettings()


def own_settings(metadata: Mapping[str, str], otherwise: OwnSettings) -> OwnSettings:
    """Read a file's header; returns otherwise when it has no such entry. Raises CheckpointError for
    a header that cannot be used."""
    return read_settings(metadata[SETTINGS_KEY]) if SETTINGS_KEY in metadata else otherwise


def of_shape(config: ModelConfig) -> OwnSettings:
    """Settings for a file without such a header: the bundled model's if it has that shape, else the
    released model's."""
    return bundled_settings() if config == TINY else RELEASED


@cache
def bundled_settings() -> OwnSettings:
    """The settings of PixWizard Tiny."""
    return read_settings(bundled_text())


def bundled_text() -> str:
    """The settings of PixWizard Tiny as JSON; training writes them into the header of its files."""
    return read_text(BUNDLE / SETTINGS_FILE, CheckpointError)


def read_settings(text: str) -> OwnSettings:
    """Parse OwnSettings from JSON text. Raises CheckpointError naming what is wrong."""
    found = read_json(text, "the settings in the model's header are", CheckpointError)
    if not isinstance(found, dict) or set(found) - {"centres", "settings", "tasks"}:
        raise CheckpointError(
            'the settings in the model\'s header must be an object of "centres", "settings" and '
            f'"tasks". Got: {text!r:.80}'
        )
    centres, tasks = _centres(found.get("centres", list(CENTRES))), found.get("tasks", {})
    if not isinstance(tasks, dict):
        raise CheckpointError(f"the header's tasks must be an object. Got: {tasks!r:.80}")
    settings = _changed(SampleSettings(centre=max(centres)), found.get("settings", {}))
    own = {task: _changed(settings, changes) for task, changes in tasks.items()}
    return OwnSettings(centres, settings, own)


def _centres(found: Any) -> tuple[int, ...]:
    try:
        good = isinstance(found, list) and bool(found) and all(type(one) is int for one in found)
        if good:
            for one in found:
                bucket_table(one)
            return tuple(found)
    except CanvasError as error:
        raise CheckpointError(f"the header's centres cannot be used: {error}") from error
    raise CheckpointError(f"the header's centres must be a list of sides in px. Got: {found!r:.80}")


def _changed(settings: SampleSettings, changes: Any) -> SampleSettings:
    if not isinstance(changes, dict) or set(changes) - set(FIELDS):
        raise CheckpointError(
            f"a model's header may set {', '.join(FIELDS)}. Got: {changes!r:.80}; this file may "
            "need a newer release"
        )
    try:
        return replace(
            settings, **{name: _like(getattr(settings, name), v) for name, v in changes.items()}
        )
    except (TypeError, SamplingError) as error:
        raise CheckpointError(f"the settings in the model's header: {error}") from error


def _like(usual: Any, value: Any) -> Any:
    """Convert a value to its field's usual type. Raises TypeError for another type."""
    if type(usual) is int and type(value) is int and 1 <= value <= MOST_STEPS:
        return value
    if type(usual) is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(usual) in (bool, str) and type(value) is type(usual):
        return value
    raise TypeError(f"{value!r:.40} is no value like {usual!r}")
