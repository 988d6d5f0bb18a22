"""What the model was asked, as it travels from Instruction to the decoders: a painted picture does
not say which task it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...pixwizard_core.tasks import FREE_TEXT, find_task
from . import sockets

MODEL = "pixwizard_model"  # UI output: what the model that was asked is
# What a decoder kind (Task.decoder) is called. locales/*/main.json says the same to the page.
ANSWERS = {
    "depth": "a depth map",
    "normal": "surface normals",
    "segmentation": "a class picture",
    "edge": "lines",
    "pose": "a pose",
    "mask": "a black and white mask",
    "highlight": "a highlight",
    "box": "outlines of boxes",
    "image": "a finished picture",
}


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """The model that is asked. name: for display. demo: whether it is the bundled demonstration.
    photographs: whether it was trained for this task on photographs too."""

    name: str
    demo: bool
    photographs: bool


def model_shown(model: ModelAsked | None) -> dict[str, list[Any]]:
    """The part of a node's UI output that web/demo_model.js reads; empty for an unknown model."""
    return {MODEL: [asdict(model)]} if model else {}


@dataclass(frozen=True, slots=True)
class Question:
    """task: its id. words: the fields that the task takes, by name. palette: the name of the
    classes that the model paints, as decode.palette knows it. palette and model are None where the
    model is not known."""

    task: str
    words: Mapping[str, str]
    palette: str | None = None
    model: ModelAsked | None = None

    @property
    def kind(self) -> str | None:
        """What the answer holds, a key of ANSWERS; None for words of the user's own."""
        return None if self.task == FREE_TEXT else find_task(self.task).decoder


def question(
    task: str, words: Mapping[str, str], palette: str | None = None, model: ModelAsked | None = None
) -> Question:
    """The question of a task. Of words, those that the task does not take are left out. Raises
    InstructionError for an unknown task."""
    fields = find_task(task).fields
    return Question(task, {name: words[name].strip() for name in fields}, palette, model)


def about_input(tooltip: str, *, optional: bool = True):
    return sockets.About.Input("about", optional=optional, tooltip=tooltip)
