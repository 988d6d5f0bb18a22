"""Word a task as the model was asked in training. The Instruction node may not know the model, so
the sentence carries what is needed to word it again."""

from __future__ import annotations

import logging
from typing import Any

from ...pixwizard_core import tasks
from ...pixwizard_core.taught import Taught

TOLD = "pixwizard_asked"  # UI output that web/task_fields.js reads


class Sentence(str):
    """A sentence that knows the id of the task that it asks for. To any other node it is a plain
    text."""

    task: str


class Asked(Sentence):
    """The sentence that asks the released model for a task, with what it takes to word it for
    another.

    task, words: the arguments of tasks.instruction(). Encode words it again if the text encoder
    says which model it belongs to.
    """

    words: dict[str, Any]

    def to(self, taught: Taught) -> str:
        """The same for a model that was taught this."""
        return tasks.instruction(self.task, **self.words, taught=taught)


def sentence_for(text: str, task: str) -> Sentence:
    result = Sentence(text)
    result.task = task
    return result


def asked(sentence: str, task: str, words: dict[str, Any]) -> Asked:
    result = Asked(sentence)
    result.task, result.words = task, words
    return result


def worded(instruction: str, taught: Taught | None) -> tuple[dict[str, list], str]:
    """UI output and the sentence for the model that a text encoder belongs to. taught: what that
    model was taught, None if it is not known; then, and for a typed text, nothing changes."""
    if isinstance(instruction, Asked) and taught is not None:
        return told(instruction.task, taught), instruction.to(taught)
    return {}, instruction


def taught_with(clip) -> Taught | None:
    """What the model that a CLIP belongs to was taught, None if it is not known."""
    return getattr(getattr(clip, "cond_stage_model", None), "taught", None)


def told(task: str, taught: Taught) -> dict[str, list]:
    """UI output: how this model is asked for a task, and whether it was taught it. If it was not,
    the log says so too."""
    if note := tasks.not_taught(task, taught):
        logging.warning("PixWizard: %s", note)
    form = tasks.find_task(task).trained(taught)
    return {TOLD: [{"task": task, "form": form, "taught": not note}]}
