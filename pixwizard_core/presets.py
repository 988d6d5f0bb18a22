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
TINY_SETTINGS = SampleSettings(steps=4, w_text=2.0, w_image=1.0, centre=TINY_CENTRE)


def _tiny(steps: int, w_text: float) -> SampleSettings:
    return replace(TINY_SETTINGS, steps=steps, w_text=w_text)


# Where the answer is decided by the picture alone one or two steps are best, and guidance harms;
# where words decide, guidance and a few more steps help.
TINY_TASK_SETTINGS: Mapping[str, SampleSettings] = MappingProxyType(
    {
        "depth": _tiny(1, 1.0),
        **dict.fromkeys(("normal", "segmentation", "canny", "hed"), _tiny(2, 1.0)),
        **dict.fromkeys(("inpaint", "outpaint", "remove", "background", "edit"), _tiny(2, 1.0)),
        **dict.fromkeys(("denoise", "derain", "dehaze", "deblur", "desnow"), _tiny(2, 1.0)),
        **dict.fromkeys(("deshadow", "lowlight", "demoire", "watermark"), _tiny(2, 1.0)),
        "superres": _tiny(2, 1.0),
        **dict.fromkeys(("mask", "lineart", "pose"), _tiny(8, 2.0)),
        "text2image": _tiny(8, 4.0),
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
