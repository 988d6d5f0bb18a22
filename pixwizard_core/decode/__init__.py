"""From answer pictures to data: the one place where a task's decoder name becomes a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..errors import DecodeError
from .boxes import Box, decode_boxes
from .common import Rgb, picture
from .depth import COLOUR_MAPS, colourise, decode_depth, normalise, to_metres
from .masks import (
    Cleanup,
    Objects,
    clean,
    decode_highlight,
    decode_highlight_hsv,
    decode_mask,
    mask_boxes,
    objects,
)
from .normals import decode_normals, paint_normals
from .palette import Palette, ade20k, bundled_palette, read_palette, tiny_world
from .polarity import DEFAULT_NEAR
from .segments import (
    LegendEntry,
    Segments,
    class_mask,
    decode_segments,
    find_classes,
    legend,
    paint,
)
from .sharpen import SHARPENED, at_source_size, not_sharpened

__all__ = [
    "COLOUR_MAPS",
    "DECODERS",
    "SHARPENED",
    "Box",
    "Cleanup",
    "Hints",
    "LegendEntry",
    "Objects",
    "Palette",
    "Segments",
    "ade20k",
    "at_source_size",
    "bundled_palette",
    "class_mask",
    "clean",
    "colourise",
    "decode",
    "decode_boxes",
    "decode_depth",
    "decode_highlight",
    "decode_highlight_hsv",
    "decode_mask",
    "decode_normals",
    "decode_segments",
    "find_classes",
    "legend",
    "mask_boxes",
    "normalise",
    "not_sharpened",
    "objects",
    "paint",
    "paint_normals",
    "read_palette",
    "tiny_world",
    "to_metres",
]


@dataclass(frozen=True, slots=True)
class Hints:
    """What a decoder may need besides the answer. source_01: the picture the task was run on, of
    the answer's size. colour: the requested colour of a highlight or box. palette: classes of a
    segmentation. near: the shade of near things in a depth map, of polarity.NEAR_CHOICES. range_m:
    nearest and farthest depth in metres, None if unknown."""

    source_01: Tensor | None = None
    colour: str | Rgb = "red"
    palette: Palette = field(default_factory=ade20k)
    near: str = DEFAULT_NEAR
    range_m: tuple[float, float] | None = None


def _highlight(image_01: Tensor, hints: Hints) -> Tensor:
    if hints.source_01 is None:
        return decode_highlight_hsv(image_01, hints.colour)
    return decode_highlight(image_01, hints.source_01, hints.colour)


# Each takes the answer picture (B, C, H, W) in 0..1 and Hints.
DECODERS: dict[str, Callable[[Tensor, Hints], Any]] = {
    "image": lambda image_01, hints: picture(image_01),  # (B, 3, H, W)
    "pose": lambda image_01, hints: picture(image_01),  # (B, 3, H, W), skeletons as drawn
    "edge": lambda image_01, hints: picture(image_01).mean(1),  # (B, H, W), 1 = edge
    "depth": lambda image_01, hints: decode_depth(image_01, hints.near),  # (B, H, W), 1 = near
    "normal": lambda image_01, hints: decode_normals(image_01),  # (B, 3, H, W) unit
    "segmentation": lambda image_01, hints: decode_segments(image_01, hints.palette),  # Segments
    "mask": lambda image_01, hints: decode_mask(image_01),  # (B, H, W) bool
    "highlight": _highlight,  # (B, H, W) bool
    "box": lambda image_01, hints: decode_boxes(
        image_01, hints.colour, hints.source_01
    ),  # list per picture
}


def decode(kind: str, image_01: Tensor, hints: Hints | None = None) -> Any:
    """Read an answer picture as a task's decoder kind (Task.decoder); see DECODERS for what each
    returns.

    Raises DecodeError for an unknown kind or a picture that cannot be read.
    """
    if kind not in DECODERS:
        raise DecodeError(f"unknown kind of answer {kind!r}; choose one of: {', '.join(DECODERS)}")
    return DECODERS[kind](image_01, hints or Hints())
