"""PixWizard checkpoints: open, recognise, verify, load, save.

Accepted: a folder or .pth as released, safetensors with the configuration in the header, files that
ComfyUI saved (their prefix is stripped), any of them in float32, bfloat16, float16, fp8, or
quantised as fp8_scaled or int8.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from ..errors import CheckpointError, PixWizardWarning
from ..model import Ops, PixWizard
from .dtypes import FP8_DTYPES
from .examine import (
    CONFIG_KEY,
    CheckpointInfo,
    examine,
    wrong_model,
)
from .finite import require_finite, require_range
from .locate import locate
from .quantised import PLAIN, WHY_UNPACKED, QuantisedWeight, unpacked_line
from .quantised_files import HEADER, quantised_weights
from .recognise import PIXWIZARD
from .strict import check_shapes
from .weightfile import open_weights, write_safetensors


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An opened PixWizard checkpoint: unprefixed names, their shapes, and tensors on demand.

    packed: the quantised weights by name; fetch unpacks them, and dtypes say what to. metadata: the
    header, without what it says of the quantisation.
    """

    info: CheckpointInfo
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fetch: Callable[[str], Tensor]
    metadata: dict[str, str]
    packed: Mapping[str, QuantisedWeight] = field(default_factory=dict[str, QuantisedWeight])

    @property
    def config(self) -> ModelConfig:
        if self.info.config is None:
            raise ValueError(f"{self.info.path} was opened without a configuration")
        return self.info.config


def open_checkpoint(path: str | Path, config: ModelConfig | None = None) -> Checkpoint:
    """Open a PixWizard checkpoint and check every name and shape; no weight is read yet.

    config: overrides the file's own, for files that do not record sample_tokens. Raises
    CheckpointError naming the model if it is another one, or listing all wrong weights at once.
    """
    file, layout, notes = locate(Path(path))
    weights = open_weights(file)
    info, names = examine(weights, layout, notes)
    if info.kind != PIXWIZARD or info.config is None:
        raise CheckpointError(wrong_model(info))
    if config is None:
        config = info.config
    else:
        info = replace(info, config=config, config_source="caller")
    shapes = {name: weights.shapes[stored] for name, stored in names.items()}
    check_shapes(file.name, shapes, expected_shapes(config))
    own = {stored: name for name, stored in names.items()}
    packed = {own[stored]: kept for stored, kept in quantised_weights(weights, own).items()}
    whole = [
        name
        for name, stored in names.items()
        if name not in packed and not weights.dtypes[stored].is_floating_point
    ]
    if whole:
        raise CheckpointError(
            f"{file.name}: {len(whole)} weights are stored as whole numbers, first {whole[0]} as "
            f"{weights.dtypes[names[whole[0]]]}, and the file does not say how they are quantised"
        )
    dtypes = {
        name: PLAIN if name in packed else weights.dtypes[stored] for name, stored in names.items()
    }

    def fetch(name: str) -> Tensor:
        if name in packed:
            return packed[name].plain()
        return require_finite(weights.fetch(names[name]), name, file.name)

    metadata = {key: text for key, text in weights.metadata.items() if key != HEADER}
    return Checkpoint(info, shapes, dtypes, fetch, metadata, packed)


def load_state_dict(
    path: str | Path, dtype: torch.dtype | None = None, *, config: ModelConfig | None = None
) -> tuple[dict[str, Tensor], ModelConfig]:
    """Weights by their released names, and the configuration they fit.

    dtype None keeps what the file stores (quantised weights become bfloat16). Tensors of an
    unconverted pickle are mapped from disk, not copied. Raises CheckpointError as open_checkpoint
    does.
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
    """The same as load_model(), from a checkpoint that is already open. Warns of quantised weights,
    which plain layers need unpacked."""
    if opened.packed:
        line = unpacked_line(opened.info.path.name, opened.packed, WHY_UNPACKED)
        warnings.warn(line, PixWizardWarning, stacklevel=2)
    model = PixWizard(opened.config, ops=ops, device="meta")
    state: dict[str, Tensor] = {}
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
    """Metadata of a safetensors file, with the configuration in it."""
    return {**(metadata or {}), CONFIG_KEY: json.dumps(config.to_dict(), sort_keys=True)}


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every weight name of the model and its shape, without allocating any."""
    model = PixWizard(config, device="meta")
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
