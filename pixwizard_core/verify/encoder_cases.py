"""Cases of the encoders: Gemma, CLIP text and CLIP vision against the transformers library."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from ..encoders.architectures import Weights, filled, own_name
from ..errors import CheckpointError
from ..weights.weightfile import open_weights
from .checks import Check, allowed, close
from .vectors import Case, VectorFile, Vectors

INPUTS = {
    "gemma": ("ids", "mask"),
    "clip_text": ("ids",),
    "clip_vision": ("pixel_values",),
}


def encoder_case(vectors: Vectors, file: VectorFile, case: Case) -> list[Check]:
    """One recorded input through the encoder it names; padded places are left out."""
    kind = case["encoder"]
    if kind not in INPUTS:
        raise CheckpointError(f"encoder {kind!r} is not one of {', '.join(INPUTS)}")
    model = _model(
        vectors.folder / f"{case['weights']}.safetensors",
        kind,
        tuple(sorted(case["config"].items())),
        vectors.device,
        vectors.dtype,
    )
    given = [file.tensors[case["inputs"][name]] for name in INPUTS[kind] if name in case["inputs"]]
    found = model(*(vectors.place(tensor) for tensor in given)).cpu()
    wanted = file.tensors[case["output"]]
    if "mask" in case["inputs"]:
        found = found * file.tensors[case["inputs"]["mask"]][..., None].to(found.dtype)
    return [close("features", found, wanted, allowed("encoder", vectors.dtype))]


@lru_cache(maxsize=1)
def _model(
    path: Path,
    kind: str,
    settings: tuple[tuple[str, object], ...],
    device: torch.device,
    dtype: torch.dtype,
) -> nn.Module:
    """The encoder of a file; cases of one file follow each other."""
    file = open_weights(path)
    names = {own_name(kind, name): name for name in file.shapes}
    shapes = {own: file.shapes[name] for own, name in names.items()}
    dtypes = {own: file.dtypes[name] for own, name in names.items()}
    weights = Weights(path.name, shapes, dtypes, lambda own: file.fetch(names[own]))
    return filled(kind, dict(settings), weights, device=device, dtype=dtype)
