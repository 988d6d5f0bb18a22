"""Draw image tokens again at each evaluation of a run, from a seed, as the reference does."""

from __future__ import annotations

import torch
from torch import Tensor

from ...pixwizard_core.model import gumbel_noise
from ...pixwizard_core.seeds import LARGEST_SEED

SEEDS = LARGEST_SEED + 1  # what a torch generator takes


class TokenDraws:
    """Gumbel noise for one MODEL's runs: picture i of a batch draws from seed + i, branch after
    branch, evaluation after evaluation, in the order in which the core draws.

    run and evaluate are wrappers for the host's OUTER_SAMPLE and PREDICT_NOISE. Within an
    evaluation the noise of a branch stays the same, so it does not matter in how many forward
    passes, or in which order, the host computes the branches.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: list[torch.Generator] = []
        self._drawn: list[Tensor] = []  # of this evaluation, one for each branch

    def __deepcopy__(self, memo) -> TokenDraws:
        return self  # the host copies a model's options deeply, but not its wrappers

    def run(self, executor, *arguments, **named):
        """One sampling run. It begins at the seed, whatever ran before."""
        before, self._generators, self._drawn = (self._generators, self._drawn), [], []
        try:
            return executor(*arguments, **named)
        finally:
            self._generators, self._drawn = before

    def evaluate(self, executor, *arguments, **named):
        """One evaluation of all branches."""
        self._drawn = []
        return executor(*arguments, **named)

    def noise(self, branch: int, pictures: int, shape: tuple[int, int]) -> Tensor:
        """Noise (layers, pictures, N) of a branch, by its place among the branches. shape:
        (layers, N)."""
        while len(self._drawn) <= branch:  # branches before it in the core's order draw first
            rows = [gumbel_noise(shape, generator) for generator in self._rows(pictures)]
            self._drawn.append(torch.stack(rows, dim=1))
        return self._drawn[branch]

    def of_batch(self, branches: list[int], has_image: Tensor, shape: tuple[int, int]) -> Tensor:
        """Noise (layers, B, N) of a forward whose B rows are the pictures of these branches; zeros
        where has_image (B,) is False."""
        pictures = len(has_image) // len(branches)
        parts = []
        for branch, pictured in zip(branches, has_image.split(pictures), strict=True):
            if bool(pictured.any()):
                parts.append(self.noise(branch, pictures, shape))
            else:
                parts.append(
                    torch.zeros(shape[0], pictures, shape[1], dtype=torch.float32, device="cpu")
                )
        return torch.cat(parts, dim=1).to(has_image.device)

    def _rows(self, count: int) -> list[torch.Generator]:
        for row in range(len(self._generators), count):
            self._generators.append(torch.Generator().manual_seed((self.seed + row) % SEEDS))
        return self._generators[:count]
