"""Arguments of metrics: numbers in any common container, converted to tensors of one dtype and
device."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from ..errors import MetricError


class HasArray(Protocol):
    """NumPy arrays and what can become one."""

    def __array__(self) -> Any: ...


Array: TypeAlias = Tensor | HasArray | Sequence[Any]
Given, Measured = ParamSpec("Given"), TypeVar("Measured")
PAIR = 2  # a prediction and its truth come first


def arrays(
    *, unit: bool = False, exact: bool = False
) -> Callable[[Callable[Given, Measured]], Callable[Given, Measured]]:
    """Let a measure take any arrays: its first two arguments, and `valid`, become tensors on one
    device, the first two of one type.

    unit: the measure is about values in 0..1, so whole numbers and other ranges are refused.
    exact: labels and masks stay as they are; all else is computed in floats, since whole numbers
    would wrap around. Raises MetricError naming the shapes, types or ranges met.
    """

    def decorate(measure: Callable[Given, Measured]) -> Callable[Given, Measured]:
        signature = inspect.signature(measure)
        first, second = list(signature.parameters)[:PAIR]

        @functools.wraps(measure)
        def taking_arrays(*arguments: Given.args, **named: Given.kwargs) -> Measured:
            bound = signature.bind(*arguments, **named)
            values = bound.arguments
            one, two = (tensor(values[name], name) for name in (first, second))
            if one.shape != two.shape:
                raise MetricError(
                    f"{first} and {second} must have one shape. Got: {tuple(one.shape)} and "
                    f"{tuple(two.shape)}"
                )
            if unit:
                for name, value in ((first, one), (second, two)):
                    require_unit(value, name)
            common = torch.promote_types(one.dtype, two.dtype)
            if not (exact or common.is_floating_point):
                common = torch.float64
            values[first], values[second] = one.to(common), two.to(one.device, common)
            if values.get("valid") is not None:
                values["valid"] = tensor(values["valid"], "valid").to(one.device)
            return measure(*bound.args, **bound.kwargs)

        return taking_arrays

    return decorate


def tensor(value: Array, name: str) -> Tensor:
    """A tensor of any array. Raises MetricError for what holds no numbers."""
    if isinstance(value, Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MetricError(f"{name} must be an array of numbers ({error})") from error


def require_unit(value: Tensor, name: str) -> None:
    """Raise MetricError unless these are floats that could lie in 0..1; a little beyond is rounding
    or overshoot, which counts as it is."""
    if not value.is_floating_point():
        raise MetricError(
            f"{name} must hold floats in 0..1; divide 8-bit values by 255. Got: {value.dtype}"
        )
    largest = float(value.abs().max()) if value.numel() else 0.0
    if largest > 2:
        raise MetricError(
            f"{name} must hold values in 0..1; divide 8-bit values by 255. Got values up to "
            f"{largest:.4g}"
        )
