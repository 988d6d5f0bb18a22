"""A whole model as one value: what travels through PIXWIZARD sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

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


def whole_outputs() -> list:
    """The outputs of a loader that gives all of a model: its four parts, and all in one."""
    return [
        io.Model.Output("model", display_name="model"),
        io.Clip.Output("clip", display_name="clip"),
        io.ClipVision.Output("clip_vision", display_name="clip_vision"),
        io.Vae.Output("vae", display_name="vae"),
        Whole.Output("pixwizard", display_name="pixwizard", tooltip=TOOLTIP),
    ]


def whole_result(described: tuple[Any, About], clip, clip_vision, vae) -> io.NodeOutput:
    """The values of whole_outputs(). described: the model, and what it is."""
    model, about = described
    whole = WholeModel(model, clip, clip_vision, vae, about)
    return io.NodeOutput(model, clip, clip_vision, vae, whole)
