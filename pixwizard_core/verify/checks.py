"""Comparisons, and their tolerances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Float32 noise of the reference against its own float64 run is 1.2e-5 (forward), 8e-5 (guided),
# 2.3e-5 (fixed-step ODE), 1.5e-4 (CLIP input) and 8e-6 (encoders); these leave room for another
# order of sums.
TOLERANCES = {
    "forward": 3e-5,
    "guided": 2e-4,
    "ode": 1e-4,
    "dopri5": 0.05,  # at rtol 1e-3 the reference itself moves by up to 0.04 between precisions
    "rope": 1e-6,
    "clip": 3e-4,
    "encoder": 3e-5,
    "grid": 1e-6,
    "exact": 0.0,
}
# Half precision: two to three times the largest difference measured on tests/golden. Random weights
# amplify rounding, and a token at the edge of the choice may change places with its neighbour.
HALF_TOLERANCES = {
    torch.bfloat16: {"forward": 1.5, "guided": 12.0, "ode": 2.5, "dopri5": 2.5, "encoder": 0.4},
    torch.float16: {"forward": 0.4, "guided": 2.0, "ode": 2.0, "dopri5": 1.5, "encoder": 0.05},
}


@dataclass(frozen=True, slots=True)
class Check:
    """One compared quantity: its largest absolute difference and what is allowed."""

    label: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN

    @property
    def ratio(self) -> float:
        """The share of the tolerance that is used; infinite when the difference is NaN."""
        if math.isnan(self.difference):
            return math.inf
        if self.tolerance == 0:
            return math.inf if self.difference else 0.0
        return self.difference / self.tolerance


def close(label: str, found: Tensor, wanted: Tensor, tolerance: float) -> Check:
    """Compare in float64 on the CPU. Another shape counts as infinitely far."""
    if found.shape != wanted.shape:
        return Check(f"{label} shape {tuple(found.shape)}", math.inf, tolerance)
    gap = (found.detach().cpu().double() - wanted.cpu().double()).abs()
    return Check(label, float(gap.max()) if gap.numel() else 0.0, tolerance)


def equal(label: str, found: object, wanted: object) -> Check:
    """Exact comparison: 0 when equal, infinite when not."""
    return Check(label, 0.0 if found == wanted else math.inf, 0.0)


def allowed(kind: str, dtype: torch.dtype) -> float:
    """Tolerance of a kind of case when the model runs in dtype."""
    return HALF_TOLERANCES.get(dtype, {}).get(kind, TOLERANCES[kind])
