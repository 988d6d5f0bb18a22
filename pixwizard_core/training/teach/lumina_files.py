"""Find Lumina-Next's weights under the names of its authors or of diffusers.

lumina_diffusers.csv says how each name of diffusers' LuminaNextDiT2DModel is called by the authors.
It stores the query weights of a block twice, for pictures and for words. Both are the same; a file
where they differ was trained with diffusers and fits no model of the authors' shape.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ...encoders.shards import SHARD, weight_files
from ...errors import CheckpointError, EncoderError
from ...weights.locate import locate
from ...weights.recognise import HOLDERS
from ...weights.weightfile import WeightFile, open_weights

DIFFUSERS = Path(__file__).with_name("lumina_diffusers.csv")
COPY = "copy"  # the same weight again
FOLDER, FILES = "transformer", "diffusion_pytorch_model*"  # in a folder that diffusers saved
THEIR_MARK = "patch_embedder.proj.weight"


@dataclass(frozen=True, slots=True)
class NamedWeights:
    """Weights by the authors' names. path: of the first file. fetch: reads one; raises
    CheckpointError for one whose copies differ."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    fetch: Callable[[str], Tensor]


def open_named(path: str | Path) -> NamedWeights:
    """Open weights in a file, in several, or in a folder, and give them the authors' names. Raises
    CheckpointError when there are none, or a shard is missing."""
    files = _files(Path(path))
    places = {name: file for file in files for name in file.shapes}
    stored = {_bare(name): name for name in places}
    copies: dict[str, list[str]] = {}
    if THEIR_MARK in stored:
        stored, copies = _of_diffusers(stored)

    def fetch(name: str) -> Tensor:
        value = places[stored[name]].fetch(stored[name])
        for other in copies.get(name, ()):
            if not torch.equal(places[other].fetch(other), value):
                raise CheckpointError(
                    f"{files[0].path.name}: {stored[name]} and {other} differ, so it was trained "
                    "with diffusers, whose layers compute queries twice; weights in which they are "
                    "the same are needed"
                )
        return value

    shapes = {name: places[there].shapes[there] for name, there in stored.items()}
    return NamedWeights(files[0].path, shapes, fetch)


def _files(path: Path) -> list[WeightFile]:
    if (path / FOLDER).is_dir():
        path = path / FOLDER
    saved = path.is_dir() and any(path.glob(FILES))
    if not saved and not (path.is_file() and SHARD.search(path.name)):
        return [open_weights(locate(path)[0])]
    try:
        return weight_files(path)
    except EncoderError as error:
        raise CheckpointError(str(error)) from error


def _of_diffusers(stored: Mapping[str, str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The authors' name -> the stored name; and -> the stored names of copies."""
    first: dict[str, str] = {}
    copies: dict[str, list[str]] = {}
    for name, there in stored.items():
        ours, use = _called(name)
        if use == COPY:
            copies.setdefault(ours, []).append(there)
        else:
            first[ours] = there
    return first, copies


def _called(name: str) -> tuple[str, str]:
    """The authors' name of a weight, itself where the table has none, and its use."""
    for pattern, ours, use in _rows():
        if match := pattern.fullmatch(name):
            return match.expand(ours), use
    return name, ""


@cache
def _rows() -> list[tuple[re.Pattern[str], str, str]]:
    with DIFFUSERS.open(encoding="utf-8", newline="") as file:
        return [
            (re.compile(row["theirs"]), row["ours"], row["use"]) for row in csv.DictReader(file)
        ]


def _bare(name: str) -> str:
    """A name without what savers put before it."""
    for holder in HOLDERS:
        name = name.removeprefix(holder)
    return name
