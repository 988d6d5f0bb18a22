"""Read which weights of a file are quantised, and how. A format that is not known is refused by its
name, since the numbers alone do not say what they mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import torch

from ..errors import CheckpointError
from ..json_text import json_object, read_json
from .dtypes import FP8_DTYPES
from .quantised import FORMATS, FULL_PRECISION, SCALE, WEIGHT, Format, QuantisedWeight
from .weightfile import WeightFile

HEADER = "_quantization_metadata"  # of a file: its layers and their settings
MARKER = ".comfy_quant"  # of a layer: its settings, as bytes
OLD_SCALE = ".scale_weight"
OLD_MARKER = "scaled_fp8"
INPUT_SCALES = (".input_scale", ".scale_input")
PRE_SCALE = ".pre_quant_scale"  # multiplied into the input of a layer
HELPERS = (SCALE, ".weight_scale_2", OLD_SCALE, MARKER, OLD_MARKER, PRE_SCALE, *INPUT_SCALES)
LONGEST_SETTINGS = 4096  # bytes
# Pieces of names that give other packages' formats away.
FOREIGN = {
    "bitsandbytes__nf4": "nf4 of bitsandbytes",
    "bitsandbytes__fp4": "fp4 of bitsandbytes",
    ".SCB": "int8 of bitsandbytes",
    ".wscales": "SVDQuant",
    ".qzeros": "GPTQ or AWQ",
    ".qweight": "GPTQ or AWQ",
}
READ = "Formats that are read: " + ", ".join(
    f"{one.title} ({one.name})" for one in FORMATS.values()
)

Settings = dict[str, Mapping[str, object]]


def is_helper(name: str) -> bool:
    """Whether a tensor goes with a quantised weight and is none itself."""
    return name.endswith(HELPERS)


def settings_in(file: WeightFile) -> Settings:
    """Settings of each quantised layer by its name in the file, whatever its format: from the
    header, from markers beside the weights, and for older files from the scales of 8-bit floats.

    Raises CheckpointError for settings that cannot be read.
    """
    found = _from_header(file)
    for name in file.shapes:
        if name.endswith(MARKER):
            found[name.removesuffix(MARKER)] = _from_marker(file, name)
    for name in file.shapes:
        for ending in (SCALE, OLD_SCALE):
            layer = name.removesuffix(ending)
            dtype = file.dtypes.get(layer + WEIGHT)
            if name.endswith(ending) and layer not in found and dtype in FP8_DTYPES:
                found[layer] = {"format": str(dtype).removeprefix("torch.")}
    return found


def _from_header(file: WeightFile) -> Settings:
    if HEADER not in file.metadata:
        return {}
    what = f"{file.path.name}: the header entry {HEADER} is"
    whole = json_object(read_json(file.metadata[HEADER], what, CheckpointError))
    layers = json_object((whole or {}).get("layers"))
    if layers is None:
        raise CheckpointError(f"{what} without layers; the file is damaged")
    return {name: _settings(file, name, value) for name, value in layers.items()}


def _from_marker(file: WeightFile, name: str) -> Mapping[str, object]:
    shape = file.shapes[name]
    if file.dtypes[name] != torch.uint8 or len(shape) != 1 or shape[0] > LONGEST_SETTINGS:
        raise CheckpointError(f"{file.path.name}: {name} is not the text of settings")
    text = file.fetch(name).numpy().tobytes()
    what = f"{file.path.name}: {name} is"
    return _settings(file, name.removesuffix(MARKER), read_json(text, what, CheckpointError))


def _settings(file: WeightFile, layer: str, value: object) -> Mapping[str, object]:
    settings = json_object(value)
    if settings is None or not isinstance(settings.get("format"), str):
        raise CheckpointError(
            f"{file.path.name} does not say in which format {layer} is stored; the file is damaged"
        )
    return settings


def formats_in(file: WeightFile) -> dict[str, int]:
    """How many layers have each format, by its title, or by the host's name if it is not read."""
    return dict(Counter(_title(settings) for settings in settings_in(file).values()))


def _title(settings: Mapping[str, object]) -> str:
    name = str(settings["format"])
    known = FORMATS.get(name)
    rotated = _beyond(settings)
    return f"{name} with {rotated}" if rotated else known.title if known else name


def _beyond(settings: Mapping[str, object]) -> str:
    """Settings that change what the numbers mean and are not known here, "" without any."""
    known = {"format", FULL_PRECISION}
    return ", ".join(sorted(name for name, on in settings.items() if on and name not in known))


def quantised_weights(
    file: WeightFile, stored: Iterable[str] | None = None
) -> dict[str, QuantisedWeight]:
    """The quantised weights of a file by their names in it. stored: only these weights; None takes
    all.

    Raises CheckpointError for a format that is not read, and for numbers and scales that do not fit
    one another.
    """
    refuse_foreign(file)
    # A file may hold other models too. A layer that is not in it at all is refused.
    others = set[str]() if stored is None else set(file.shapes).difference(stored)
    return {
        layer + WEIGHT: _weight(file, layer, settings)
        for layer, settings in settings_in(file).items()
        if layer + WEIGHT not in others
    }


def refuse_foreign(file: WeightFile) -> None:
    """Raise CheckpointError when names are those of another package's format."""
    for piece, package in FOREIGN.items():
        if any(piece in name for name in file.shapes):
            raise CheckpointError(
                f"{file.path.name} is stored as {package}, which is not read here. {READ}"
            )


def _weight(file: WeightFile, layer: str, settings: Mapping[str, object]) -> QuantisedWeight:
    source, format = file.path.name, FORMATS.get(str(settings["format"]))
    if format is None or _beyond(settings) or layer + PRE_SCALE in file.shapes:
        told = _title(settings) if layer + PRE_SCALE not in file.shapes else "scaled inputs"
        raise CheckpointError(
            f"{source}: {layer} is stored as {told}, which is not read here. {READ}"
        )
    numbers = layer + WEIGHT
    if file.dtypes.get(numbers) != format.dtype:
        met = "is missing" if numbers not in file.shapes else f"holds {file.dtypes[numbers]}"
        raise CheckpointError(
            f"{source} says that {layer} is stored as {format.name}, and {numbers} {met}; the file "
            "is damaged, or was saved by a ComfyUI that cannot save quantised models: load the "
            "model there with weight_dtype bfloat16 before saving"
        )
    scales = [name for end in (SCALE, OLD_SCALE) if (name := layer + end) in file.shapes]
    if not scales:
        raise CheckpointError(f"{source} has no scale for {layer} ({layer + SCALE})")
    _check_scale(file, scales[0], numbers, format)
    inputs = [name for end in INPUT_SCALES if (name := layer + end) in file.shapes]
    return QuantisedWeight(
        file, format, numbers, scales[0], inputs[0] if inputs else None, settings
    )


def _check_scale(file: WeightFile, scale: str, numbers: str, format: Format) -> None:
    """Raise CheckpointError unless multiplying by the scale leaves the weight's shape."""
    shape, wanted = file.shapes[scale], file.shapes[numbers]
    padded = (1,) * (len(wanted) - len(shape)) + tuple(shape)
    pairs = zip(padded, wanted, strict=False)
    fits = len(padded) == len(wanted) and all(side in (1, whole) for side, whole in pairs)
    if not fits or not file.dtypes[scale].is_floating_point:
        raise CheckpointError(
            f"{file.path.name}: the {format.title} scale {scale} of shape {tuple(shape)} and type "
            f"{file.dtypes[scale]} does not fit its weight, {tuple(wanted)}"
        )
