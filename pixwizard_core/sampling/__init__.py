"""Schedules, guidance and solvers. Nothing here knows the model: it gets callables and tensors."""

from collections.abc import Callable

from torch import Tensor

from .dopri5 import dopri5
from .guidance import GUIDED_CHANNELS, combine, needed_branches
from .schedule import times
from .solvers import euler, heun, midpoint, rk4

# Each takes (velocity, start, times, on_step); dopri5 also takes tolerances.
SOLVERS: dict[str, Callable[..., Tensor]] = {
    "euler": euler,
    "midpoint": midpoint,
    "heun": heun,
    "rk4": rk4,
    "dopri5": dopri5,
}

__all__ = ["GUIDED_CHANNELS", "SOLVERS", "combine", "dopri5", "euler", "heun"]
__all__ += ["midpoint", "needed_branches", "rk4", "times"]
