"""Whether numbers are numbers, without a copy of the tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CheckpointError

# As unsigned bytes without their sign, what is infinite or no number begins here.
FP8_LIMITS = {torch.float8_e4m3fn: 0x7F, torch.float8_e5m2: 0x7C}


def all_finite(tensor: Tensor) -> bool:
    """True when no element is infinite or NaN. Any dtype and shape; nothing is allocated."""
    if not tensor.numel() or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    limit = FP8_LIMITS.get(tensor.dtype)
    if limit is None:
        low, high = torch.aminmax(tensor)  # both are NaN when anything is
        return bool(low.isfinite() and high.isfinite())
    # A positive offender is large as a signed byte, a negative one as an unsigned byte.
    positive, negative = tensor.view(torch.int8).max(), tensor.view(torch.uint8).max()
    return int(positive) < limit and int(negative) < (limit | 0x80)


def require_finite(tensor: Tensor, name: str, source: str) -> Tensor:
    """The tensor. Raises CheckpointError when it holds NaN or infinity.

    name: of the weight. source: of the file.
    """
    if all_finite(tensor):
        return tensor
    raise CheckpointError(
        f"{source} is damaged: {name} holds numbers that are not finite, which would paint "
        "nothing but black; copy or download it again"
    )
