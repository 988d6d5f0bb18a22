"""Quantised weights in the host's own layers, which compute with them as they are.

Hosts differ in the formats that they have. What a host lacks is unpacked on loading, and said.
"""

from __future__ import annotations

import functools
import json
import logging
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import comfy.ops
import torch
from torch import Tensor

from ...pixwizard_core.weights.quantised import (
    FORMATS,
    FULL_PRECISION,
    SCALE,
    WEIGHT,
    QuantisedWeight,
    titles,
    unpacked_line,
)
from ...pixwizard_core.weights.quantised_files import MARKER
from .versions import host_version

Packed = Mapping[str, QuantisedWeight]
NONE: Packed = MappingProxyType({})


def is_kept(weight: QuantisedWeight) -> bool:
    """Whether the host's layers can hold this weight as it is stored."""
    format = getattr(comfy.ops, "QUANT_ALGOS", {}).get(weight.format.name)
    if format is None:
        return False
    layout = comfy.ops.get_layout_class(format["comfy_tensor_layout"])
    # There is no layout where the host's package of kernels is not installed.
    return layout is not None and (weight.format.by_row or weight.scale_size == 1)


def kept(source: str, packed: Packed, wanted: torch.dtype | None = None) -> Packed:
    """The quantised weights that the host's layers will hold. The log says what happens to them.

    source: the file, for the log. wanted: a type that the user chose for the weights, in which
    nothing stays quantised.
    """
    if not packed:
        return NONE
    if wanted is not None:
        logging.info(
            "PixWizard: %s: the weights stored as %s are converted to %s, as weight_dtype says; "
            "default would keep them",
            source, titles(packed), str(wanted).removeprefix("torch."),
        )  # fmt: skip
        return NONE
    staying = {name: weight for name, weight in packed.items() if is_kept(weight)}
    rest = {name: weight for name, weight in packed.items() if name not in staying}
    if rest:
        why = f"ComfyUI {host_version()} does not compute with them as they are"
        logging.warning("PixWizard: %s", unpacked_line(source, rest, why))
    if staying:
        logging.info(
            "PixWizard: %s: %d weights stay %s", source, len(staying), titles(staying)
        )
    return staying


def storage_of(module: torch.nn.Module) -> str:
    """The quantised weights that a module holds in words, "" without any."""
    names = (getattr(layer, "quant_format", None) for layer in module.modules())
    counts = Counter(FORMATS[name].title for name in names if name is not None and name in FORMATS)
    return " and ".join(f"{count} of them as {title}" for title, count in counts.items())


@functools.cache
def quantised_ops(dtype: torch.dtype):
    """The host's layers for quantised weights. dtype: of the weights that are not, and of what the
    others are unpacked to where they are used."""
    return comfy.ops.mixed_precision_ops({"mixed_ops": True}, dtype)


def parts_of(name: str, weight: QuantisedWeight, place: Mapping) -> dict[str, Tensor]:
    """A weight as the host's layers load it: its numbers, scales and settings by name. place:
    arguments of Tensor.to."""
    layer, (numbers, scale) = name.removesuffix(WEIGHT), weight.parts()
    settings = dict(weight.settings)
    made = {name: numbers.to(**place), layer + SCALE: scale.reshape(_shape(weight)).to(**place)}
    if weight.input_scale is not None:
        inputs = weight.file.fetch(weight.input_scale).float().reshape(())
        made[f"{layer}.input_scale"] = inputs.to(**place)
    elif weight.format.dtype.is_floating_point:
        settings[FULL_PRECISION] = True  # without a scale the host would cut its inputs off
    text = json.dumps({**settings, "format": weight.format.name}).encode()
    made[layer + MARKER] = torch.tensor(list(text), dtype=torch.uint8, device="cpu")
    return made


def _shape(weight: QuantisedWeight) -> tuple[int, ...]:
    return () if weight.scale_size == 1 else weight.file.shapes[weight.scale]
