"""Prepare pictures for the networks: 8-bit, resized as in Pillow, cropped, and normalised."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...files.picture_files import as_pil, to_tensor

BILINEAR, BICUBIC = 2, 3  # Pillow's numbers
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


def resized(picture_01: Tensor, width: int, height: int, how: int = BICUBIC) -> Tensor:
    """Round (1, 3, H, W) in 0..1 to 8 bits and resize it to width x height px."""
    picture = as_pil(picture_01[0])
    if tuple(picture_01.shape[-2:]) != (height, width):
        picture = picture.resize((width, height), how)
    return to_tensor(picture, "picture")


def middle(picture_01: Tensor, short: int, side: int) -> Tensor:
    """The middle square (1, 3, side, side) after resizing the shorter side to `short` px."""
    height, width = picture_01.shape[-2:]
    least = min(height, width)
    wide, high = (short if one == least else int(short * one / least) for one in (width, height))
    picture = resized(picture_01, wide, high)
    top, left = (round((one - side) / 2) for one in picture.shape[-2:])
    return picture[..., top : top + side, left : left + side]


def whole(picture_01: Tensor, side: int) -> Tensor:
    """(1, 3, side, side) with the whole picture: its longer side is resized to `side` px without
    rounding to 8 bits, and black is added on both sides of the shorter one."""
    height, width = picture_01.shape[-2:]
    high, wide = (round(one * (side / max(height, width))) for one in (height, width))
    picture = F.interpolate(picture_01, (high, wide), mode="bicubic", antialias=True)
    left, top = (side - wide) // 2, (side - high) // 2
    return F.pad(picture, (left, side - wide - left, top, side - high - top))


def normalised(pictures_01: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Normalise (B, 3, H, W) by the mean and standard deviation of each channel."""
    shift, scale = (pictures_01.new_tensor(list(v))[:, None, None] for v in (mean, std))
    return (pictures_01 - shift) / scale


def clip_input(pictures_01: Sequence[Tensor], side: int = 224) -> Tensor:
    """(B, 3, side, side) for CLIP, of pictures (1, 3, H, W) of any sizes."""
    cut = torch.cat([middle(one, side, side) for one in pictures_01])
    return normalised(cut, CLIP_MEAN, CLIP_STD)


def hps_input(pictures_01: Sequence[Tensor], side: int = 224) -> Tensor:
    """(B, 3, side, side) for HPS, of pictures (1, 3, H, W) of any sizes."""
    return normalised(torch.cat([whole(one, side) for one in pictures_01]), CLIP_MEAN, CLIP_STD)


def dino_input(pictures_01: Sequence[Tensor]) -> Tensor:
    """(B, 3, 224, 224) for DINO: shorter side 256 px, middle 224 px."""
    cut = torch.cat([middle(one, 256, 224) for one in pictures_01])
    return normalised(cut, IMAGENET_MEAN, IMAGENET_STD)
