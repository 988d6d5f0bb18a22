"""Small layers of the transformer. Each is built from ops so that a host can stream its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME_FREQUENCIES = 256
MAX_PERIOD = 10000.0
FINAL_NORM_EPS = 1e-6

# A namespace with Linear, LayerNorm, RMSNorm and Embedding: torch.nn, cpu_ops, or a host's casting
# layers, which come as a module or a class.
Ops: TypeAlias = Any
Layer = TypeVar("Layer", bound=nn.Module)
Layer_co = TypeVar("Layer_co", bound=nn.Module, covariant=True)


class LayerList(Protocol[Layer_co]):
    """An nn.ModuleList with layers of one class, for type checkers."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Layer_co]: ...
    def __getitem__(self, index: int) -> Layer_co: ...


def layer_list(layers: list[Layer]) -> LayerList[Layer]:
    """An nn.ModuleList of layers of one class."""
    return cast(LayerList[Layer], nn.ModuleList(layers))


def time_sinusoid(t: Tensor, size: int = TIME_FREQUENCIES) -> Tensor:
    """(B,) times to (B, size) float32: cosines first, then sines, on t itself (not t*1000)."""
    half = size // 2
    steps = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(MAX_PERIOD) / half * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedder(nn.Module):
    """Time in [0, 1] to a vector of width cond_dim."""

    def __init__(self, cond_dim: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            ops.Linear(TIME_FREQUENCIES, cond_dim, **factory),
            nn.SiLU(),
            ops.Linear(cond_dim, cond_dim, **factory),
        )

    def forward(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        return self.mlp(time_sinusoid(t).to(dtype))


class FeedForward(nn.Module):
    """SwiGLU: w2(silu(w1 x) * w3 x)."""

    def __init__(self, dim: int, hidden: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.w1 = ops.Linear(dim, hidden, bias=False, **factory)
        self.w2 = ops.Linear(hidden, dim, bias=False, **factory)
        self.w3 = ops.Linear(dim, hidden, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x), inplace=True).mul_(self.w3(x)))


class FinalLayer(nn.Module):
    """Norm without weights, scaled by the condition, then one linear layer to patch values."""

    def __init__(self, dim: int, cond_dim: int, width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.linear = ops.Linear(dim, width, **factory)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), ops.Linear(cond_dim, dim, **factory))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        x = F.layer_norm(x, x.shape[-1:], eps=FINAL_NORM_EPS)
        return self.linear(x * (1 + self.adaLN_modulation(c)[:, None]))
