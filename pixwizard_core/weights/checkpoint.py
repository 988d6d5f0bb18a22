"""PixWizard checkpoints: open, recognise, verify, load, save.

Accepted: a folder or .pth as released, safetensors with the configuration in the header, files that
ComfyUI saved (their prefix is stripped), any of them in float32, bfloat16, float16 or fp8.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import PRESETS, ModelConfig
from ..errors import CheckpointError
from ..json_text import read_json
from ..model import Ops, PixWizard
from .finite import require_finite, require_range
from .locate import locate
from .published import ORIGIN
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
from .strict import check_shapes
from .weightfile import FP8_DTYPES, WeightFile, open_weights, write_safetensors

CONFIG_KEY = "pixwizard.config"
PART, FOREIGN = "a part of PixWizard", "PixWizard under the prefix"
# Per-tensor scales of fp8 files, by the names their writers use; other helpers carry no weights.
SCALE_SUFFIXES = {".scale_weight": ".weight", ".weight_scale": ".weight"}
HELPER_SUFFIXES = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a file is, read from its names and shapes alone.

    kind: "PixWizard", another model's name, or "unknown". config: None unless kind is PixWizard.
    layout: "released folder", "pickle", "safetensors" or "saved by ComfyUI".
    config_source: "header" or "shapes". dtypes: numbers stored per type. notes: one line each.
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

    @property
    def dtype(self) -> str:
        """Type that holds most of the numbers, as torch spells it."""
        return max(self.dtypes, key=self.dtypes.__getitem__) if self.dtypes else "none"

    @property
    def preset(self) -> str | None:
        """Name of the released model with this configuration, None for any other."""
        return next((name for name, config in PRESETS.items() if config == self.config), None)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An opened PixWizard checkpoint: unprefixed names, their shapes, and tensors on demand."""

    info: CheckpointInfo
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fetch: Callable[[str], Tensor]
    metadata: dict[str, str]

    @property
    def config(self) -> ModelConfig:
        if self.info.config is None:
            raise ValueError(f"{self.info.path} was opened without a configuration")
        return self.info.config


def inspect(path: str | Path) -> CheckpointInfo:
    """What a file or folder is, whatever model it holds. Raises CheckpointError if unreadable."""
    file, layout, notes = locate(Path(path))
    return _examine(open_weights(file), layout, notes)[0]


def open_checkpoint(path: str | Path, config: ModelConfig | None = None) -> Checkpoint:
    """Open a PixWizard checkpoint and check every name and shape; no weight is read yet.

    config overrides what the file says, for files that do not record sample_tokens.
    Raises CheckpointError naming the model when it is another one, or all wrong weights at once.
    """
    file, layout, notes = locate(Path(path))
    weights = open_weights(file)
    info, names = _examine(weights, layout, notes)
    if info.kind != PIXWIZARD or info.config is None:
        raise CheckpointError(_wrong_model(info))
    if config is None:
        config = info.config
    else:
        info = replace(info, config=config, config_source="caller")
    shapes = {name: weights.shapes[stored] for name, stored in names.items()}
    check_shapes(file.name, shapes, expected_shapes(config))
    whole = [name for name, stored in names.items() if not weights.dtypes[stored].is_floating_point]
    if whole:
        raise CheckpointError(
            f"{file.name}: {len(whole)} weights are stored as whole numbers, first {whole[0]} as "
            f"{weights.dtypes[names[whole[0]]]}; quantised files of that kind are not supported"
        )
    scales = _scales(weights)
    for stored, scale in scales.items():
        _check_scale(file.name, scale, weights.shapes[scale], weights.shapes[stored])
    dtypes = {
        name: torch.bfloat16 if stored in scales else weights.dtypes[stored]
        for name, stored in names.items()
    }

    def fetch(name: str) -> Tensor:
        stored = names[name]
        tensor = weights.fetch(stored)
        if stored in scales:
            tensor = (tensor.float() * weights.fetch(scales[stored]).float()).to(torch.bfloat16)
        return require_finite(tensor, name, file.name)

    return Checkpoint(info, shapes, dtypes, fetch, weights.metadata)


