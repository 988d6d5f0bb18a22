"""How weights move: learning rate, optimiser, and the average of weights."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from ...errors import PixWizardError, reason_of
from .settings import TeachSettings

BETAS = (0.9, 0.99)
LEAST_EIGHT_BIT = 4096  # numbers of a weight from which bitsandbytes keeps 8-bit moments


def rate_at(settings: TeachSettings, step: int, steps: int) -> float:
    """Learning rate of a step from 0: rises over the warm-up, then falls to zero at the end of the
    run as schedule says, or stays."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    along = step / steps
    falls = {
        "cosine": 0.5 * (1 + math.cos(math.pi * along)),
        "linear": 1 - along,
        "constant": 1.0,
    }
    return settings.rate * warm * falls[settings.schedule]


def make_optimiser(settings: TeachSettings, trained: Sequence[Tensor]) -> torch.optim.Optimizer:
    """AdamW, or its 8-bit form. Raises PixWizardError when bitsandbytes cannot be used."""
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(
            trained, settings.rate, betas=BETAS, weight_decay=settings.weight_decay
        )
    adam = eight_bit_adam(trained[0].device)
    return adam(trained, lr=settings.rate, betas=BETAS, weight_decay=settings.weight_decay)


def eight_bit_adam(device: torch.device | str = "cpu") -> Any:
    """The class of the 8-bit optimiser. Raises PixWizardError when bitsandbytes is missing, and
    when it cannot move a weight on this device, as some releases cannot on a CPU."""
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise PixWizardError(
            "optimiser adamw8bit needs bitsandbytes: pip install bitsandbytes; or take adamw"
        ) from None
    adam = cast(Any, AdamW8bit)
    weight = torch.nn.Parameter(torch.zeros(LEAST_EIGHT_BIT, dtype=torch.float32, device=device))
    weight.grad = torch.ones_like(weight)
    try:
        adam([weight], lr=1.0).step()
        moved = bool((weight != 0).all())
    except Exception as error:  # what a release without this device raises is its own
        raise PixWizardError(
            f"bitsandbytes cannot run adamw8bit on {device}: {reason_of(error, 120)}; take adamw, "
            "or a newer bitsandbytes"
        ) from None
    if not moved:
        raise PixWizardError(
            f"bitsandbytes moves no weight on {device}; take adamw, or a newer bitsandbytes"
        )
    return adam


class Average:
    """Running average of weights: decay of the old plus the rest of the new, faster at first."""

    def __init__(self, trained: Sequence[Tensor], decay: float) -> None:
        self.trained, self.decay = trained, decay
        self.values = [one.detach().clone() for one in trained]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after this many steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for value, one in zip(self.values, self.trained, strict=True):
            value.lerp_(one.detach(), 1 - decay)

    @contextmanager
    def in_place(self) -> Generator[None]:
        """The average stands in the model within the block."""
        before = [one.detach().clone() for one in self.trained]
        self._put(self.values)
        try:
            yield
        finally:
            self._put(before)

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for one, value in zip(self.trained, values, strict=True):
            one.copy_(value)
