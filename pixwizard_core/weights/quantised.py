"""Weights kept as 8-bit numbers with scales, in the formats of ComfyUI's quantised loaders.

A weight is its numbers times its scale. Computing with such a weight is left to the host; here it
is made, and turned back into plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CheckpointError
from .finite import all_finite, require_finite
from .weightfile import WeightFile

PLAIN = torch.bfloat16  # what a weight is unpacked to
WEIGHT, SCALE = ".weight", ".weight_scale"  # of a layer, by the host's names
WHY_UNPACKED = "only ComfyUI computes with them as they are"
FULL_PRECISION = "full_precision_matrix_mult"  # compute in the type of the input, not in 8 bits


@dataclass(frozen=True, slots=True)
class Format:
    """A way to store a weight.

    name: the host's. title: what people and our commands call it. dtype: of the numbers. largest:
    the largest of them. by_row: each output has a scale, else there is one for the whole weight.
    """

    name: str
    title: str
    dtype: torch.dtype
    largest: float
    by_row: bool


FP8_SCALED = Format("float8_e4m3fn", "fp8_scaled", torch.float8_e4m3fn, 448.0, by_row=False)
FP8_E5M2 = Format("float8_e5m2", "fp8_scaled (e5m2)", torch.float8_e5m2, 57344.0, by_row=False)
# The host takes one scale or one for each row; rows cost nothing and are more exact.
INT8 = Format("int8_tensorwise", "int8", torch.int8, 127.0, by_row=True)
FORMATS: Mapping[str, Format] = {one.name: one for one in (FP8_SCALED, FP8_E5M2, INT8)}
WRITTEN: Mapping[str, Format] = {one.title: one for one in (FP8_SCALED, INT8)}


def scale_shape(shape: tuple[int, ...], format: Format) -> tuple[int, ...]:
    """The shape of the scale of a weight (outputs, inputs): (), or (outputs, 1)."""
    return (shape[0], 1) if format.by_row else ()


def scale_of(weight: Tensor, format: Format) -> Tensor:
    """The scale that takes the largest number of a weight, or of each row, to the format's largest.
    Float32; 1 where all numbers are 0."""
    size = weight.detach().float().abs()
    scale = (size.amax(1, keepdim=True) if format.by_row else size.amax()) / format.largest
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def in_format(weight: Tensor, scale: Tensor, format: Format) -> Tensor:
    """The numbers of a weight in a format: divided by its scale and rounded to the nearest."""
    numbers = weight.detach().float() / scale
    if not format.dtype.is_floating_point:
        numbers = numbers.round()
    return numbers.clamp(-format.largest, format.largest).to(format.dtype)


def unpacked(numbers: Tensor, scale: Tensor, dtype: torch.dtype = PLAIN) -> Tensor:
    """The weight that numbers and their scale stand for."""
    return (numbers.float() * scale.float()).to(dtype)


@dataclass(frozen=True, slots=True)
class QuantisedWeight:
    """A quantised weight of an open file.

    numbers, scale, input_scale: names in the file. settings: of its layer, the host's words.
    """

    file: WeightFile
    format: Format
    numbers: str
    scale: str
    input_scale: str | None
    settings: Mapping[str, object]

    @property
    def scale_size(self) -> int:
        """How many scales it has."""
        return math.prod(self.file.shapes[self.scale])

    def parts(self) -> tuple[Tensor, Tensor]:
        """Its numbers, and its scale in float32. Raises CheckpointError for a scale or numbers that
        are not finite."""
        name = self.file.path.name
        numbers = require_finite(self.file.fetch(self.numbers), self.numbers, name)
        return numbers, require_finite(self.file.fetch(self.scale), self.scale, name).float()

    def plain(self) -> Tensor:
        """The weight in bfloat16. Raises CheckpointError for one that is not finite."""
        weight = unpacked(*self.parts())
        if not all_finite(weight):
            raise CheckpointError(
                f"{self.file.path.name} is damaged: {self.numbers} times {self.scale} leaves the "
                "range of bfloat16; copy or download it again"
            )
        return weight


def titles(packed: Mapping[str, QuantisedWeight]) -> str:
    """The formats of weights in words."""
    return " and ".join(dict.fromkeys(weight.format.title for weight in packed.values()))


def unpacked_line(source: str, packed: Mapping[str, QuantisedWeight], why: str) -> str:
    """A sentence on weights that are used unpacked. why: who cannot use them as they are."""
    return (
        f"{source}: {len(packed)} weights stored as {titles(packed)} were unpacked to bfloat16, "
        f"which takes twice the memory of the file, because {why}"
    )
