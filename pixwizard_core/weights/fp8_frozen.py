"""Hold a model's large frozen matrices in 8-bit floats, while a LoRA on top of them is trained.

Each row of a matrix has a scale that is a power of two, so a weight that is already a number of
this type stays as it is. Products are computed in the type of the input.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ..torch_types import named_modules
from .convert import FP8, FP8_WEIGHTS
from .lora import replace_module

LARGEST = torch.finfo(FP8).max
LEAST = 2.0**-126  # the smallest scale; rows of zeros have it


class Fp8Product(torch.autograd.Function):
    """x @ (weight * scale).T, keeping no more than the 8-bit weight for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return torch.nn.functional.linear(x, expanded(weight, scale, x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        weight, scale = ctx.saved_tensors
        (grad,) = grads
        return grad @ expanded(weight, scale, grad.dtype), None, None


class Fp8Linear(nn.Module):
    """A frozen linear layer. weight: (outputs, inputs) in 8-bit floats. scale: (outputs, 1)
    float32."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        found = cast(Tensor, cast(Any, Fp8Product).apply(x, self.weight, self.scale))
        return found if self.bias is None else found + self.bias.to(found)


def expanded(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The matrix that 8-bit weights and the scales of their rows stand for."""
    return weight.to(dtype) * scale.to(dtype)


@torch.no_grad()
def in_fp8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (outputs, inputs) in 8-bit floats, and the scales (outputs, 1) of its rows."""
    most = weight.abs().amax(1, keepdim=True).float()
    scale = torch.exp2(torch.ceil(torch.log2((most / LARGEST).clamp(min=LEAST))))
    return (weight.float() / scale).to(FP8), scale


def freeze_in_fp8(model: nn.Module) -> int:
    """Replace the large linear layers of a model, in place, one after another. Returns how many."""
    found = [
        (name, module)
        for name, module in named_modules(model)
        if isinstance(module, nn.Linear) and FP8_WEIGHTS.fullmatch(f"{name}.weight")
    ]
    for name, module in found:
        bias = cast("Tensor | None", module.bias)  # nn.Linear says that there always is one
        replaced = Fp8Linear(*in_fp8(module.weight), None if bias is None else bias.detach())
        replace_module(model, name, replaced)
    return len(found)
