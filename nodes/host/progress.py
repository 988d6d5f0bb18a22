"""Progress of a long preparation on the node's bar, and a point where the user can stop it."""

from __future__ import annotations

from collections.abc import Callable

import comfy.model_management
import comfy.utils


def progress(total: int) -> Callable[[], None]:
    """A function to call after each of total steps. It raises the host's interruption when the user
    stopped the prompt."""
    bar = comfy.utils.ProgressBar(total)

    def step() -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update(1)

    return step
