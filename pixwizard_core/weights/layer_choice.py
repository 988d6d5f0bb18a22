"""Which weights a lighter file keeps in 8 bits, and what such a file holds.

In 8 bits: the matrices of attention and feed-forward of each layer, and for the transformer what
brings the picture into the layer. They hold nearly all numbers, and their errors average out over
long sums. Everything else stays bfloat16: norms, gates, modulation, the first and last layers and
the token scores are small and each of them acts on the whole picture; embeddings of words are
looked up, so nothing averages an error out, and older hosts cannot read them in 8 bits.

Layers compute in the type of their input, not in 8 bits: that needs scales of the inputs, measured
on the very model. Without them the host would cut inputs off at 448.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .dtypes import FP8_DTYPES
from .quantised import (
    FULL_PRECISION,
    PLAIN,
    SCALE,
    WEIGHT,
    Format,
    in_format,
    scale_of,
    scale_shape,
)
from .quantised_files import HEADER

IN_8_BITS = {
    "model": re.compile(
        r"layers\.\d+\.(attention\.w\w+|feed_forward\.w[123]|input_image_proj)\.weight"
    ),
    "gemma": re.compile(
        r"layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)\.weight"
    ),
    "clip_text": re.compile(
        r"text_model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])\.weight"
    ),
}
FORMAT_VERSION = "1.0"

Fetch = Callable[[str], Tensor]


@dataclass(frozen=True, slots=True)
class Lighter:
    """The content of a lighter file: what write_safetensors() takes."""

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fetch: Fetch
    header: dict[str, str]


def lighter(
    kind: str,
    format: Format,
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, torch.dtype],
    fetch: Fetch,
) -> Lighter:
    """A model's content with the weights of IN_8_BITS in a format, and the rest in bfloat16.

    kind: a key of IN_8_BITS. fetch: name -> weight, called twice for a weight in 8 bits.
    """
    packed = [name for name in shapes if IN_8_BITS[kind].fullmatch(name)]
    scales = {name.removesuffix(WEIGHT) + SCALE: name for name in packed}
    known: dict[str, Tensor] = {}

    def scale(name: str) -> Tensor:
        if name not in known:
            known[name] = scale_of(fetch(name), format)
        return known[name]

    def one(name: str) -> Tensor:
        if name in scales:
            return scale(scales[name])
        return in_format(fetch(name), scale(name), format) if name in chosen else fetch(name)

    chosen = set(packed)
    layers = {
        name.removesuffix(WEIGHT): {"format": format.name, FULL_PRECISION: True} for name in packed
    }
    return Lighter(
        shapes={**shapes, **{s: scale_shape(shapes[name], format) for s, name in scales.items()}},
        dtypes={
            **{name: plain_dtype(dtype) for name, dtype in dtypes.items()},
            **dict.fromkeys(packed, format.dtype),
            **dict.fromkeys(scales, torch.float32),
        },
        fetch=one,
        header={HEADER: json.dumps({"format_version": FORMAT_VERSION, "layers": layers})},
    )


def kept_dtype(kind: str, name: str, dtype: torch.dtype) -> torch.dtype:
    """The type in which a model that is kept in dtype keeps one of its weights: an 8-bit float for
    matrices of IN_8_BITS only, and bfloat16 for the rest. kind: a key of IN_8_BITS, or that of a
    model that has none, such as "clip_vision"."""
    if dtype not in FP8_DTYPES:
        return dtype
    chosen = IN_8_BITS.get(kind)
    return dtype if chosen and chosen.fullmatch(name) else PLAIN


def plain_dtype(dtype: torch.dtype) -> torch.dtype:
    """The type of a weight that is not in 8 bits."""
    return PLAIN if dtype.is_floating_point else dtype
