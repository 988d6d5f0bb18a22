"""One transformer block: gated attention to itself, image and text, and a feed-forward layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from .attention import Attention, split_heads
from .layers import FeedForward, Ops
from .prepared import LayerCondition, Layout
from .regions import KeyValue, RegionPlan, attend_by_voice
from .rope import rotate


class JointAttention(nn.Module):
    """Self-attention plus gated attention to image and text, summed before one output layer."""

    def __init__(self, config: ModelConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        self.head_dim = config.head_dim
        width, kv_width = config.dim, config.n_kv_heads * config.head_dim

        def linear(inputs: int, outputs: int) -> nn.Module:
            return ops.Linear(inputs, outputs, bias=False, **factory)

        self.wq, self.wk = linear(config.dim, width), linear(config.dim, kv_width)
        self.wv, self.wo = linear(config.dim, kv_width), linear(width, config.dim)
        self.wk_ii, self.wv_ii = linear(config.dim, kv_width), linear(config.dim, kv_width)
        self.wk_y = linear(config.cap_feat_dim, kv_width)
        self.wv_y = linear(config.cap_feat_dim, kv_width)
        self.gate = nn.Parameter(torch.zeros(config.n_heads, **factory))
        self.gate_for_ii = nn.Parameter(torch.zeros(config.n_heads, **factory))

        def norm(size: int) -> nn.Module:
            return ops.LayerNorm(size, **factory) if config.qk_norm else nn.Identity()

        self.q_norm, self.k_norm = norm(width), norm(kv_width)
        self.kii_norm, self.ky_norm = norm(kv_width), norm(kv_width)

    def image_kv(self, tokens: Tensor) -> KeyValue:
        """Keys and values (B, kv heads, N, d) of normed image tokens (B, N, D)."""
        key, value = self.kii_norm(self.wk_ii(tokens)), self.wv_ii(tokens)
        return split_heads(key, self.n_kv_heads), split_heads(value, self.n_kv_heads)

    def text_kv(self, text: Tensor) -> KeyValue:
        """Keys and values (B, kv heads, T, d) of normed text features (B, T, cap_feat_dim)."""
        key, value = self.ky_norm(self.wk_y(text)), self.wv_y(text)
        return split_heads(key, self.n_kv_heads), split_heads(value, self.n_kv_heads)

    def forward(
        self,
        x: Tensor,
        table: Tensor,
        layer: LayerCondition,
        text_mask: Tensor | None,
        layout: Layout,
        attend: Attention,
        regions: RegionPlan | None = None,
    ) -> Tensor:
        q = rotate(self.q_norm(self.wq(x)).unflatten(-1, (self.n_heads, -1)), table).transpose(1, 2)
        k = self.k_norm(self.wk(x)).unflatten(-1, (self.n_kv_heads, -1))
        k = rotate(k, table).transpose(1, 2)
        v = split_heads(self.wv(x), self.n_kv_heads)
        q_self = q if layout.attention_scale == 1.0 else q * layout.attention_scale
        if regions is None:
            mixed = attend(q_self, k, v, layout.mask)  # (B, L, n*d)
            del q_self, k, v
            text = attend(q, *layer.text, text_mask)
            mixed = torch.addcmul(mixed, text, self._opening(self.gate, text))
        else:
            opening = self._opening(self.gate, q)
            mixed = attend_by_voice(q_self, q, (k, v), layer.voices, opening, regions, attend)
            del q_self, k, v
        if layer.image is not None:
            image = attend(q, *layer.image, None)
            mixed = torch.addcmul(mixed, image, self._opening(self.gate_for_ii, image))
        return self.wo(mixed)

    def _opening(self, gate: Tensor, like: Tensor) -> Tensor:
        """How far a gate is open, for each feature of the heads (n*d,), in the type of like."""
        return gate.to(like).tanh().repeat_interleave(self.head_dim)


class Block(nn.Module):
    """One transformer block with its own image token sampler."""

    def __init__(self, config: ModelConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        dim, cond = config.dim, config.cond_dim
        self.attention = JointAttention(config, ops, **factory)
        self.feed_forward = FeedForward(dim, config.ffn_dim, ops, **factory)

        def norm(size: int) -> nn.Module:
            return ops.RMSNorm(size, eps=config.norm_eps, elementwise_affine=True, **factory)

        self.attention_norm1, self.attention_norm2 = norm(dim), norm(dim)
        self.ffn_norm1, self.ffn_norm2 = norm(dim), norm(dim)
        self.attention_input_norm = norm(dim)
        self.attention_y_norm = norm(config.cap_feat_dim)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), ops.Linear(cond, 4 * dim, **factory))
        self.input_image_proj = ops.Linear(config.image_feat_dim, dim, bias=False, **factory)
        self.y_pool_proj = ops.Linear(cond, dim, bias=False, **factory)
        self.in_conv = nn.Sequential(
            ops.LayerNorm(dim, **factory), ops.Linear(dim, dim, **factory), nn.GELU()
        )
        self.out_conv = nn.Sequential(
            ops.Linear(dim, dim // 2, **factory),
            nn.GELU(),
            ops.Linear(dim // 2, dim // 4, **factory),
            nn.GELU(),
            ops.Linear(dim // 4, 1, **factory),
        )

    def score(self, tokens: Tensor, task: Tensor) -> Tensor:
        """Importance (B, N) of projected image tokens (B, N, D) for a task embedding (B, cond)."""
        hidden = self.in_conv(tokens + self.y_pool_proj(task)[:, None])
        local, shared = hidden.chunk(2, dim=-1)
        shared = shared.mean(1, keepdim=True).expand_as(local)
        return self.out_conv(torch.cat([local, shared], dim=-1))[..., 0]

    def forward(
        self,
        x: Tensor,
        c: Tensor,
        table: Tensor,
        layer: LayerCondition,
        text_mask: Tensor | None,
        layout: Layout,
        attend: Attention,
        regions: RegionPlan | None = None,
    ) -> Tensor:
        scale_a, gate_a, scale_f, gate_f = self.adaLN_modulation(c)[:, None].chunk(4, dim=-1)
        # Multiply in place and fuse with sums: on a CPU new memory costs more than arithmetic.
        normed = self.attention_norm1(x).mul_(1 + scale_a)
        attended = self.attention(normed, table, layer, text_mask, layout, attend, regions)
        x = torch.addcmul(x, gate_a.tanh(), self.attention_norm2(attended))
        fed = self.feed_forward(self.ffn_norm1(x).mul_(1 + scale_f))
        return torch.addcmul(x, gate_f.tanh(), self.ffn_norm2(fed))
