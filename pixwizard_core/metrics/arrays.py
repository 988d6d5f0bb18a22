"""Arguments of metrics: numbers in any common container, converted to tensors of one dtype and
device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from ..errors import MetricError


class HasArray(Protocol):
    """A NumPy array or anything that converts to one."""

    def __array__(self) -> Any: ...


Array: TypeAlias = Tensor | HasArray | Sequence[Any]


def floats(prediction: Array, truth: Array, *, unit: bool = False) -> tuple[Tensor, Tensor]:
    """Both as floats of one type on one device; whole numbers as float64, since they would wrap.

    unit: the measure needs values in 0..1, so whole numbers and other ranges are refused. Raises
    MetricError naming the shapes, types or ranges found.
    """
    one, two = _pair(prediction, truth)
    if unit:
        require_unit(one, "prediction")
        require_unit(two, "truth")
    common = torch.promote_types(one.dtype, two.dtype)
    if not common.is_floating_point:
        common = torch.float64
    return one.to(common), two.to(one.device, common)


def labels(prediction: Array, truth: Array) -> tuple[Tensor, Tensor]:
    """Both as labels or masks of one type on one device. Raises MetricError naming the shapes
    found."""
    one, two = _pair(prediction, truth)
    common = torch.promote_types(one.dtype, two.dtype)
    return one.to(common), two.to(one.device, common)


def mask(valid: Array | None, like: Tensor) -> Tensor | None:
    """The pixels that count, as bool on the device of `like`; None stays None."""
    return None if valid is None else tensor(valid, "valid").to(like.device).bool()


def tensor(value: Array, name: str) -> Tensor:
    """Convert any array to a tensor. Raises MetricError for anything that is not numeric."""
    if isinstance(value, Tensor):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MetricError(f"{name} must be an array of numbers ({error})") from error


def require_unit(value: Tensor, name: str) -> None:
    """Raise MetricError unless these are floats in 0..1. Values slightly outside are accepted as
    rounding or overshoot and used unchanged."""
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


def _pair(prediction: Array, truth: Array) -> tuple[Tensor, Tensor]:
    """Both as tensors. Raises MetricError unless their shapes are equal."""
    one, two = tensor(prediction, "prediction"), tensor(truth, "truth")
    if one.shape != two.shape:
        raise MetricError(
            f"prediction and truth must have one shape. Got: {tuple(one.shape)} and "
            f"{tuple(two.shape)}"
        )
    return one, two
