"""Calls of PyTorch whose own annotations leave the result open, with their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)


def floats(values: Tensor) -> list[float]:
    """The numbers of a tensor (n,) as a list."""
    return cast(Any, values).tolist()


def ints(values: Tensor) -> list[int]:
    """The whole numbers of a tensor (n,) as a list."""
    return cast(Any, values).tolist()


def named_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The model itself, named "", and every module inside it, by its dotted name."""
    return cast(Any, model).named_modules()


def channels_last(net: Net) -> Net:
    """Convert the net's weights to channels-last memory order, the fastest for convolutions."""
    return cast(Any, net).to(memory_format=torch.channels_last)


def norm(values: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Lengths of the vectors along a dimension; without one, the length of the whole tensor."""
    return cast(Any, values).norm(dim=dim, keepdim=keepdim)


def unflatten(values: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """The tensor with one dimension split into several; one of the sizes may be -1."""
    return cast(Any, values).unflatten(dim, sizes)


def split(values: Tensor, rows: int) -> tuple[Tensor, ...]:
    """Pieces of so many rows along the first dimension; the last may be smaller."""
    return cast(Any, values).split(rows)


def solve_from_right(matrices: Tensor, wanted: Tensor) -> Tensor:
    """X of X @ matrices = wanted, for matrices (..., n, n)."""
    return cast(Any, torch.linalg).solve(matrices, wanted, left=False)


def unique(values: Tensor) -> Tensor:
    """The different values of a tensor, sorted: (n,)."""
    return cast(Any, values).unique()


def from_numpy(values: Any) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    return cast(Any, torch).from_numpy(values)
