"""What a weight file holds, read from its names and shapes alone; no weight is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import PRESETS, ModelConfig
from ..errors import CheckpointError
from ..json_text import json_object, read_json
from .locate import locate
from .published import ORIGIN
from .quantised_files import formats_in, is_helper, quantised_weights
from .recognise import (
    PIXWIZARD,
    WRAPPERS,
    config_from_shapes,
    find_prefix,
    is_known_prefix,
    part_of_pixwizard,
    recognise,
    without_wrappers,
)
from .weightfile import WeightFile, open_weights

CONFIG_KEY = "pixwizard.config"
PART, FOREIGN = "a part of PixWizard", "PixWizard under the prefix"


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a file is, read from its names and shapes alone.

    kind: "PixWizard", another model's name, or "unknown". config: None unless kind is PixWizard.
    layout: "released folder", "pickle", "safetensors" or "saved by ComfyUI".
    config_source: "header" or "shapes". dtypes: numbers stored per type. formats: quantised layers
    per format, by its title. notes: one line each.
    """

    path: Path
    kind: str
    layout: str
    config: ModelConfig | None
    config_source: str | None
    dtypes: dict[str, int]
    n_tensors: int
    n_params: int
    n_bytes: int
    notes: tuple[str, ...] = ()
    formats: dict[str, int] = field(default_factory=dict)

    @property
    def stored(self) -> str:
        """How most of the numbers are stored: the format of a quantised file, else the type."""
        return " and ".join(self.formats) or self.dtype

    @property
    def dtype(self) -> str:
        """Type that holds most of the numbers, as torch spells it."""
        return max(self.dtypes, key=self.dtypes.__getitem__) if self.dtypes else "none"

    @property
    def preset(self) -> str | None:
        """Name of the released model with this configuration, None for any other."""
        return next((name for name, config in PRESETS.items() if config == self.config), None)


def inspect(path: str | Path) -> CheckpointInfo:
    """Describe a file or folder, whatever model it holds. Raises CheckpointError if unreadable."""
    file, layout, notes = locate(Path(path))
    return examine(open_weights(file), layout, notes)[0]


def examine(
    weights: WeightFile, layout: str, notes: list[str]
) -> tuple[CheckpointInfo, dict[str, str]]:
    """Describe an open file; also returns unprefixed name -> stored name of the model's weights."""
    stored = [name for name in weights.shapes if not is_helper(name)]
    names = _unwrapped(weights.path.name, stored)
    prefix = find_prefix(names)
    kind = _kind(names, prefix)
    config = source = None
    if kind == PIXWIZARD and prefix is not None:
        others = len(names)
        names = {
            name.removeprefix(prefix): own for name, own in names.items() if name.startswith(prefix)
        }
        others -= len(names)
        around = [word for word in WRAPPERS if any(word in own for own in names.values())]
        around += [prefix] if prefix and "diffusion_model" not in prefix else []
        if around:
            notes = [*notes, f"removed from its names: {', '.join(around)}"]
        if others:
            notes = [*notes, f"{others} tensors of other models in the file are ignored"]
        quantised_weights(weights, names.values())  # before shapes are believed
        config, source = _configuration(weights, names)
        if source == "shapes":
            notes = [*notes, "no configuration in the file; it was derived from the weight shapes"]
    if layout == "file":
        layout = "saved by ComfyUI" if prefix and "diffusion_model" in prefix else weights.container
    formats = formats_in(weights)
    if formats:
        notes = [*notes, _quantised_note(formats)]
    counts: Counter[str] = Counter()
    n_bytes = 0
    for name in names.values():
        numbers = math.prod(weights.shapes[name])
        counts[str(weights.dtypes[name]).removeprefix("torch.")] += numbers
        n_bytes += numbers * weights.dtypes[name].itemsize
    info = CheckpointInfo(
        path=weights.path,
        kind=kind,
        layout=layout,
        config=config,
        config_source=source,
        dtypes=dict(counts),
        n_tensors=len(names),
        n_params=sum(counts.values()),
        n_bytes=n_bytes,
        notes=tuple(notes),
        formats=formats,
    )
    return info, names


def _quantised_note(formats: Mapping[str, int]) -> str:
    told = " and ".join(f"{count} layers in {title}" for title, count in formats.items())
    return (
        f"{told}; ComfyUI computes with them as they are where it has the format, elsewhere they "
        "are unpacked to bfloat16 on loading"
    )


def _unwrapped(source: str, stored: list[str]) -> dict[str, str]:
    """Name without wrappers -> stored name. Raises CheckpointError where two become one."""
    names: dict[str, str] = {}
    for name in stored:
        plain = without_wrappers(name)
        if plain in names:
            raise CheckpointError(
                f"{source} holds one weight twice, as {names[plain]} and as {name}; save it again "
                "with one of them"
            )
        names[plain] = name
    return names


def _kind(names: Iterable[str], prefix: str | None) -> str:
    """The model that names belong to; for a PixWizard that cannot be used as it is, the reason."""
    kind = recognise(names)
    if kind not in (None, PIXWIZARD):
        return kind
    if prefix is None:
        part = part_of_pixwizard(names)
        return f"{PART} ({part})" if part else "unknown"
    return PIXWIZARD if is_known_prefix(prefix) else f"{FOREIGN} {prefix!r}"


def _configuration(weights: WeightFile, names: Mapping[str, str]) -> tuple[ModelConfig, str]:
    """The header's configuration, else the one the shapes imply."""
    if CONFIG_KEY in weights.metadata:
        what = f"{weights.path.name}: the header entry {CONFIG_KEY} is"
        values = json_object(read_json(weights.metadata[CONFIG_KEY], what, CheckpointError))
        if values is None:
            raise CheckpointError(f"{weights.path.name}: {CONFIG_KEY} is not an object")
        return ModelConfig.from_dict(values), "header"
    shapes = {name: weights.shapes[stored] for name, stored in names.items()}
    try:
        return config_from_shapes(shapes), "shapes"
    except KeyError as error:
        raise CheckpointError(
            f"{weights.path.name}: {error.args[0]} is missing, so the shape of the model cannot be "
            "determined; the file is incomplete"
        ) from error
    except (ValueError, ZeroDivisionError, IndexError) as error:
        raise CheckpointError(
            f"{weights.path.name}: the weight shapes contradict each other ({error})"
        ) from error


def wrong_model(info: CheckpointInfo) -> str:
    """Why a file is not a usable PixWizard, and what to do: text of an error."""
    if info.kind.startswith(PART):
        return (
            f"{info.path.name} is {info.kind}; where a model was saved in several files, join them "
            f"into one first. {ORIGIN}"
        )
    if info.kind.startswith(FOREIGN):
        return (
            f"{info.path.name} holds {info.kind}, which is unknown; save it again without that "
            "prefix in its names"
        )
    if info.kind == "unknown":
        return (
            f"{info.path.name} holds {info.n_tensors} tensors of an unknown model, not PixWizard. "
            f"{ORIGIN}"
        )
    reason = (
        " (it has no image attention: wk_ii and input_image_proj are absent)"
        if info.kind.startswith("Lumina")
        else ""
    )
    return f"{info.path.name} is {info.kind}, not PixWizard{reason}. {ORIGIN}"
