"""LoRA: small trained additions to a model's linear layers, under the names that ComfyUI reads.

A file holds, per layer at <path> in the model, `diffusion_model.<path>.lora_A.weight` (rank,
inputs), `diffusion_model.<path>.lora_B.weight` (outputs, rank) and `diffusion_model.<path>.alpha`.
It adds strength * alpha / rank * B A to the layer's weight. lora_read.py reads files of other
trainers; lora_apply.py adds them to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..torch_types import named_modules
from .weightfile import write_safetensors

PREFIX = "diffusion_model."
DOWN, UP, ALPHA = ".lora_A.weight", ".lora_B.weight", ".alpha"
# The attention and feed-forward of every block; the token scorers and modulations stay as they are.
TARGETS = (
    r"layers\.\d+\.attention\.w[qkvo]",
    r"layers\.\d+\.attention\.w[kv]_(ii|y)",
    r"layers\.\d+\.feed_forward\.w[123]",
)


class LoraLinear(nn.Module):
    """A linear layer with a trained addition of low rank: base(x) + alpha / rank * up(down(x)).

    The base is frozen. up starts at zero, so that nothing changes before training. Raises
    ValueError when the rank is not in 1..min(inputs, outputs).
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = base.weight.shape
        if not 1 <= rank <= min(inputs, outputs):
            raise ValueError(f"rank must be 1..{min(inputs, outputs)} here. Got: {rank}")
        device = base.weight.device
        # Built on "meta": layers built on the CPU would draw from the global generator.
        meta: dict[str, Any] = {"bias": False, "device": "meta", "dtype": torch.float32}
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(inputs, rank, **meta).to_empty(device=device)
        self.up = nn.Linear(rank, outputs, **meta).to_empty(device=device)
        self.rank, self.alpha = rank, alpha
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.up.weight)

    @property
    def weight(self) -> Tensor:
        """The base's weight, for code that asks a layer for its type."""
        return self.base.weight

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def forward(self, x: Tensor) -> Tensor:
        added = self.up(self.down(x.to(self.down.weight)))
        return self.base(x) + (added * self.scale).to(x)


@dataclass(frozen=True)
class LoraSettings:
    """rank: width of the additions. alpha: their strength is alpha / rank; None means the rank.
    targets: patterns (re.fullmatch) of the names of the layers that get one."""

    rank: int = 16
    alpha: float | None = None
    targets: tuple[str, ...] = TARGETS
    seed: int = 0


def matching(model: nn.Module, targets: Iterable[str]) -> list[str]:
    """Names of the model's linear layers that match a pattern as a whole, in the model's order.

    Raises CheckpointError for a pattern that matches none.
    """
    names = [
        name
        for name, module in named_modules(model)
        if isinstance(weight := getattr(module, "weight", None), Tensor)
        and weight.dim() == 2
        and not isinstance(module, LoraLinear)
    ]
    found: set[str] = set()
    for pattern in targets:
        hits = {name for name in names if re.fullmatch(pattern, name)}
        if not hits:
            raise CheckpointError(
                f"no linear layer of this model is called {pattern!r}; "
                f"there are for example {', '.join(names[:4])}"
            )
        found |= hits
    return [name for name in names if name in found]


def add_lora(model: nn.Module, settings: LoraSettings) -> list[str]:
    """Put trainable additions on a model's layers and freeze the rest. Returns the layers' names.

    Works on the meta device as well, where nothing is drawn.
    """
    model.requires_grad_(False)
    names = matching(model, settings.targets)
    generator = torch.Generator().manual_seed(settings.seed)
    for name in names:
        base = cast(nn.Linear, model.get_submodule(name))
        layer = LoraLinear(base, settings.rank, settings.alpha or settings.rank)
        down = layer.down.weight
        if not down.is_meta:
            drawn = (
                torch.randn(down.shape, generator=generator, dtype=torch.float32, device="cpu")
                * down.shape[1] ** -0.5
            )
            down.data.copy_(drawn)
        replace_module(model, name, layer)
    return names


def lora_layers(model: nn.Module) -> dict[str, LoraLinear]:
    """The layers of a model that have an addition, by name."""
    return {n: m for n, m in named_modules(model) if isinstance(m, LoraLinear)}


def trainable(model: nn.Module) -> list[Tensor]:
    """The weights that training a LoRA changes."""
    layers = lora_layers(model).values()
    return [part for layer in layers for part in (layer.down.weight, layer.up.weight)]


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """The additions, under the names used in a file."""
    state: dict[str, Tensor] = {}
    for name, layer in lora_layers(model).items():
        state[f"{PREFIX}{name}{DOWN}"] = layer.down.weight.detach()
        state[f"{PREFIX}{name}{UP}"] = layer.up.weight.detach()
        state[f"{PREFIX}{name}{ALPHA}"] = torch.tensor(
            float(layer.alpha), dtype=torch.float32, device="cpu"
        )
    return state


def save_lora(
    model: nn.Module,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write the model's additions as one safetensors file. Raises CheckpointError when there are
    none or writing fails."""
    state = lora_state(model)
    if not state:
        raise CheckpointError("the model has no LoRA layers to save; call add_lora first")
    write_lora(state, path, metadata, dtype)


def write_lora(
    state: Mapping[str, Tensor],
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write additions, as lora_state() gives them, as one safetensors file. Raises CheckpointError
    when writing fails."""
    state = {n: t if n.endswith(ALPHA) else t.to(dtype) for n, t in state.items()}
    write_safetensors(
        Path(path),
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        {name: tensor.dtype for name, tensor in state.items()},
        lambda name: state[name],
        dict(metadata or {}),
    )


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of the model's weights by name, as read_adapters takes them."""
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of the one of this dotted name."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
