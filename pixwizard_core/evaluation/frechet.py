"""Fréchet distance and Inception Score from running sums in float64, so that memory use does not
grow with the number of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class FeatureSums:
    """Sums over feature vectors of D numbers: count, total (D,), outer (D, D), all float64. D² * 8
    bytes: 33.6 MB for Inception's 2048."""

    count: int
    total: Tensor
    outer: Tensor

    @classmethod
    def empty(cls, size: int) -> FeatureSums:
        zeros = torch.zeros(size, dtype=torch.float64, device="cpu")
        return cls(0, zeros, torch.zeros(size, size, dtype=torch.float64, device="cpu"))

    def add(self, features: Tensor) -> None:
        """Add vectors (B, D)."""
        rows = features.detach().to(device="cpu", dtype=torch.float64)
        self.count += len(rows)
        self.total += rows.sum(0)
        self.outer += rows.T @ rows

    @property
    def mean(self) -> Tensor:
        return self.total / self.count

    @property
    def covariance(self) -> Tensor:
        """Unbiased, (D, D)."""
        centred = self.outer - self.count * torch.outer(self.mean, self.mean)
        return centred / (self.count - 1)


def frechet_distance(one: FeatureSums, other: FeatureSums) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½); NaN for fewer than two vectors on either side.
    Source: Heusel et al. 2017 (FID)."""
    if min(one.count, other.count) < 2:
        return math.nan
    first, second = one.covariance, other.covariance
    shift = ((one.mean - other.mean) ** 2).sum()
    roots = torch.linalg.eigvals(first @ second).sqrt().real.sum()
    return float(shift + first.trace() + second.trace() - 2 * roots)


@dataclass
class ScoreSums:
    """Sums for the Inception Score over class logits (B, C), in parts by the order of pictures.

    counts: (parts,). probabilities: (parts, C) sums of softmax. entropies: (parts,) sums of
    p · log p. All float64.
    """

    counts: Tensor
    probabilities: Tensor
    entropies: Tensor

    @classmethod
    def empty(cls, classes: int, parts: int) -> ScoreSums:
        zeros = torch.zeros(parts, dtype=torch.float64, device="cpu")
        many = torch.zeros(parts, classes, dtype=torch.float64, device="cpu")
        return cls(zeros, many, zeros.clone())

    def add(self, logits: Tensor, part: Tensor) -> None:
        """Add logits (B, C) of pictures that belong to parts (B,) long."""
        logs = logits.detach().to(device="cpu", dtype=torch.float64).log_softmax(1)
        shares = logs.exp()
        self.counts.index_add_(0, part, torch.ones_like(part, dtype=torch.float64))
        self.probabilities.index_add_(0, part, shares)
        self.entropies.index_add_(0, part, (shares * logs).sum(1))

    def score(self) -> tuple[float, float]:
        """(mean, standard deviation) over the parts that have pictures; NaN without any. Source:
        Salimans et al. 2016."""
        used = self.counts > 0
        if not bool(used.any()):
            return math.nan, math.nan
        counts = self.counts[used]
        marginal = self.probabilities[used] / counts[:, None]
        cross = torch.special.xlogy(marginal, marginal).sum(1)
        scores = (self.entropies[used] / counts - cross).exp()
        return float(scores.mean()), float(scores.std(unbiased=False))
