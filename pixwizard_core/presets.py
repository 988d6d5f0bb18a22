"""Settings that suit the bundled model, by task. Measured with `pixwizard_core.demo.scoring`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from .generate import SampleSettings

TINY_CENTRE = 128
TINY_SETTINGS = SampleSettings(steps=8, w_text=1.0, w_image=1.0, centre=TINY_CENTRE)
TINY_TASK_SETTINGS: Mapping[str, SampleSettings] = MappingProxyType(
    {
        "depth": replace(TINY_SETTINGS, steps=4),
        "normal": replace(TINY_SETTINGS, steps=4),
        "text2image": replace(TINY_SETTINGS, steps=16, w_text=3.0),
    }
)
