"""Begin with the weights of Lumina-Next, from which the released model was trained.

lumina_next.csv says for every weight of ours where it comes from: the same weight there, the first
columns, zero, one, or drawn. What is new has no effect at first: it adds nothing to the condition,
and the picture is behind a gate that is closed. Lumina-Next's own caption embedder has no place
here and is left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...config import ModelConfig
from ...errors import CheckpointError
from ...weights.checkpoint import expected_shapes
from ...weights.finite import require_finite
from ...weights.recognise import recognise
from ...weights.strict import check_shapes
from .lumina_files import open_named

TABLE = Path(__file__).with_name("lumina_next.csv")
NAME = "Lumina-Next"
SAME, FIRST, ZERO, ONE, DRAWN = "same", "first columns", "zero", "one", "drawn"
LEFT_OUT = "cap_embedder."
PATCH = 2  # latent cells of a token's side
WK, WK_Y, GATE = (f"layers.0.attention.{name}" for name in ("wk.weight", "wk_y.weight", "gate"))


@dataclass(frozen=True, slots=True)
class LuminaFile:
    """The weights of Lumina-Next by their own names, on demand, and the PixWizard that they
    begin."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    fetch: Callable[[str], Tensor]
    config: ModelConfig


def open_lumina(path: str | Path) -> LuminaFile:
    """Open Lumina-Next's weights: its folder, or the file in it, as its authors or diffusers saved
    them. Raises CheckpointError for another model, and naming every weight that is missing or of
    another shape."""
    weights = open_named(path)
    file, shapes = weights.path, weights.shapes
    model = recognise(shapes)
    if model != NAME:
        what = model or "a model that is not known"
        raise CheckpointError(f"{file.name} is {what}, and {NAME} is needed")
    config = _config(shapes, file.name)
    wanted = {
        name: _columns(shape) if start == FIRST else shape
        for name, (start, shape) in starts(config).items()
        if start in (SAME, FIRST)
    }
    known = {name: shape for name, shape in shapes.items() if not name.startswith(LEFT_OUT)}
    check_shapes(file.name, known, wanted)

    def fetch(name: str) -> Tensor:
        return require_finite(weights.fetch(name), name, file.name)

    return LuminaFile(file, shapes, fetch, config)


def first_weights(file: LuminaFile, seed: int = 0) -> dict[str, Tensor]:
    """Every weight of the PixWizard that begins with Lumina-Next, float32. seed: of what is
    drawn."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _first(name, start, shape, file, generator)
        for name, (start, shape) in starts(file.config).items()
    }


def starts(config: ModelConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Where each weight of a model comes from, and its shape. Raises ValueError for a weight that
    the table does not name."""
    with TABLE.open(encoding="utf-8", newline="") as table:
        rows = [(row["name"], row["start"]) for row in csv.DictReader(table)]
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, shape in expected_shapes(config).items():
        fitting = [start for pattern, start in rows if re.fullmatch(pattern, name)]
        if len(fitting) != 1:
            raise ValueError(f"{TABLE.name} names {name} {len(fitting)} times")
        found[name] = (fitting[0], shape)
    return found


def _first(
    name: str, start: str, shape: tuple[int, ...], file: LuminaFile, generator: torch.Generator
) -> Tensor:
    if start == SAME:
        return file.fetch(name).float()
    if start == DRAWN:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float32)
        return drawn * shape[1] ** -0.5
    whole = torch.full(shape, 1.0 if start == ONE else 0.0, dtype=torch.float32)
    if start == FIRST:
        given = file.fetch(name).float()
        whole[:, : given.shape[1]] = given
    return whole


def _columns(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[1] // 2)


def _config(shapes: Mapping[str, tuple[int, ...]], name: str) -> ModelConfig:
    """The configuration that the shapes say. Raises CheckpointError when they do not fit
    together."""
    try:
        dim, inputs = shapes["x_embedder.weight"]
        heads = shapes[GATE][0]
        layers = {int(match[1]) for one in shapes if (match := re.match(r"layers\.(\d+)\.", one))}
        return ModelConfig(
            dim=dim,
            n_layers=len(layers),
            n_heads=heads,
            n_kv_heads=shapes[WK][0] * heads // dim,
            ffn_dim=shapes["layers.0.feed_forward.w1.weight"][0],
            in_channels=inputs // PATCH**2,
            patch_size=PATCH,
            cap_feat_dim=shapes[WK_Y][1],
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{name}: the weights of {NAME} do not fit together: {error}"
        ) from None
