"""Settings of an encoder: its sizes, under the names of the published config.json files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

Config = TypeVar("Config", "GemmaConfig", "ClipTextConfig", "ClipVisionConfig")


@dataclass(frozen=True, slots=True)
class GemmaConfig:
    """Gemma's sizes; the defaults are google/gemma-2b's, the first generation."""

    vocab_size: int = 256000
    hidden_size: int = 2048
    intermediate_size: int = 16384
    num_hidden_layers: int = 18
    num_attention_heads: int = 8
    num_key_value_heads: int = 1
    head_dim: int = 256
    hidden_activation: str = "gelu_pytorch_tanh"
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    pad_token_id: int = 0
    initializer_range: float = 0.02  # spread of untrained weights; not used once trained

    def __post_init__(self) -> None:
        require_divisible("num_attention_heads", self.num_attention_heads, self.num_key_value_heads)
        require_divisible("head_dim", self.head_dim, 2)


@dataclass(frozen=True, slots=True)
class ClipTextConfig:
    """CLIP text; the defaults are openai/clip-vit-large-patch14-336's."""

    vocab_size: int = 49408
    hidden_size: int = 768
    intermediate_size: int = 3072
    projection_dim: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    eos_token_id: int = 49407

    def __post_init__(self) -> None:
        require_divisible("hidden_size", self.hidden_size, self.num_attention_heads)


@dataclass(frozen=True, slots=True)
class ClipVisionConfig:
    """CLIP vision; the defaults are openai/clip-vit-large-patch14-336's. projection_dim: width of
    the image projection, 0 for a model without one; patch tokens do not use it."""

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    image_size: int = 336
    patch_size: int = 14
    num_channels: int = 3
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    projection_dim: int = 0

    def __post_init__(self) -> None:
        require_divisible("hidden_size", self.hidden_size, self.num_attention_heads)


def require_divisible(name: str, value: int, by: int) -> None:
    """Raise ValueError unless a size is divisible by `by`."""
    if value % by:
        raise ValueError(f"{name} {value} is not a multiple of {by}")


def config_from(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Make a config from published settings. Ignores those that do not affect the output, such as
    dropout."""
    known = {item.name for item in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI CLIP's approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """An activation by its published name. Raises KeyError for one that no encoder here uses."""
    return ACTIVATIONS[name]


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
    "quick_gelu": quick_gelu,
}
