"""Check that a value has its input's type, since some hosts pass on whatever is posted."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from torch import Tensor

from ...pixwizard_core.errors import InstructionError

PLAIN = (str, int, float, list, tuple, dict, type(None))  # what JSON can hold


def is_conditioning(value) -> bool:
    """Whether a value is [[features, {...}], ...], as every node of the host makes it."""
    return isinstance(value, list) and all(
        isinstance(entry, (list, tuple))
        and len(entry) == 2
        and isinstance(entry[0], Tensor)
        and isinstance(entry[1], dict)
        for entry in value
    )


def is_whole(value) -> bool:
    """Whether int(value) is the same number. NumPy's numbers count, which other nodes output."""
    return isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())


def is_object(value) -> bool:
    return not isinstance(value, PLAIN)


def is_question(value) -> bool:
    """Whether a value is a shared.question.Question, also one from before our code was reloaded."""
    return all(hasattr(value, name) for name in ("task", "words", "palette", "kind"))


def is_whole_model(value) -> bool:
    """Whether a value is a loaders.bundle.WholeModel, in any loading of our code."""
    return all(hasattr(value, name) for name in ("model", "clip", "clip_vision", "vae", "about"))


# type of an input: (whether a value is one, what to say it must be)
KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "IMAGE": (lambda value: isinstance(value, Tensor), "a picture"),
    "MASK": (lambda value: isinstance(value, Tensor), "a mask"),
    "LATENT": (lambda value: isinstance(value, dict), "a latent"),
    "CONDITIONING": (is_conditioning, "a conditioning"),
    "STRING": (lambda value: isinstance(value, str), "a text"),
    "COMBO": (lambda value: isinstance(value, str), "one of its choices"),
    "PIXWIZARD_ABOUT": (is_question, "the output about of Instruction"),
    "PIXWIZARD": (is_whole_model, "the output pixwizard of a loader"),
    "BOOLEAN": (lambda value: isinstance(value, (int, np.bool_)), "true or false"),
    "INT": (is_whole, "a whole number"),
    **{
        name: (is_object, f"a {name.removeprefix('PIXWIZARD_')}")
        for name in ("MODEL", "CLIP", "CLIP_VISION", "VAE", "PIXWIZARD_CANVAS")
    },
}


def require_kind(value, io_type: str, what: str) -> None:
    """Raise InstructionError unless value is what an input of this type takes. what: the input."""
    fits, wanted = KINDS.get(io_type, (None, ""))
    if fits is not None and not fits(value):
        raise InstructionError(
            f"{what} must be {wanted}. Got: {type(value).__name__} {value!r:.60}; connect another"
        )
