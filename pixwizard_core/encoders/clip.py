"""CLIP's two halves: text to one projected vector, pictures to patch states.

Built from `ops` and an `attention` function like the transformer (see gemma.py for why). Parameter
names are those of the published files. Source: Radford et al., "Learning Transferable Visual Models
From Natural Language Supervision"; the numbers are held by recorded vectors (`pixwizard verify`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..model import Attention, Ops, sdpa
from ..model.attention import split_heads
from .gemma import causal_mask
from .settings import ClipTextConfig, ClipVisionConfig, activation

# Early published configs have this wrong end id; with them the largest id of a text is its end.
LEGACY_EOS = 2


class ClipAttention(nn.Module):
    """Multi-head attention with biases. x: (B,T,D); mask: as in Attention."""

    def __init__(self, width: int, heads: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = ops.Linear(width, width, **factory)
        self.k_proj = ops.Linear(width, width, **factory)
        self.v_proj = ops.Linear(width, width, **factory)
        self.out_proj = ops.Linear(width, width, **factory)

    def forward(self, x: Tensor, mask: Tensor | None, attention: Attention) -> Tensor:
        q, k, v = (
            split_heads(project(x), self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attention(q, k, v, mask))


class ClipMlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, width: int, inner: int, act: str, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.fc1 = ops.Linear(width, inner, **factory)
        self.fc2 = ops.Linear(inner, width, **factory)
        self.activate = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activate(self.fc1(x)))


class ClipLayer(nn.Module):
    """One layer: attention and feed-forward, each after a norm and with a skip."""

    def __init__(self, config: ClipTextConfig | ClipVisionConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.layer_norm1 = ops.LayerNorm(width, eps=eps, **factory)
        self.self_attn = ClipAttention(width, config.num_attention_heads, ops, **factory)
        self.layer_norm2 = ops.LayerNorm(width, eps=eps, **factory)
        self.mlp = ClipMlp(width, config.intermediate_size, config.hidden_act, ops, **factory)

    def forward(self, x: Tensor, mask: Tensor | None, attention: Attention) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), mask, attention)
        return x + self.mlp(self.layer_norm2(x))


class ClipLayers(nn.Module):
    """The stack of layers, named as in the published files."""

    def __init__(self, config: ClipTextConfig | ClipVisionConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [ClipLayer(config, ops, **factory) for _ in range(config.num_hidden_layers)]
        )

    def forward(self, x: Tensor, mask: Tensor | None, attention: Attention) -> list[Tensor]:
        """The state after each layer."""
        states: list[Tensor] = []
        for layer in self.layers:
            x = layer(x, mask, attention)
            states.append(x)
        return states


class ClipTextEmbeddings(nn.Module):
    """Token plus position embeddings: ids (B,T) → (B,T,D)."""

    def __init__(self, config: ClipTextConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width = config.hidden_size
        self.token_embedding = ops.Embedding(config.vocab_size, width, **factory)
        self.position_embedding = ops.Embedding(config.max_position_embeddings, width, **factory)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device, dtype=torch.int64)
        return self.token_embedding(ids) + self.position_embedding(places)


class ClipTextTower(nn.Module):
    """CLIP text without its projection: ids (B,T) → states (B,T,D) after the final norm."""

    def __init__(self, config: ClipTextConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.embeddings = ClipTextEmbeddings(config, ops, **factory)
        self.encoder = ClipLayers(config, ops, **factory)
        self.final_layer_norm = ops.LayerNorm(
            config.hidden_size, eps=config.layer_norm_eps, **factory
        )

    def forward(self, ids: Tensor, attention: Attention) -> Tensor:
        states = self.encoder(self.embeddings(ids), causal_mask(ids, None), attention)
        return self.final_layer_norm(states[-1])


class ClipText(nn.Module):
    """CLIP text with its projection.

    ops: namespace with Linear, LayerNorm and Embedding, torch.nn's or a host's casting layers.
    """

    def __init__(
        self,
        config: ClipTextConfig,
        *,
        ops: Ops = nn,
        attention: Attention = sdpa,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.config, self.attend = config, attention
        self.text_model = ClipTextTower(config, ops, **factory)
        self.text_projection = ops.Linear(
            config.hidden_size, config.projection_dim, bias=False, **factory
        )

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B,T) int64 with T up to max_position_embeddings → projected text (B,P).

        Read at each row's first end token. Attention is causal, so padding behind it is not seen.
        """
        states = self.text_model(ids, self.attend)
        rows = torch.arange(len(ids), device=ids.device, dtype=torch.int64)
        return self.text_projection(states[rows, end_places(ids, self.config.eos_token_id)])


def end_places(ids: Tensor, end: int) -> Tensor:
    """Where each row of ids (B,T) ends: (B,) indices of its first end token, 0 without one."""
    if end == LEGACY_EOS:
        return ids.argmax(-1)
    return ids.eq(end).int().argmax(-1)


class ClipVisionEmbeddings(nn.Module):
    """Class token and patches with positions: pixels (B,3,side,side) → (B,1+N,D)."""

    def __init__(self, config: ClipVisionConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        places = (config.image_size // patch) ** 2 + 1
        self.class_embedding = nn.Parameter(torch.zeros(width, **factory))
        self.patch_embedding = ops.Conv2d(
            config.num_channels, width, patch, stride=patch, bias=False, **factory
        )
        self.position_embedding = ops.Embedding(places, width, **factory)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches).expand(len(patches), 1, -1)
        x = torch.cat([first, patches], 1)
        places = torch.arange(x.shape[1], device=x.device, dtype=torch.int64)
        return x + self.position_embedding(places).to(x.dtype)


class ClipVisionTower(nn.Module):
    """CLIP vision without its projection; returns the state after each layer."""

    def __init__(self, config: ClipVisionConfig, ops: Ops, **factory: Any) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.embeddings = ClipVisionEmbeddings(config, ops, **factory)
        self.pre_layrnorm = ops.LayerNorm(width, eps=eps, **factory)  # the published spelling
        self.encoder = ClipLayers(config, ops, **factory)
        self.post_layernorm = ops.LayerNorm(width, eps=eps, **factory)

    def forward(self, pixels: Tensor, attention: Attention) -> list[Tensor]:
        return self.encoder(self.pre_layrnorm(self.embeddings(pixels)), None, attention)


class ClipVision(nn.Module):
    """CLIP vision, with or without the projection of the whole picture.

    ops: namespace with Linear, LayerNorm, Embedding and Conv2d, torch.nn's or a host's.
    """

    def __init__(
        self,
        config: ClipVisionConfig,
        *,
        ops: Ops = nn,
        attention: Attention = sdpa,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.config, self.attend = config, attention
        self.vision_model = ClipVisionTower(config, ops, device=device, dtype=dtype)
        self.visual_projection = nn.Identity()
        if config.projection_dim:
            self.visual_projection = ops.Linear(
                config.hidden_size, config.projection_dim, bias=False, device=device, dtype=dtype
            )

    def states(self, pixels: Tensor) -> list[Tensor]:
        """pixels (B,3,side,side), normalised → the state (B,1+N,D) after each layer, class token
        first, before the final norm."""
        return self.vision_model(pixels, self.attend)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (B,3,side,side), normalised → patch tokens (B,N,D) of the last layer."""
        return self.states(pixels)[-1][:, 1:]

    def pooled(self, state: Tensor) -> Tensor:
        """The class token of the last state after the final norm, projected if the model has a
        projection: (B,D) or (B,P)."""
        return self.visual_projection(self.vision_model.post_layernorm(state[:, 0]))