def load_state_dict(
    path: str | Path, dtype: torch.dtype | None = None, *, config: ModelConfig | None = None
) -> tuple[dict[str, Tensor], ModelConfig]:
    """Weights by their released names, and the configuration they fit.

    dtype None keeps what the file stores (scaled fp8 becomes bfloat16). Tensors of an unconverted
    pickle are mapped from disk, not copied. Raises CheckpointError as open_checkpoint does.
    """
    opened = open_checkpoint(path, config)
    state = {name: opened.fetch(name) for name in opened.shapes}
    if dtype is not None:
        state = {name: require_range(t, name, dtype).to(dtype) for name, t in state.items()}
    return state, opened.config


def load_model(
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    ops: Ops = nn,
    config: ModelConfig | None = None,
) -> PixWizard:
    """The model in eval mode with the file's weights on device.

    dtype None keeps the stored type, but fp8 becomes bfloat16 because plain layers cannot compute
    in it. Raises CheckpointError as open_checkpoint does.
    """
    return build_model(open_checkpoint(path, config), dtype=dtype, device=device, ops=ops)


def build_model(
    opened: Checkpoint,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    ops: Ops = nn,
) -> PixWizard:
    """What load_model() gives, of a checkpoint that is open already."""
    model = PixWizard(opened.config, ops=ops, device="meta")
    state = {}
    for name in opened.shapes:
        tensor = opened.fetch(name)
        target = dtype or (torch.bfloat16 if tensor.dtype in FP8_DTYPES else tensor.dtype)
        state[name] = require_range(tensor, name, target).to(device=device, dtype=target)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def save(
    path: str | Path,
    state_dict: Mapping[str, Tensor],
    config: ModelConfig,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write weights and configuration as one safetensors file, complete or not at all.

    Raises CheckpointError when the weights do not fit the configuration or the disk refuses.
    """
    path = Path(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    check_shapes(path.name, shapes, expected_shapes(config))
    dtypes = {name: tensor.dtype for name, tensor in state_dict.items()}
    write_safetensors(
        path, shapes, dtypes, lambda name: state_dict[name].detach(), header(config, metadata)
    )


def header(config: ModelConfig, metadata: Mapping[str, str] | None = None) -> dict[str, str]:
    """Metadata of a safetensors file that knows its own shape."""
    return {**(metadata or {}), CONFIG_KEY: json.dumps(config.to_dict(), sort_keys=True)}


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every weight name of the model and its shape, without allocating any."""
    model = PixWizard(config, device="meta")
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _examine(
    weights: WeightFile, layout: str, notes: list[str]
) -> tuple[CheckpointInfo, dict[str, str]]:
    """Description of an open file, and unprefixed name -> stored name of the model's weights."""
    stored = [name for name in weights.shapes if not _is_helper(name)]
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
        config, source = _configuration(weights, names)
        if source == "shapes":
            notes = [*notes, "no configuration in the file; it was derived from the weight shapes"]
    if layout == "file":
        layout = "saved by ComfyUI" if prefix and "diffusion_model" in prefix else weights.container
    if _scales(weights):
        notes = [*notes, "scaled fp8; the scales are applied on loading"]
    counts: Counter[str] = Counter()
    n_bytes = 0
    for name in names.values():
        numbers = _size(weights.shapes[name])
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
    )
    return info, names


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
    """The model that names belong to; of a PixWizard that cannot be taken as it is, why."""
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
        values = read_json(weights.metadata[CONFIG_KEY], what, CheckpointError)
        if not isinstance(values, dict):
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


def _is_helper(name: str) -> bool:
    return name.endswith((*SCALE_SUFFIXES, *HELPER_SUFFIXES))


def _scales(weights: WeightFile) -> dict[str, str]:
    """Stored weight name -> name of its fp8 scale."""
    pairs = {}
    for name in weights.shapes:
        for suffix, target in SCALE_SUFFIXES.items():
            owner = name.removesuffix(suffix) + target
            if name.endswith(suffix) and weights.dtypes.get(owner) in FP8_DTYPES:
                pairs[owner] = name
    return pairs


def _check_scale(source: str, name: str, scale: tuple[int, ...], weight: tuple[int, ...]) -> None:
    """Raise CheckpointError unless multiplying by the scale leaves the weight's shape."""
    padded = (1,) * (len(weight) - len(scale)) + tuple(scale)
    pairs = zip(padded, weight, strict=False)
    if len(padded) != len(weight) or any(side not in (1, whole) for side, whole in pairs):
        raise CheckpointError(
            f"{source}: the fp8 scale {name} of shape {tuple(scale)} does not fit its weight, "
            f"{tuple(weight)}"
        )


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _wrong_model(info: CheckpointInfo) -> str:
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
