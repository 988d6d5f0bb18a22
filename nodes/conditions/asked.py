"""Whom a sentence is for: a task is worded as the model was asked in training, and the Instruction
node may not know the model."""

from __future__ import annotations

import logging
from typing import Any

from ...pixwizard_core import tasks
from ...pixwizard_core.taught import Taught

TOLD = "pixwizard_asked"  # UI output that web/task_fields.js reads


class Asked(str):
    """The sentence that asks the released model for a task, and what it takes to ask another one.

    task, words: the arguments of tasks.instruction(). Encode words it anew where the text encoder
    says which model it belongs to; to any other node it is a text.
    """

    task: str
    words: dict[str, Any]

    def to(self, taught: Taught) -> str:
        """The same for a model that was taught this."""
        return tasks.instruction(self.task, **self.words, taught=taught)


def asked(sentence: str, task: str, words: dict[str, Any]) -> Asked:
    result = Asked(sentence)
    result.task, result.words = task, words
    return result


def told(task: str, taught: Taught) -> dict[str, list]:
    """UI output: how this model is asked for a task, and whether it was taught it. The same is
    logged where it was not."""
    if note := tasks.not_taught(task, taught):
        logging.warning("PixWizard: %s", note)
    form = tasks.find_task(task).trained(taught)
    return {TOLD: [{"task": task, "form": form, "taught": not note}]}
