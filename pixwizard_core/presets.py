"""Settings that suit the bundled model, by task: the fewest steps with the best score. The model's
card shows what they were chosen from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from .generate import SampleSettings

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
