"""A whole model as one value: what travels through PIXWIZARD sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...pixwizard_core.bundle import About
from ..shared.sockets import Whole

TOOLTIP = (
    "All four in one, with what the model is: its sizes, settings, palette and the tasks it was "
    "taught."
)


@dataclass(frozen=True, slots=True)
class WholeModel:
    """model, clip, clip_vision, vae: as the host has them. about: what the model is."""

    model: Any
    clip: Any
    clip_vision: Any
    vae: Any
    about: About


def whole_output():
    """The output of a loader that gives all of a model."""
    return Whole.Output("pixwizard", display_name="pixwizard", tooltip=TOOLTIP)
