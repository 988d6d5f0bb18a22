"""Errors for running out of memory that say what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management as management

from ...pixwizard_core.errors import SamplingError

ON_THE_CPU = "can't allocate memory"  # PyTorch's message there, in a plain RuntimeError


@contextmanager
def memory_advice(doing: str, width: int, height: int, pictures: int) -> Iterator[None]:
    """If memory runs out in the block, free the host's models and raise SamplingError that says
    what to lower.

    doing: what runs, for the message. width, height: in px. pictures: number in the batch.
    """
    fewer = f"fewer pictures at once (now {pictures}), " if pictures > 1 else ""
    with _advice(
        f"{doing} at {width} x {height} px. Use {fewer}a smaller centre in Fit to Canvas, or "
        "weight_dtype bfloat16 or fp8_e4m3fn in Load Model"
    ):
        yield


@contextmanager
def text_memory_advice() -> Iterator[None]:
    """The same for encoding text, where the picture's size does not matter."""
    with _advice("encoding the text. Use device cpu in Load Text Encoder"):
        yield


@contextmanager
def _advice(rest: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        management.unload_all_models()  # as the host does for its own nodes
        raise SamplingError(
            f"out of memory while {rest}; all models were unloaded, and the next prompt can run"
        ) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the main memory ran out."""
    return isinstance(error, (management.OOM_EXCEPTION, MemoryError)) or ON_THE_CPU in str(error)
