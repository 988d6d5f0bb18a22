"""First-generation Gemma, up to the next-to-last hidden states, which PixWizard reads.

Built from `ops` and an `attention` function like the transformer, so that a host can stream its
weights and no library update can change its output. Parameter names are those of the published
files without the leading "model.". Source: Gemma Team, "Gemma: Open Models Based on Gemini Research
and Technology", section 2; the numbers are held by recorded vectors (`pixwizard verify`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import Attention, Ops, sdpa
from ..model.attention import split_heads
from .settings import GemmaConfig, activation


class GemmaNorm(nn.Module):
    """RMS norm that multiplies by 1 + weight, computed in float32 for any input dtype.

    Not taken from `ops`: adding 1 in low precision would round the weight away.
    """

    def __init__(self, width: int, eps: float, **factory: Any) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(width, **factory))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.device, torch.float32)
        return (F.rms_norm(x.float(), x.shape[-1:], eps=self.eps) * (1 + weight)).to(x.dtype)


class GemmaAttention(nn.Module):
    """Causal self-attention with rotary positions and shared key and value heads."""

    def __init__(self, config: GemmaConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        queries, keys = self.heads * config.head_dim, self.kv_heads * config.head_dim

        def linear(inputs: int, outputs: int) -> nn.Module:
            return ops.Linear(inputs, outputs, bias=False, **factory)

        self.q_proj = linear(config.hidden_size, queries)
        self.k_proj = linear(config.hidden_size, keys)
        self.v_proj = linear(config.hidden_size, keys)
        self.o_proj = linear(queries, config.hidden_size)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor, attention: Attention) -> Tensor:
        q = rotate_halves(split_heads(self.q_proj(x), self.heads), rotary)
        k = rotate_halves(split_heads(self.k_proj(x), self.kv_heads), rotary)
        v = split_heads(self.v_proj(x), self.kv_heads)
        return self.o_proj(attention(q, k, v, mask))


class GemmaMlp(nn.Module):
    """down(gelu(gate x) * up x)."""

    def __init__(self, config: GemmaConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj = ops.Linear(width, inner, bias=False, **factory)
        self.up_proj = ops.Linear(width, inner, bias=False, **factory)
        self.down_proj = ops.Linear(inner, width, bias=False, **factory)
        self.activate = activation(config.hidden_activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.activate(self.gate_proj(x)) * self.up_proj(x))


class GemmaLayer(nn.Module):
    """One layer: attention and feed-forward, each after a norm and with a skip."""

    def __init__(self, config: GemmaConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.self_attn = GemmaAttention(config, ops, **factory)
        self.mlp = GemmaMlp(config, ops, **factory)
        self.input_layernorm = GemmaNorm(config.hidden_size, config.rms_norm_eps, **factory)
        self.post_attention_layernorm = GemmaNorm(
            config.hidden_size, config.rms_norm_eps, **factory
        )

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor, attention: Attention) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotary, mask, attention)
        return x + self.mlp(self.post_attention_layernorm(x))


class Gemma(nn.Module):
    """Token ids to the hidden states that PixWizard was trained on.

    ops: namespace with Linear and Embedding, torch.nn's or a host's casting layers. The last layer
    and the final norm exist so that files and LoRAs fit; they never run.
    """

    def __init__(
        self,
        config: GemmaConfig,
        *,
        ops: Ops = nn,
        attention: Attention = sdpa,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config, self.attend = config, attention
        self.embed_tokens = ops.Embedding(config.vocab_size, config.hidden_size, **factory)
        self.layers = nn.ModuleList(
            [GemmaLayer(config, ops, **factory) for _ in range(config.num_hidden_layers)]
        )
        self.norm = GemmaNorm(config.hidden_size, config.rms_norm_eps, **factory)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """ids (B,T) int64; mask (B,T) bool or 0/1, true on tokens, None = all are.

        Returns the output (B,T,D) of the next-to-last layer, in the embedding's dtype. Padded
        positions hold finite but meaningless numbers.
        """
        x = self.embed_tokens(ids)
        # Round to the dtype of the states first, as the published model does.
        x = x * torch.tensor(self.config.hidden_size**0.5, dtype=x.dtype, device=x.device)
        config, length = self.config, ids.shape[1]
        rotary = rotary_table(length, config.head_dim, config.rope_theta, ids.device)
        seen = causal_mask(ids, mask)
        for layer in self.layers[:-1]:
            x = layer(x, rotary, seen, self.attend)
        return x


def causal_mask(ids: Tensor, mask: Tensor | None) -> Tensor:
    """What each token may attend to: (1 or B,1,T,T) bool, True = use.

    Every position attends to itself, padded ones too, so that no row of the softmax is empty.
    """
    length = ids.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()[None, None]
    if mask is None:
        return causal
    itself = torch.eye(length, dtype=torch.bool, device=ids.device)[None, None]
    return causal & (mask.bool()[:, None, None] | itself)


def rotary_table(
    length: int, head_dim: int, base: float, device: torch.device | str | None = None
) -> Tensor:
    """Cosines and sines of positions 0 to length-1: (2, length, head_dim) float32."""
    steps = torch.arange(0, head_dim, 2, device=device, dtype=torch.int64).float() / head_dim
    angles = torch.arange(length, device=device, dtype=torch.int64).float()[:, None] * (
        1.0 / base**steps
    )
    angles = torch.cat([angles, angles], 1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate_halves(x: Tensor, table: Tensor) -> Tensor:
    """Rotate features i and i + d/2 as pairs, by position. x: (B,n,T,d), table: (2,T,d)."""
    cosines, sines = table
    first, second = x.float().chunk(2, -1)
    turned = torch.cat([-second, first], -1)
    return (x.float() * cosines + turned * sines).to(x.dtype)
