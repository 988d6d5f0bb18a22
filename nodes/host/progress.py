"""Progress of a long preparation, for the bar on the node, and the point where it can be
stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import comfy.model_management
import comfy.utils

T = TypeVar("T")


def progress(total: int) -> Callable[[], None]:
    """A function to be called after each of total steps. Raises the host's interruption when the
    user asked for it."""
    bar = comfy.utils.ProgressBar(total)

    def step() -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update(1)

    return step


def each(items: Iterable[T], step: Callable[[], None]) -> Iterator[T]:
    """The items, with a step after each."""
    for item in items:
        yield item
        step()
