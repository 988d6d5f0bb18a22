"""The layers of torch.nn, with a faster product for inference in float32 on x86 processors.

PyTorch computes float32 products with MKL, which runs at half speed on some non-Intel processors
and nearly as fast as oneDNN on others. PyTorch also includes oneDNN, and its own compiler calls it
in the same way. On other processors, in other types and in training these layers behave as
torch.nn's.
"""

from __future__ import annotations

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

X86 = ("x86_64", "AMD64")
FEWEST_ROWS = 8  # with fewer there is nothing to gain

LayerNorm, RMSNorm = nn.LayerNorm, nn.RMSNorm


def available() -> bool:
    """Whether this processor and this PyTorch have the faster product."""
    return (
        platform.machine() in X86
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def suits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can compute a product: plain float32 tensors on the CPU, no gradient."""
    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() >= FEWEST_ROWS * x.shape[-1]
        # On other strides oneDNN falls back to a product that is hundreds of times slower.
        and x.is_contiguous()
        and weight.is_contiguous()
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and available()
    )


class Linear(nn.Linear):
    """nn.Linear, with the same weights and, within rounding, the same results."""

    def forward(self, input: Tensor) -> Tensor:
        if not suits(input, self.weight):
            return F.linear(input, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")
