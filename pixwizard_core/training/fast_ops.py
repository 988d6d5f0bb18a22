"""Layers and attention that train faster on a CPU, with the same weights and results.

Mixed precision gives norms a bfloat16 input and float32 weights, for which there are no fused
kernels, and the backward pass of PyTorch's attention is slow on a CPU for such short sequences.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

Linear = nn.Linear


class LayerNorm(nn.LayerNorm):
    """LayerNorm in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return nn.functional.layer_norm(
                x, self.normalized_shape, self.weight.to(x), self.bias.to(x), self.eps
            )


class RMSNorm(nn.RMSNorm):
    """RMSNorm in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return nn.functional.rms_norm(x, self.normalized_shape, self.weight.to(x), self.eps)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """model.attention.Attention as plain products and a softmax."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.float().softmax(-1).to(v.dtype)
    return rearrange(weights @ v, "b n l d -> b l (n d)")
