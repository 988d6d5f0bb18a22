"""The layers and attention of the host from which the core's encoders are built inside it."""

from __future__ import annotations

import functools

import torch
from comfy.ldm.modules.attention import optimized_attention_for_device
from torch import Tensor

from ..model.transformer import run_attention


@functools.cache
def encoder_ops(operations: type) -> type:
    """The host's layers, whose embeddings give float32 whatever their weights are kept in; all
    that follows an embedding then computes in float32 too."""

    class Embedding(operations.Embedding):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids, out_dtype=torch.float32)

    return type("EncoderOps", (operations,), {"Embedding": Embedding})


def encoder_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """The attention that the host runs its own encoders with, in the form the core asks for."""
    chosen = optimized_attention_for_device(q.device, mask=mask is not None, small_input=True)
    return run_attention(chosen, q, k, v, mask)
