"""The PixWizard transformer, read top to bottom: attention, block, model.

Nothing of the text, the image tokens or their scores depends on time or noise, so `prepare` turns
them into keys and values once and `velocity` is all that a sampling step does. `forward` is both in
one call. Parameter names are those of the released files. Source: model-spec sections 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..conditioning import Condition, Latents, trim_text
from ..config import ModelConfig
from .attention import Attention, sdpa, split_heads
from .layers import FeedForward, FinalLayer, TimeEmbedder
from .patch import Grid, grid_of, pad_sequences, patchify, unpatchify
from .rope import NO_SCALING, RopeScaling, pad_table, rope_table, rotate
from .token_sampler import keep_indices, straight_through_weights, take

KeyValue = tuple[Tensor, Tensor]
BlockHook = Callable[[int, Tensor, Callable[[Tensor], Tensor]], Tensor]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the latents of a batch lie in the token sequence; constant over a run.

    tables: rotary tables for times below and from the watershed on. mask: None or (B,1,1,L) bool.
    attention_scale: factor on self-attention scores (proportional attention), 1 = plain.
    """

    grids: list[Grid]
    ragged: bool
    tables: tuple[Tensor, Tensor]
    watershed: float
    mask: Tensor | None
    attention_scale: float

    def table(self, t: Tensor) -> Tensor:
        low, high = self.tables
        if low is high:  # spares the device a round trip for t
            return high
        return low if float(t.flatten()[0]) < self.watershed else high


