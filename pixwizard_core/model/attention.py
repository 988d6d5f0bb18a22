"""Attention as a plain function, which a host may replace with its own."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class Attention(Protocol):
    """Softmax attention over heads. A host passes its own to use faster kernels or less memory."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """q (B, n, Lq, d); k, v (B, n_kv, Lk, d) with n a multiple of n_kv, query head i reads kv
        head i // (n / n_kv); mask None or bool (B, 1, 1, Lk), True = use. Scores are divided by
        sqrt(d). Returns (B, Lq, n*d) in q.dtype."""
        ...


def sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's scaled dot product attention, with grouped heads expanded (see Attention)."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return rearrange(F.scaled_dot_product_attention(q, k, v, mask), "b n l d -> b l (n d)")


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, L, n*d) -> (B, n, L, d)."""
    return torch.unflatten(x, -1, (heads, -1)).transpose(1, 2)
