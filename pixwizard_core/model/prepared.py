"""What stays constant during a run: the token layout, and keys and values of conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..conditioning import Latents
from .patch import Grid
from .regions import KeyValue, RegionPlan
from .token_sampler import keep_indices


@dataclass(frozen=True, slots=True)
class Layout:
    """How the latents of a batch are laid out in the token sequence; constant over a run.

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
        """The rotary table for times t (B,); the first time decides for all, as in the
        reference."""
        low, high = self.tables
        if low is high:
            return high
        return torch.where(t.flatten()[0] < self.watershed, low, high)


@dataclass(frozen=True, slots=True)
class LayerCondition:
    """Keys and values (B, kv heads, length, d) of one block; image is None when no row has one.
    voices: with regions, the text of each voice of the plan; text is then the first."""

    text: KeyValue
    image: KeyValue | None
    voices: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What each step needs of the conditions and no step changes.

    constant: (B, cond_dim), the part of the condition vector that is not time.
    candidates: per layer the scores (B, N) and the keys and values of all image tokens, kept only
    for repeated drawing (see redraw). regions: None without regions that differ.
    """

    image_latent: Latents
    constant: Tensor
    layers: list[LayerCondition]
    text_mask: Tensor | None
    layout: Layout
    candidates: list[tuple[Tensor, KeyValue]] | None = None
    keep: int = 0
    regions: RegionPlan | None = None

    def redraw(self, gumbel: Tensor) -> Prepared:
        """Select image tokens again with Gumbel noise (layers, B, N), as the reference does at
        each evaluation. Needs prepare(..., keep_candidates=True)."""
        if self.candidates is None:
            if any(layer.image is not None for layer in self.layers):
                raise ValueError("redraw needs prepare(..., keep_candidates=True)")
            return self
        layers: list[LayerCondition] = []
        for layer, (logits, (key, value)), noise in zip(
            self.layers, self.candidates, gumbel, strict=True
        ):
            index = keep_indices(logits, self.keep, noise)[:, None, :, None]
            index = index.expand(-1, key.shape[1], -1, key.shape[-1])
            layers.append(replace(layer, image=(key.gather(2, index), value.gather(2, index))))
        return replace(self, layers=layers)
