"""Masks as people hold them, brought to one form: what is white is selected, or what is opaque."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ..canvas.images import EIGHT_BIT, ensure_rgb
from ..errors import CanvasError
from .picture_files import colour_and_alpha, open_upright, upright
from .picture_values import is_pillow, tensor_of, values_01

CHANNELS = (1, 2, 3, 4)  # grey or RGB, each with transparency or without
PURE = 2 / EIGHT_BIT  # how far black, white and grey may be off
KINDS = (
    "a path, a Pillow image, a tensor (H, W), (B, H, W) or (B, 1, H, W), a NumPy array (H, W), "
    "(B, H, W), (H, W, C) or (B, H, W, C) with 1 to 4 channels last, or a list of these, all of "
    "one size"
)


class ReadMask(NamedTuple):
    """mask: (B, H, W) float32 in 0..1 on the CPU. notes: sentences on transparency that was
    used."""

    mask: Tensor
    notes: tuple[str, ...] = ()


def read_mask(value: Any, what: str = "the mask") -> ReadMask:
    """Any mask or batch of masks, and what to say of it.

    value: see KINDS; bool, uint8 in 0..255, or floats in 0..1. A tensor with three axes is always
    (B, H, W). A NumPy array with three axes is one picture (H, W, C) if its last axis is 1 to 4,
    and else (B, H, W). Files, Pillow images and arrays with channels are pictures: their brightness
    is the mask. Of one that is not opaque everywhere, see of_transparent(). Raises CanvasError,
    beginning with what, for anything else.
    """
    if isinstance(value, (list, tuple)):
        return _joined(cast("Sequence[Any]", value), what)
    if isinstance(value, (str, Path)):
        return _of_picture(*colour_and_alpha(open_upright(value), what), what)
    if is_pillow(value):
        return _of_picture(*colour_and_alpha(upright(value), what), what)
    if isinstance(value, Tensor):
        return _of_tensor(value, what)
    if hasattr(value, "__array__"):
        import numpy as np

        return _of_array(np.asarray(value), what)
    raise CanvasError(f"{what} must be {KINDS}. Got: {type(value).__name__}")


def of_transparent(colour: Tensor, alpha: Tensor) -> tuple[Tensor, bool]:
    """The mask (H, W) of a picture with transparency, and whether its colours count.

    colour: (3, H, W). alpha: (H, W). What is opaque is selected, whatever its colour, as in a thing
    that was cut out. Only where all that shows is grey, with both black and white in it, is the
    picture itself a mask: then what is white and opaque is selected.
    """
    bright, dark, shown = colour.amax(0), colour.amin(0), alpha > 0
    grey = bool((bright - dark <= PURE)[shown].all())
    both = bool((bright <= PURE)[shown].any()) and bool((dark >= 1 - PURE)[shown].any())
    if grey and both:
        return colour.mean(0) * alpha, True
    return alpha, False


def _of_picture(colour: Tensor, alpha: Tensor | None, what: str) -> ReadMask:
    """colour: (B, 3, H, W). alpha: (B, 1, H, W)."""
    if alpha is None:
        return ReadMask(colour.mean(1))
    masks = list[Tensor]()
    notes = list[str]()
    for one, opacity in zip(colour, alpha[:, 0], strict=True):
        if bool((opacity >= 1).all()):
            masks.append(one.mean(0))
            continue
        mask, by_colour = of_transparent(one, opacity)
        masks.append(mask)
        notes.append(
            f"{what} is black and white with transparency, so white is in the region, and what is "
            "transparent is not"
            if by_colour
            else f"{what} has transparency, so what is opaque is in the region, whatever its colour"
        )
    return ReadMask(torch.stack(masks), tuple(dict.fromkeys(notes)))


def _of_tensor(tensor: Tensor, what: str) -> ReadMask:
    met = tensor.shape
    if tensor.ndim == 4 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3:
        raise CanvasError(
            f"{what} as a tensor must be (H, W), (B, H, W) or (B, 1, H, W). Got: "
            f"{_shape(met)}"
        )
    return ReadMask(values_01(tensor, what))


def _of_array(array: Any, what: str) -> ReadMask:
    picture = array.ndim in (3, 4) and array.shape[-1] in CHANNELS
    if not picture and array.ndim not in (2, 3):
        raise CanvasError(
            f"{what} as a NumPy array must be (H, W), (B, H, W), (H, W, C) or (B, H, W, C) with 1 "
            f"to 4 channels last. Got: {_shape(array.shape)}"
        )
    tensor = tensor_of(array, what)
    if not picture:
        return _of_tensor(tensor, what)
    tensor = tensor if tensor.ndim == 4 else tensor[None]
    colour, alpha = ensure_rgb(values_01(tensor.movedim(-1, 1), what), what)
    return _of_picture(colour, None if alpha is None else alpha[:, None], what)


def _joined(values: Sequence[Any], what: str) -> ReadMask:
    if not values:
        raise CanvasError(f"{what} is an empty list; give at least one mask")
    read = [read_mask(one, what) for one in values]
    sizes = {tuple(one.mask.shape[-2:]) for one in read}
    if len(sizes) > 1:
        told = ", ".join(f"{width} x {height}" for height, width in sorted(sizes))
        raise CanvasError(f"{what} has pictures of several sizes; give one size. Got: {told} px")
    notes = dict.fromkeys(note for one in read for note in one.notes)
    return ReadMask(torch.cat([one.mask for one in read]), tuple(notes))


def _shape(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides)) or "a single number"
