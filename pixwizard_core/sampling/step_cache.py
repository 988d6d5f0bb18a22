"""Leave out evaluations whose result can be told from the one before."""

from __future__ import annotations

from torch import Tensor

from .solvers import Velocity

MOST_IN_A_ROW = 3


class StepCache:
    """A velocity that answers with its last result while that is expected to change little.

    The change is estimated from the last two evaluations, as a share of the velocity's size for
    each unit of time, and added up since the last evaluation. tolerance: the share that may
    build up; 0 evaluates always. The first two calls and every call after MOST_IN_A_ROW left out
    are evaluated.
    """

    def __init__(self, velocity: Velocity, tolerance: float) -> None:
        self.velocity, self.tolerance = velocity, tolerance
        self.last: Tensor | None = None
        self.time, self.rate, self.skipped = 0.0, None, 0

    def __call__(self, x: Tensor, t: float) -> Tensor:
        if (
            self.last is not None
            and self.rate is not None
            and self.skipped < MOST_IN_A_ROW
            and self.rate * abs(t - self.time) < self.tolerance
        ):
            self.skipped += 1
            return self.last
        found = self.velocity(x, t)
        if self.last is not None and t != self.time:
            change = (found - self.last).norm() / self.last.norm().clamp(min=1e-12)
            self.rate = float(change) / abs(t - self.time)
        self.last, self.time, self.skipped = found, t, 0
        return found
