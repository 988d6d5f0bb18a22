"""Time grids from noise (0) to image (1)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import SamplingError


def times(steps: int, shift: float = 1.0) -> Tensor:
    """Grid of steps + 1 float64 times from 0 to 1; shift > 1 moves them towards noise.

    steps counts intervals, which are Euler's model calls. The reference's num_steps counts grid
    points: its num_steps = N is steps = N - 1 here. Raises SamplingError when steps < 1 or
    shift <= 0.
    """
    if steps < 1:
        raise SamplingError(f"steps must be at least 1. Got: {steps}")
    if not shift > 0:
        raise SamplingError(f"time shift must be above 0 (1 = even times). Got: {shift}")
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device="cpu")
    return t / (t + shift - shift * t)
