"""Dormand and Prince's adaptive fifth-order solver."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import SamplingError
from .solvers import OnStep, Velocity

# Butcher tableau: Dormand & Prince 1980. The last stage sits at the new point (first same as last).
NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (
    35 / 384 - 1951 / 21600,
    0.0,
    500 / 1113 - 22642 / 50085,
    125 / 192 - 451 / 720,
    -2187 / 6784 + 12231 / 42400,
    11 / 84 - 649 / 6300,
    -1 / 60,
)
MIDDLE = (  # weights of the fourth-order interpolant's value half-way
    6025192743 / 30085553152 / 2,
    0.0,
    51252292925 / 65400821598 / 2,
    -2691868925 / 45128329728 / 2,
    187940372067 / 1594534317056 / 2,
    -1776094331 / 19743644256 / 2,
    11237099 / 235043384 / 2,
)
SAFETY, SHRINK, GROW, ORDER = 0.9, 0.2, 10.0, 5
MAX_EVALUATIONS = 10_000


def _combine(x: Tensor, dt: float, slopes: list[Tensor], factors: tuple[float, ...]) -> Tensor:
    total = sum(k * (dt * f) for k, f in zip(slopes, factors, strict=True) if f)
    return x + total


def _rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def _first_step(velocity: Velocity, x: Tensor, t: float, slope: Tensor, atol: float, rtol: float):
    """Starting step size. Source: Hairer, Norsett, Wanner, Solving ODEs I, II.4."""
    scale = atol + x.abs() * rtol
    size, speed = _rms(x / scale), _rms(slope / scale)
    trial = 1e-6 if size < 1e-5 or speed < 1e-5 else 0.01 * size / speed
    bend = _rms((velocity(x + trial * slope, t + trial) - slope) / scale) / trial
    if speed <= 1e-15 and bend <= 1e-15:
        return max(1e-6, trial * 1e-3)
    return min(100 * trial, (0.01 / max(speed, bend)) ** (1 / ORDER))


def _interpolate(
    x0: Tensor, x1: Tensor, slopes: list[Tensor], dt: float, fraction: float
) -> Tensor:
    """Quartic through both ends, both end slopes and the middle."""
    middle = _combine(x0, dt, slopes, MIDDLE)
    f0, f1 = slopes[0] * dt, slopes[-1] * dt
    a = 2 * (f1 - f0) - 8 * (x1 + x0) + 16 * middle
    b = 5 * f0 - 3 * f1 + 18 * x0 + 14 * x1 - 32 * middle
    c = f1 - 4 * f0 - 11 * x0 - 5 * x1 + 16 * middle
    return x0 + fraction * (f0 + fraction * (c + fraction * (b + fraction * a)))


def dopri5(
    velocity: Velocity,
    x: Tensor,
    times: Tensor,
    on_step: OnStep | None = None,
    *,
    atol: float = 1e-6,
    rtol: float = 1e-3,
) -> Tensor:
    """Solve adaptively from times[0] to times[-1]; inner times only decide when on_step is called.

    The error norm is the root mean square over all of x. Raises SamplingError when the step size
    vanishes or the number of evaluations exceeds MAX_EVALUATIONS (tolerances too tight, or numbers
    that are not finite).
    """
    grid = [float(time) for time in times]
    t, target = grid[0], 1
    slope = velocity(x, t)
    dt = _first_step(velocity, x, t, slope, atol, rtol)
    evaluations = 2
    while target < len(grid):
        if evaluations > MAX_EVALUATIONS or not t + dt > t:
            raise SamplingError(
                f"dopri5 stopped at t = {t:.6f} after {evaluations} evaluations (step {dt:.2e}); "
                "loosen atol and rtol, or use euler"
            )
        slopes, stage = [slope], x
        for node, row in zip(NODES, STAGES, strict=True):
            stage = _combine(x, dt, slopes, row)
            slopes.append(velocity(stage, t + node * dt))
        evaluations += len(NODES)
        new = stage  # the last stage is the fifth-order solution itself
        bound = atol + rtol * torch.maximum(x.abs(), new.abs())
        error = _rms(_combine(torch.zeros_like(x), dt, slopes, ERROR) / bound)
        if error <= 1:
            while target < len(grid) and grid[target] <= t + dt:
                if on_step:
                    fraction = (grid[target] - t) / dt
                    on_step(target - 1, _interpolate(x, new, slopes, dt, fraction))
                if target == len(grid) - 1:
                    return _interpolate(x, new, slopes, dt, (grid[target] - t) / dt)
                target += 1
            x, slope, t = new, slopes[-1], t + dt
        shrink = SHRINK if error > 1 else 1.0
        factor = GROW if error == 0 else min(GROW, max(SAFETY / error ** (1 / ORDER), shrink))
        dt *= factor
    return x
