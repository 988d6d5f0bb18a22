"""Check for NaN and infinity without copying the tensor: weights of a file, weights converted to
another dtype, and the outputs of the encoders and the autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, EncoderError

# As unsigned bytes without their sign, infinity and NaN start here.
FP8_LIMITS = {torch.float8_e4m3fn: 0x7F, torch.float8_e5m2: 0x7C}
# The largest number of each dtype whose range trained weights may exceed.
LARGEST = {torch.float8_e4m3fn: 448.0, torch.float8_e5m2: 57344.0, torch.float16: 65504.0}

VAE, TEXT_ENCODER, VISION_ENCODER = "VAE", "text encoder", "vision encoder"
# Why a part overflows in float16, and what to do.
HALF_CURES = {
    VAE: "the SDXL VAE overflows in float16: use madebyollin/sdxl-vae-fp16-fix, or run the VAE in "
    "float32 (ComfyUI's option --fp32-vae)",
    TEXT_ENCODER: "Gemma overflows in float16: use its published files, which are bfloat16, or run "
    "it in float32",
    VISION_ENCODER: "run it in float32 or bfloat16 (ComfyUI's options --fp32-text-enc and "
    "--bf16-text-enc count for it too)",
}
DAMAGED = "its file is damaged: get it again"
WITH_LORA = f"{DAMAGED}; or a LoRA on it is too strong: lower its strength"
OTHER_CURES = {VAE: DAMAGED, TEXT_ENCODER: WITH_LORA, VISION_ENCODER: DAMAGED}


def all_finite(tensor: Tensor) -> bool:
    """True when no element is infinite or NaN. Any dtype and shape; nothing is allocated."""
    if not tensor.numel() or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    limit = FP8_LIMITS.get(tensor.dtype)
    if limit is None:
        low, high = torch.aminmax(tensor)  # both are NaN when any element is
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


def require_range(tensor: Tensor, name: str, dtype: torch.dtype) -> Tensor:
    """The tensor. Raises CheckpointError when dtype would turn a number of it into infinity or NaN.

    name: of the weight. A tensor that is in dtype already, or fits any type, is not read.
    """
    limit = LARGEST.get(dtype)
    if limit is None or tensor.dtype == dtype or not tensor.numel():
        return tensor
    reached = largest(tensor)
    if reached > limit:
        raise CheckpointError(
            f"{name} reaches {reached:g}, beyond {limit:g}, the largest {dtype} number; use bf16"
        )
    return tensor


def largest(tensor: Tensor) -> float:
    """The largest absolute value; 0 for an empty tensor, NaN when it holds one."""
    if not tensor.numel():
        return 0.0
    tensor = tensor.float() if tensor.dtype in FP8_LIMITS else tensor
    low, high = torch.aminmax(tensor)
    return float(torch.maximum(-low, high))


def finite_output(
    values: Tensor, part: str, computed: torch.dtype | None = None, *, what: str = ""
) -> Tensor:
    """Return the output of a part, any shape. Raises EncoderError, naming the part and the remedy,
    when any value is infinite or NaN.

    part: a key of HALF_CURES. computed: the dtype that the part computed in, None if unknown. what:
    the start of the message, for values that may come from elsewhere. Costs one reduction over the
    values; on a GPU it synchronises.
    """
    if values.is_meta or all_finite(values.detach()):
        return values
    bad = int((~torch.isfinite(values.float())).sum())
    cure = (HALF_CURES if computed in (None, torch.float16) else OTHER_CURES)[part]
    where = f", computed in {str(computed).removeprefix('torch.')}" if computed else ""
    raise EncoderError(
        f"{what or f'the {part} gave'} {bad} numbers that are not finite, of {values.numel()}"
        f"{where}; {cure}"
    )


def damaged_weight(module: nn.Module) -> str | None:
    """Name of the first weight of a module that holds infinity or NaN, None when all are finite.
    Reads every weight."""
    named = (name for name, weight in module.named_parameters() if not all_finite(weight.detach()))
    return next(named, None)