@dataclass(frozen=True, slots=True)
class LayerCondition:
    """Keys and values (B, kv heads, length, d) of one block; image is None when no row has one."""

    text: KeyValue
    image: KeyValue | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything of the conditions that a step needs and that no step changes.

    constant: (B, cond_dim), the part of the condition vector that is not time.
    candidates: per layer the scores (B, N) and the keys and values of all image tokens, kept only
    for repeated drawing (see redraw).
    """

    image_latent: Latents
    constant: Tensor
    layers: list[LayerCondition]
    text_mask: Tensor | None
    layout: Layout
    candidates: list[tuple[Tensor, KeyValue]] | None = None
    keep: int = 0

    def redraw(self, gumbel: Tensor) -> Prepared:
        """Select image tokens again with Gumbel noise (layers, B, N), as the reference does at
        each evaluation. Needs prepare(..., keep_candidates=True)."""
        if self.candidates is None:
            if any(layer.image is not None for layer in self.layers):
                raise ValueError("redraw needs prepare(..., keep_candidates=True)")
            return self
        layers = []
        for layer, (logits, (key, value)), noise in zip(
            self.layers, self.candidates, gumbel, strict=True
        ):
            index = keep_indices(logits, self.keep, noise)[:, None, :, None]
            index = index.expand(-1, key.shape[1], -1, key.shape[-1])
            layers.append(replace(layer, image=(key.gather(2, index), value.gather(2, index))))
        return replace(self, layers=layers)


class JointAttention(nn.Module):
    """Self-attention plus gated attention to image and text, summed before one output layer."""

    def __init__(self, config: ModelConfig, ops, **factory) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
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
    ) -> Tensor:
        q = rotate(self.q_norm(self.wq(x)).unflatten(-1, (self.n_heads, -1)), table).transpose(1, 2)
        k = self.k_norm(self.wk(x)).unflatten(-1, (self.n_kv_heads, -1))
        k = rotate(k, table).transpose(1, 2)
        v = split_heads(self.wv(x), self.n_kv_heads)
        q_self = q if layout.attention_scale == 1.0 else q * layout.attention_scale
        mixed = attend(q_self, k, v, layout.mask)  # (B, L, n*d)
        mixed = mixed + self._gated(attend(q, *layer.text, text_mask), self.gate)
        if layer.image is not None:
            mixed = mixed + self._gated(attend(q, *layer.image, None), self.gate_for_ii)
        return self.wo(mixed)

    def _gated(self, heads: Tensor, gate: Tensor) -> Tensor:
        opening = gate.to(heads).tanh().repeat_interleave(heads.shape[-1] // self.n_heads)
        return heads * opening


class Block(nn.Module):
    """One transformer block with its own image token sampler."""

    def __init__(self, config: ModelConfig, ops, **factory) -> None:
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
    ) -> Tensor:
        scale_a, gate_a, scale_f, gate_f = self.adaLN_modulation(c)[:, None].chunk(4, dim=-1)
        attended = self.attention(
            self.attention_norm1(x) * (1 + scale_a), table, layer, text_mask, layout, attend
        )
        x = x + gate_a.tanh() * self.attention_norm2(attended)
        fed = self.feed_forward(self.ffn_norm1(x) * (1 + scale_f))
        return x + gate_f.tanh() * self.ffn_norm2(fed)


class PixWizard(nn.Module):
    """Predicts the velocity (image minus noise) of a latent at time t (0 = noise, 1 = image).

    ops: namespace with Linear, LayerNorm and RMSNorm (torch.nn, or a host's casting layers).
    attention: see attention.Attention.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        ops=nn,
        attention: Attention = sdpa,
        device=None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config, self.attend = config, attention
        patch, cond = config.patch_size, config.cond_dim
        self.x_embedder = ops.Linear(2 * config.in_channels * patch**2, config.dim, **factory)
        self.pad_token = nn.Parameter(torch.zeros(config.dim, **factory))
        self.t_embedder = TimeEmbedder(cond, ops, **factory)
        self.task_embedder = nn.Sequential(
            ops.LayerNorm(config.cap_clip_feat_dim, **factory),
            ops.Linear(config.cap_clip_feat_dim, cond, **factory),
        )
        self.global_semantic_embedder = nn.Sequential(
            ops.LayerNorm(config.image_feat_dim, **factory),
            ops.Linear(config.image_feat_dim, cond, **factory),
        )
        self.layers = nn.ModuleList([Block(config, ops, **factory) for _ in range(config.n_layers)])
        self.final_layer = FinalLayer(
            config.dim, cond, patch**2 * config.out_channels, ops, **factory
        )

    def prepare(
        self,
        condition: Condition,
        *,
        gumbel: Tensor | None = None,
        keep_candidates: bool = False,
        straight_through: bool = False,
        rope: RopeScaling = NO_SCALING,
        base_seqlen: int | None = None,
    ) -> Prepared:
        """Everything of a run that does not depend on time or noise.

        gumbel: None keeps the best tokens (deterministic), (layers, B, N) noise draws them as the
        reference does. keep_candidates: allow Prepared.redraw. straight_through: training only,
        let gradients reach the token scores. base_seqlen: None is plain attention, else
        proportional attention with this base, (centre / 16)^2.
        """
        text, mask = trim_text(condition.text, condition.text_mask.bool())
        task = self.task_embedder(condition.pooled)
        tokens = condition.image_tokens
        constant = task + self.global_semantic_embedder(tokens.mean(1))
        with_image = bool(condition.has_image.any())
        layers, candidates = [], []
        for index, block in enumerate(self.layers):
            noise = None if gumbel is None else gumbel[index]
            image = None
            if with_image and keep_candidates:
                candidates.append(self._candidates(block, tokens, task))
            if with_image:
                image = self._select(block, tokens, task, noise, straight_through)
            text_kv = block.attention.text_kv(block.attention_y_norm(text))
            layers.append(LayerCondition(text_kv, image))
        return Prepared(
            image_latent=condition.image_latent,
            constant=constant,
            layers=layers,
            text_mask=None if mask is None else mask[:, None, None],
            layout=self.layout(condition.image_latent, rope, base_seqlen),
            candidates=candidates or None,
            keep=self.config.sample_tokens,
        )

    def _select(
        self, block: Block, tokens: Tensor, task: Tensor, noise: Tensor | None, soft: bool
    ) -> KeyValue:
        """Keys and values of the image tokens that this block keeps."""
        projected = block.input_image_proj(tokens)
        logits = block.score(projected, task)
        indices = keep_indices(logits.detach(), self.config.sample_tokens, noise)
        kept = block.attention_input_norm(take(projected, indices))
        if soft:
            # The norm would cancel a weight put on the tokens before it, and its gradient with it.
            noise = torch.zeros_like(logits) if noise is None else noise
            kept = kept * straight_through_weights(logits, noise, indices)[..., None].to(kept)
        return block.attention.image_kv(kept)

    def _candidates(self, block: Block, tokens: Tensor, task: Tensor) -> tuple[Tensor, KeyValue]:
        projected = block.input_image_proj(tokens)
        return block.score(projected, task), block.attention.image_kv(
            block.attention_input_norm(projected)
        )

    def layout(self, latents: Latents, rope: RopeScaling, base_seqlen: int | None) -> Layout:
        """Token layout of a batch of latents: grids, padding mask, rotary tables."""
        ragged = isinstance(latents, list)
        rows = latents if ragged else [latents]
        grids = [grid_of(row, self.config.patch_size) for row in rows]
        longest = max(grid.length for grid in grids)
        device = rows[0].device
        mask = None
        if any(grid.length < longest for grid in grids):
            lengths = torch.tensor([grid.length for grid in grids], device=device)
            mask = (torch.arange(longest, device=device) < lengths[:, None])[:, None, None]

        def table(t: float) -> Tensor:
            tables = [
                pad_table(rope_table(*grid, self.config.head_dim, rope, t, device), longest)
                for grid in grids
            ]
            return torch.stack(tables, dim=1) if ragged else tables[0]

        high = table(math.inf)
        low = high if rope.factor == 1.0 else table(-math.inf)
        scale = 1.0
        if base_seqlen is not None:
            scale = math.sqrt(math.log(longest, base_seqlen))
        return Layout(grids, ragged, (low, high), rope.watershed, mask, scale)

    def velocity(
        self,
        latents: Latents,
        t: Tensor,
        prepared: Prepared,
        *,
        attention: Attention | None = None,
        block_hook: BlockHook | None = None,
    ) -> Latents:
        """Velocity of latents at times t, in the structure and type of latents.

        latents: (B, C, h, w), or a list of (C, h, w). t: (B,) or a scalar. attention: another
        attention for this call. block_hook(index, x, run): may wrap or replace a block.
        """
        layout, attend = prepared.layout, attention or self.attend
        x = self._embed(latents, prepared.image_latent, layout)  # (B, L, D)
        times = t.to(x.device).expand(len(x))
        c = self.t_embedder(times, x.dtype) + prepared.constant
        table = layout.table(times)
        for index, (block, layer) in enumerate(zip(self.layers, prepared.layers, strict=True)):

            def run(x: Tensor, block=block, layer=layer) -> Tensor:
                return block(x, c, table, layer, prepared.text_mask, layout, attend)

            x = run(x) if block_hook is None else block_hook(index, x, run)
        return self._unembed(self.final_layer(x, c), layout)

    def forward(
        self,
        latents: Latents,
        t: Tensor,
        condition: Condition,
        *,
        gumbel: Tensor | None = None,
        straight_through: bool = False,
        rope: RopeScaling = NO_SCALING,
        base_seqlen: int | None = None,
    ) -> Latents:
        """prepare and velocity in one call: what training and a single evaluation need."""
        prepared = self.prepare(
            condition,
            gumbel=gumbel,
            straight_through=straight_through,
            rope=rope,
            base_seqlen=base_seqlen,
        )
        return self.velocity(latents, t, prepared)

    def _embed(self, latents: Latents, image_latents: Latents, layout: Layout) -> Tensor:
        patch = self.config.patch_size
        if not layout.ragged:
            image = image_latents.to(latents)
            return self.x_embedder(patchify(torch.cat([latents, image], dim=1), patch))
        sequences = [
            self.x_embedder(patchify(torch.cat([z, image.to(z)])[None], patch))[0]
            for z, image in zip(latents, image_latents, strict=True)
        ]
        return pad_sequences(sequences, self.pad_token)

    def _unembed(self, tokens: Tensor, layout: Layout) -> Latents:
        config = self.config

        def rebuild(rows: Tensor, grid: Grid) -> Tensor:
            out = unpatchify(rows[:, : grid.length], grid, config.patch_size, config.out_channels)
            return out[:, : config.in_channels]

        if not layout.ragged:
            return rebuild(tokens, layout.grids[0])
        return [rebuild(row[None], grid)[0] for row, grid in zip(tokens, layout.grids, strict=True)]
