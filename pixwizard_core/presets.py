"""Settings in one place: those that suit the bundled model, by task, and three levels of speed.

The bundled model's are the fewest steps with the best score; its card shows what they were chosen
from. docs/speed.md shows what the levels of speed cost in quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from .errors import SamplingError
from .generate import REFERENCE_STEPS, SampleSettings

TINY_CENTRE = 128
TINY_TASKS = ("depth", "normal", "segmentation", "mask")  # what the bundled model has learned
TINY_SETTINGS = SampleSettings(steps=8, w_text=1.0, w_image=1.0, centre=TINY_CENTRE)
TINY_TASK_SETTINGS: Mapping[str, SampleSettings] = MappingProxyType(
    {
        "depth": replace(TINY_SETTINGS, steps=1),
        "normal": replace(TINY_SETTINGS, steps=2),
        "segmentation": replace(TINY_SETTINGS, steps=2),
        "mask": replace(TINY_SETTINGS, steps=4, w_text=2.0),
        # Not learned by the bundled model; a larger training run wants guidance here.
        "text2image": replace(TINY_SETTINGS, steps=16, w_text=3.0),
    }
)

# What each level of speed sets; scales of guidance stay as they are.
SPEEDS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "fast": MappingProxyType({"solver": "euler", "steps": 14, "shift": 1.0}),
        "balanced": MappingProxyType({"solver": "euler", "steps": 29, "shift": 1.0}),
        "reference": MappingProxyType({"solver": "euler", "steps": REFERENCE_STEPS, "shift": 1.0}),
    }
)


def with_speed(settings: SampleSettings, name: str) -> SampleSettings:
    """Settings at a level of SPEEDS. Raises SamplingError for another name."""
    if name not in SPEEDS:
        raise SamplingError(f"speed {name!r} is unknown; choose one of: {', '.join(SPEEDS)}")
    return replace(settings, **SPEEDS[name])
