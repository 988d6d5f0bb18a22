"""Pictures to image tokens through CLIP's vision transformer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..weights.finite import VISION_ENCODER, finite_output
from .clip import ClipVision

CLIP_SIDE = 336  # px; 24 x 24 patches of 14 px
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def preprocess(pixels: Tensor, size: int = CLIP_SIDE) -> Tensor:
    """CLIP input as in the released model's training: stretched to a square by bicubic resizing
    without antialiasing.

    pixels: (B,3,H,W) float in -1..1. Returns (B,3,size,size), normalised by CLIP's mean and spread.
    """
    return normalise(resizer()(pixels, size) * 0.5 + 0.5)


def normalise(image_01: Tensor) -> Tensor:
    """(B,3,H,W) in 0..1 → the same by CLIP's mean and spread of each channel."""
    mean = image_01.new_tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = image_01.new_tensor(CLIP_STD).view(1, 3, 1, 1)
    return (image_01 - mean) / std


@cache
def resizer() -> Callable[[Tensor, int], Tensor]:
    """kornia's resize if kornia is installed, else the equivalent torch call."""
    try:
        from kornia.geometry.transform import resize
    except ImportError:
        return bicubic

    def kornia_bicubic(pixels: Tensor, size: int) -> Tensor:
        square = (size, size)
        return resize(pixels, square, interpolation="bicubic", align_corners=True, antialias=False)

    return kornia_bicubic


def bicubic(pixels: Tensor, size: int) -> Tensor:
    """(B,C,H,W) → (B,C,size,size); corner pixels keep their places."""
    if pixels.shape[-2:] == (size, size):
        return pixels
    return F.interpolate(pixels, (size, size), mode="bicubic", align_corners=True)


class VisionEncoder(nn.Module):
    """CLIP vision: pictures of any size to patch tokens."""

    def __init__(self, model: ClipVision):
        super().__init__()
        self.model = model

    @property
    def width(self) -> int:
        """Features per token."""
        return self.model.config.hidden_size

    def encode(self, pixels: Tensor) -> Tensor:
        """pixels (B,3,H,W) in -1..1 → tokens (B,N,width); 576 for 336 px and 14 px patches.

        The last layer's states without the class token and before the final LayerNorm.
        Differentiable; wrap it in torch.no_grad() if you do not need gradients. Raises EncoderError
        when the tokens are not finite.
        """
        values = preprocess(pixels.float(), self.model.config.image_size)
        computed = next(self.model.parameters()).dtype
        return finite_output(self.model(values.to(computed)), VISION_ENCODER, computed)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.encode(pixels)


def sinusoid_positions(side: int, width: int) -> Tensor:
    """Row and column sinusoids of a side x side grid, (side*side, width), each value in -1..1.

    Initialises learned positions: image tokens have no rotary positions, so a new encoder must
    encode positions itself. width: a multiple of 4.
    """
    if width % 4:
        raise ValueError(f"width must be a multiple of 4, got {width}")
    octaves = torch.arange(width // 4, dtype=torch.int64, device="cpu") / max(1, width // 4 - 1)
    frequencies = (
        torch.pi / side * (side / 2) ** octaves
    )  # half a wave over the grid, up to the finest
    angles = (torch.arange(side, dtype=torch.int64, device="cpu") + 0.5)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # (side, width/2)
    rows = waves[:, None].expand(side, side, -1)
    columns = waves[None].expand(side, side, -1)
    return torch.cat([rows, columns], 2).reshape(side * side, width)
