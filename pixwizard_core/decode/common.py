"""Input checks and colour parsing shared by all decoders."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..canvas.images import ensure_rgb
from ..errors import CanvasError, DecodeError
from ..tasks import COLOURS

Rgb = tuple[int, int, int]


def picture(image_01: Tensor, what: str = "answer picture") -> Tensor:
    """(B, 1..4, H, W) to RGB (B, 3, H, W) float32 in 0..1. Raises DecodeError for anything else."""
    try:
        rgb, _ = ensure_rgb(image_01, what)
    except CanvasError as error:
        raise DecodeError(str(error)) from None
    return rgb.float().clamp(0, 1)


def same_size(image_01: Tensor, source_01: Tensor) -> Tensor:
    """The source as RGB (B, 3, H, W), checked to match the answer's size; one source or one answer
    serves a whole batch. Raises DecodeError otherwise."""
    source = picture(source_01, "source picture")
    counts_fit = 1 in (len(source), len(image_01)) or len(source) == len(image_01)
    if source.shape[-2:] != image_01.shape[-2:] or not counts_fit:
        raise DecodeError(
            f"the source picture is {_size(source)}, the answer {_size(image_01)}; restore the "
            "answer to the source's size first, or give the source as it was fitted"
        )
    return source.to(image_01.device)


def rgb_of(colour: str | Rgb) -> Rgb:
    """RGB 0..255 of a colour name, "#rrggbb" or three numbers. Raises DecodeError, listing the
    names."""
    if isinstance(colour, str):
        name = colour.strip().lower()
        if name in COLOURS:
            return COLOURS[name]
        if name.startswith("#"):
            return parse_hex(name)
        raise DecodeError(f"unknown colour {colour!r}; use #rrggbb or one of: {', '.join(COLOURS)}")
    return check_rgb(colour)


def parse_hex(text: str) -> Rgb:
    """ "#rrggbb" to RGB 0..255. Raises DecodeError."""
    digits = text.strip().lstrip("#")
    try:
        if len(digits) != 6:
            raise ValueError
        red, green, blue = (int(digits[i : i + 2], 16) for i in (0, 2, 4))
        return red, green, blue
    except ValueError:
        raise DecodeError(f"{text!r} is not a colour of the form #rrggbb") from None


def check_rgb(values: Any) -> Rgb:
    """Three whole numbers 0..255, from any sequence. Raises DecodeError."""
    try:
        red, green, blue = (int(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        raise DecodeError(f"a colour is three whole numbers 0 to 255. Got: {values!r}") from None
    if not all(0 <= v <= 255 for v in (red, green, blue)):
        raise DecodeError(f"a colour is three whole numbers 0 to 255. Got: {values!r}")
    return red, green, blue


def _size(x: Tensor) -> str:
    return f"{x.shape[0]} of {x.shape[-1]} x {x.shape[-2]} px"
