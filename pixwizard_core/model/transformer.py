"""The PixWizard transformer: conditions in once, a velocity out at every step.

Nothing of the text, the image tokens or their scores depends on time or noise, so `prepare` turns
them into keys and values once and `velocity` is all that a sampling step does. `forward` is both in
one call. Parameter names are those of the released files. Source: paper 3.2 and the released model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..conditioning import Condition, Latents, trim_text
from ..config import ModelConfig
from .attention import Attention, sdpa
from .block import Block
from .layers import FinalLayer, Ops, TimeEmbedder, layer_list
from .patch import Grid, grid_of, pad_sequences, patchify, unpatchify
from .prepared import LayerCondition, Layout, Prepared
from .regions import KeyValue, RegionPlan, plan_regions
from .rope import NO_SCALING, RopeScaling, pad_table, rope_table
from .token_sampler import keep_indices, straight_through_weights, take

BlockHook = Callable[[int, Tensor, Callable[[Tensor], Tensor]], Tensor]


class PixWizard(nn.Module):
    """Predict the velocity (image minus noise) of a latent at time t (0 = noise, 1 = image).

    ops: namespace with Linear, LayerNorm and RMSNorm: torch.nn's, those of cpu_ops, or a host's
    casting layers.
    attention: see attention.Attention.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        ops: Ops = nn,
        attention: Attention = sdpa,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
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
        self.layers = layer_list([Block(config, ops, **factory) for _ in range(config.n_layers)])
        self.final_layer = FinalLayer(
            config.dim, cond, patch**2 * config.out_channels, ops, **factory
        )

    def prepare(
        self,
        condition: Condition,
        *,
        gumbel: Tensor | None = None,
        keep: int | None = None,
        keep_candidates: bool = False,
        straight_through: bool = False,
        rope: RopeScaling = NO_SCALING,
        base_seqlen: int | None = None,
    ) -> Prepared:
        """Compute what does not depend on time or noise, once for a run.

        gumbel: None keeps the best tokens (deterministic), (layers, B, N) noise draws them as the
        reference does. keep: image tokens that each block keeps at most; None takes the number in
        the configuration. keep_candidates: allow Prepared.redraw. straight_through: training only,
        let gradients reach the token scores. base_seqlen: None is plain attention, else
        proportional attention with this base, (centre / 16)^2. With regions, the pooled texts act
        on the whole picture, each by the share of the tokens that read its sentence. Raises
        SamplingError for a region without a place in the picture.
        """
        keep = self.config.sample_tokens if keep is None else keep
        plan = None
        if condition.regions:
            condition, plan = plan_regions(condition, self.config.patch_size)
        text, mask = trim_text(condition.text, condition.text_mask.bool())
        task = self.task_embedder(condition.pooled) if plan is None else self._mixed_task(plan)
        tokens = condition.image_tokens
        constant = task + self.global_semantic_embedder(tokens.mean(1))
        with_image = bool(condition.has_image.any())
        layers: list[LayerCondition] = []
        candidates: list[tuple[Tensor, KeyValue]] = []
        for index, block in enumerate(self.layers):
            noise = None if gumbel is None else gumbel[index]
            image = None
            if with_image and keep_candidates:
                candidates.append(self._candidates(block, tokens, task))
            if with_image:
                image = self._select(block, tokens, task, keep, noise, straight_through)
            texts = [text] if plan is None else [voice.text for voice in plan.voices]
            pairs = tuple(block.attention.text_kv(block.attention_y_norm(one)) for one in texts)
            layers.append(LayerCondition(pairs[0], image, () if plan is None else pairs))
        return Prepared(
            image_latent=condition.image_latent,
            constant=constant,
            layers=layers,
            text_mask=None if mask is None else mask[:, None, None],
            layout=self.layout(condition.image_latent, rope, base_seqlen),
            candidates=candidates or None,
            keep=keep,
            regions=plan,
        )

    def _mixed_task(self, plan: RegionPlan) -> Tensor:
        """The task embeddings (B, A) of a picture's voices, weighed by their tokens."""
        tasks = torch.stack([self.task_embedder(voice.pooled) for voice in plan.voices], 1)
        return (tasks * plan.weights.to(tasks)[..., None]).sum(1)

    def _select(
        self,
        block: Block,
        tokens: Tensor,
        task: Tensor,
        keep: int,
        noise: Tensor | None,
        soft: bool,
    ) -> KeyValue:
        """Keys and values of the image tokens that this block keeps."""
        projected = block.input_image_proj(tokens)
        logits = block.score(projected, task)
        indices = keep_indices(logits.detach(), keep, noise)
        kept = block.attention_input_norm(take(projected, indices))
        if soft:
            # The norm would cancel weights applied before it, and their gradient too.
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
        rows = [latents] if isinstance(latents, Tensor) else latents
        grids = [grid_of(row, self.config.patch_size) for row in rows]
        longest = max(grid.length for grid in grids)
        device = rows[0].device
        mask = None
        if any(grid.length < longest for grid in grids):
            lengths = torch.tensor(
                [grid.length for grid in grids], device=device, dtype=torch.int64
            )
            mask = (torch.arange(longest, device=device, dtype=torch.int64) < lengths[:, None])[
                :, None, None
            ]

        def table(t: float) -> Tensor:
            tables = [
                pad_table(rope_table(*grid, self.config.head_dim, rope, t, device), longest)
                for grid in grids
            ]
            return torch.stack(tables) if ragged else tables[0]

        high = table(math.inf)
        low = high if rope.factor == 1.0 else table(-math.inf)
        scale = 1.0
        if base_seqlen is not None:
            scale = math.sqrt(math.log(longest, base_seqlen))
        return Layout(grids, ragged, (low, high), rope.watershed, mask, scale)

    @overload
    def velocity(
        self,
        latents: Tensor,
        t: Tensor,
        prepared: Prepared,
        *,
        attention: Attention | None = None,
        block_hook: BlockHook | None = None,
    ) -> Tensor: ...

    @overload
    def velocity(
        self,
        latents: list[Tensor],
        t: Tensor,
        prepared: Prepared,
        *,
        attention: Attention | None = None,
        block_hook: BlockHook | None = None,
    ) -> list[Tensor]: ...

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
        layout = prepared.layout
        # "or" would break a compiled graph: PyTorch 2.9 cannot tell whether a partial is true.
        attend = self.attend if attention is None else attention
        x = self._embed(latents, prepared.image_latent, layout)  # (B, L, D)
        times = t.to(x.device).expand(len(x))
        c = self.t_embedder(times, x.dtype) + prepared.constant
        table = layout.table(times)
        for index, (block, layer) in enumerate(zip(self.layers, prepared.layers, strict=True)):

            def run(x: Tensor, block: Block = block, layer: LayerCondition = layer) -> Tensor:
                return block(
                    x, c, table, layer, prepared.text_mask, layout, attend, prepared.regions
                )

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
        block_hook: BlockHook | None = None,
    ) -> Latents:
        """prepare and velocity in one call: what training and a single evaluation need."""
        prepared = self.prepare(
            condition,
            gumbel=gumbel,
            straight_through=straight_through,
            rope=rope,
            base_seqlen=base_seqlen,
        )
        return self.velocity(latents, t, prepared, block_hook=block_hook)

    def _embed(self, latents: Latents, image_latents: Latents, layout: Layout) -> Tensor:
        patch = self.config.patch_size
        if isinstance(latents, Tensor) and isinstance(image_latents, Tensor):
            image = image_latents.to(latents)
            return self.x_embedder(patchify(torch.cat([latents, image], dim=1), patch))
        if not layout.ragged:
            raise ValueError("latents and image latents must both be tensors, or both be lists")
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
