"""The base class of every PixWizard node: it checks inputs when the node runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from typing import TypeGuard

import torch
from comfy_api.latest import io

from ...pixwizard_core.errors import InstructionError
from .input_kinds import require_kind


class Node(io.ComfyNode):
    """A node whose `run` gets inputs of the right type, in range and among the choices.

    The host checks typed values, but not values that come through a link, and 0.3.64 checks nothing
    that is posted. So inputs are checked here against the node's own schema. execute raises
    InstructionError with the name of the input and what it takes, or with an input that the node
    does not have. As in the host, inputs that validate_inputs names are left to it.
    """

    @classmethod
    def execute(cls, *arguments, **named) -> io.NodeOutput:
        try:
            bound = inspect.signature(cls.run).bind(*arguments, **named)
        except TypeError as error:
            raise InstructionError(f"this node cannot take these inputs: {error}") from None
        given, told = bound.arguments, cls.define_schema()
        for one in told.inputs:
            if one.id not in given or (one.optional and given[one.id] is None):
                continue
            own = own_check(cls, one.id)
            if getattr(told, "is_input_list", False):
                given[one.id] = [checked_input(item, one, own) for item in listed(given[one.id])]
            else:
                given[one.id] = checked_input(given[one.id], one, own)
        with float32_by_default():
            return cls.run(*bound.args, **bound.kwargs)

    @classmethod
    def run(cls, *arguments, **named) -> io.NodeOutput:
        """The node's work. Arguments have the names of the inputs in its schema."""
        raise NotImplementedError(f"{cls.__name__} says nothing of what it does")


def listed(value) -> list:
    """The items of an input of a node that takes lists."""
    return value if isinstance(value, list) else [value]


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Use torch's own default dtype inside the block. Another extension may have changed it for the
    whole process, and the host makes autoencoders and noise levels in the default dtype."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def own_check(node: type[Node], id: str) -> bool:
    """Whether a node's validate_inputs looks at this input itself."""
    validate = getattr(node, "validate_inputs", None)
    return validate is not None and id in inspect.signature(validate).parameters


def checked_input(value, socket, own: bool):
    """The value of an input; a plain int for a whole number.

    socket: the input in the schema. own: the node checks its choices itself. Raises
    InstructionError for another type, a number out of range, or a choice that is not offered.
    """
    require_kind(value, socket.io_type, socket.id)
    if socket.io_type == "INT":
        value = int(value)
    low, high = getattr(socket, "min", None), getattr(socket, "max", None)
    if low is not None and high is not None:
        in_range(value, low, high, socket.id)
    options = getattr(socket, "options", None)
    if options is not None and not own and value not in options:
        offered = ", ".join(map(str, options))
        raise InstructionError(f"unknown {socket.id} {value!r:.60}; choose one of {offered}")
    return value


def is_real(value: object) -> TypeGuard[float]:
    """Whether a value can be compared with numbers, NumPy's included."""
    return isinstance(value, Real)


def in_range(value, low: float, high: float, what: str) -> None:
    """Raise InstructionError unless value is a number from low to high."""
    if not is_real(value) or not low <= value <= high:
        raise InstructionError(f"{what} must be a number from {low} to {high}. Got: {value!r:.60}")
