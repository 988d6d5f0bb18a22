"""Which image tokens a block keeps: top-k of a learned score, with or without Gumbel noise."""

from __future__ import annotations

import torch
from torch import Tensor

TEMPERATURE = 5.0  # affects only the gradient: dividing by it does not change the order


def gumbel_noise(
    shape: tuple[int, ...],
    generator: torch.Generator,
    device: torch.device | str | None = None,
) -> Tensor:
    """Standard Gumbel noise, float32. Drawn on the generator's device so that a seed means the
    same everywhere, then moved to device."""
    uniform = torch.empty(shape, device=generator.device, dtype=torch.float32).exponential_(
        generator=generator
    )
    return (-uniform.log()).to(device)


def keep_indices(logits: Tensor, count: int, noise: Tensor | None = None) -> Tensor:
    """Indices (B, K) of the K = min(count, N) best tokens, ascending. logits, noise: (B, N)."""
    scores = logits if noise is None else logits + noise.to(logits)
    best = scores.topk(min(count, scores.shape[-1]), dim=-1).indices
    return best.sort(dim=-1).values


def take(tokens: Tensor, indices: Tensor) -> Tensor:
    """Select tokens (B, N, D) at indices (B, K): (B, K, D)."""
    return tokens.gather(1, indices[..., None].expand(-1, -1, tokens.shape[-1]))


def straight_through_weights(logits: Tensor, noise: Tensor, indices: Tensor) -> Tensor:
    """Weights (B, K) that are exactly 1 in value and carry the gradient of the soft selection.

    Source: paper D.5, the multi-hot Gumbel-Softmax, read at the kept positions.
    """
    soft = ((logits.float() + noise) / TEMPERATURE).softmax(-1).gather(1, indices)
    return 1.0 + (soft - soft.detach())
