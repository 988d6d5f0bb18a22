"""The host's layers and attention, from which the core's encoders are built inside ComfyUI."""

from __future__ import annotations

import functools
from typing import Any

import torch
from comfy.ldm.modules.attention import optimized_attention_for_device
from torch import Tensor

from ..model.transformer import run_attention


@functools.cache
def encoder_ops(operations: Any) -> Any:
    """The host's layers, with embeddings that give float32 whatever dtype their weights have. All
    layers behind an embedding then compute in float32 too. Both are classes that hold the layers.
    """

    class Embedding(operations.Embedding):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids, out_dtype=torch.float32)

    return type("EncoderOps", (operations,), {"Embedding": Embedding})


def encoder_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """The attention that the host uses for its own encoders, in the form that the core needs."""
    chosen = optimized_attention_for_device(q.device, mask=mask is not None, small_input=True)
    return run_attention(chosen, q, k, v, mask)
