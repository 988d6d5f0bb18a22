"""Solvers of dx/dt = velocity(x, t) along a given grid of times.

Each takes velocity(x, t: float) -> tensor of x's shape, the state x, ascending times (N+1,) and
on_step(index, x), called after each interval; each returns x at times[-1]. They do not know the
model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
OnStep = Callable[[int, Tensor], None]


def _intervals(times: Tensor) -> Iterator[tuple[int, float, float]]:
    for index, (start, end) in enumerate(pairwise(float(time) for time in times)):
        yield index, start, end - start


def euler(velocity: Velocity, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """First order, one evaluation per step."""
    for index, t, dt in _intervals(times):
        x = x + dt * velocity(x, t)
        if on_step:
            on_step(index, x)
    return x


def midpoint(velocity: Velocity, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Second order, two evaluations per step: the slope in the middle of the interval."""
    for index, t, dt in _intervals(times):
        x = x + dt * velocity(x + 0.5 * dt * velocity(x, t), t + 0.5 * dt)
        if on_step:
            on_step(index, x)
    return x


def heun(velocity: Velocity, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Second order, two evaluations per step: the mean slope of both ends."""
    for index, t, dt in _intervals(times):
        first = velocity(x, t)
        x = x + 0.5 * dt * (first + velocity(x + dt * first, t + dt))
        if on_step:
            on_step(index, x)
    return x


def rk4(velocity: Velocity, x: Tensor, times: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Fourth order by the 3/8 rule, four evaluations per step (torchdiffeq's rk4 is the same)."""
    for index, t, dt in _intervals(times):
        k1 = velocity(x, t)
        k2 = velocity(x + dt * k1 / 3, t + dt / 3)
        k3 = velocity(x + dt * (k2 - k1 / 3), t + dt * 2 / 3)
        k4 = velocity(x + dt * (k1 - k2 + k3), t + dt)
        x = x + dt * (k1 + 3 * (k2 + k3) + k4) / 8
        if on_step:
            on_step(index, x)
    return x
