"""Progress of a long preparation on the node's bar, and a point where the user can stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import comfy.model_management
import comfy.utils

T = TypeVar("T")


def progress(total: int) -> Callable[[], None]:
    """A function to call after each of total steps. It raises the host's interruption when the user
    stopped the prompt."""
    bar = comfy.utils.ProgressBar(total)

    def step() -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update(1)

    return step


def each(items: Iterable[T], step: Callable[[], None]) -> Iterator[T]:
    """The items, calling step after each."""
    for item in items:
        yield item
        step()
