"""The weight files of a model: one file, the shards beside it, or a Hugging Face folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import CheckpointError, EncoderError
from ..weights.finite import require_finite
from ..weights.quantised import PLAIN, QuantisedWeight
from ..weights.quantised_files import quantised_weights
from ..weights.weightfile import WeightFile, open_weights
from .architectures import Weights

SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.")  # in the name of a file
MOST_SHARDS = 1000


def weight_files(path: str | Path) -> list[WeightFile]:
    """The weight files of a model: the file itself, with the other parts if it is a shard, or the
    shards in a folder. Prefers safetensors. Raises EncoderError when there are none."""
    path = Path(path)
    if path.is_dir():
        paths = folder_files(path)
    elif path.is_file():
        paths = shards_of(path)
    else:
        raise EncoderError(f"there is no file or folder {path}")
    try:
        return [open_weights(part) for part in paths]
    except CheckpointError as problem:
        raise EncoderError(str(problem)) from problem


def folder_files(folder: Path) -> list[Path]:
    """The files to read in a Hugging Face folder: the shards in its index, or its weight files."""
    for kind, names in (("safetensors", "model*.safetensors"), ("bin", "pytorch_model*.bin")):
        for index in sorted(folder.glob(f"*.{kind}.index.json")):
            shards = shard_names(index)
            absent = [name for name in shards if not (folder / name).is_file()]
            if absent:
                raise EncoderError(
                    f"{folder}: {len(absent)} of {len(shards)} shards are missing, first "
                    f"{absent[0]}; copy all files of the model"
                )
            return [folder / name for name in shards]
        if found := sorted(folder.glob(names)) or sorted(folder.glob(f"*.{kind}")):
            return found
    raise EncoderError(f"{folder} holds no .safetensors or .bin weights")


def shards_of(file: Path) -> list[Path]:
    """A shard and its model's other shards beside it, or the file alone. Raises EncoderError when
    some are missing."""
    shard = SHARD.search(file.name)
    count = int(shard[2]) if shard else 1
    if shard is None or count == 1:
        return [file]
    if count > MOST_SHARDS:
        raise EncoderError(f"{file.name} says that it is one of {count} files; no model here is")
    start, end = file.name[: shard.start()], file.name[shard.end() :]
    parts = [file.with_name(f"{start}-{i:05d}-of-{count:05d}.{end}") for i in range(1, count + 1)]
    absent = [part.name for part in parts if not part.is_file()]
    if absent:
        raise EncoderError(
            f"{file.name} is one of {count} shards, and {len(absent)} are not beside it, first "
            f"{absent[0]}; copy all files of the model into one folder and choose the folder"
        )
    return parts


def shard_names(index: Path) -> list[str]:
    """Names of the files that an index lists, all in its own folder. Raises EncoderError for an
    index that is damaged or names other places."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        plain = all(name and Path(name).name == name and "\\" not in name for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise EncoderError(f"{index.name} is not an index of weight files ({problem!r})") from None
    if not plain or not names:
        raise EncoderError(
            f"{index.name} names weight files outside its folder, or none; copy all files of the "
            "model again"
        )
    return sorted(names)


def weights_at(source: str, owner: Mapping[str, tuple[WeightFile, str]]) -> Weights:
    """The weights that lie in files. owner: name -> file and name in it. Raises EncoderError for a
    quantised weight whose format is not read."""
    packed: dict[str, QuantisedWeight] = {}
    try:
        for file in {file.path: file for file, _ in owner.values()}.values():
            own = {inner: name for name, (other, inner) in owner.items() if other is file}
            found = quantised_weights(file, own)
            packed |= {own[inner]: weight for inner, weight in found.items()}
    except CheckpointError as problem:
        raise EncoderError(str(problem)) from problem

    def fetch(name: str) -> Tensor:
        if name in packed:
            return packed[name].plain()
        file, inner = owner[name]
        return require_finite(file.fetch(inner), inner, file.path.name)

    shapes = {name: file.shapes[inner] for name, (file, inner) in owner.items()}
    dtypes = {name: file.dtypes[inner] for name, (file, inner) in owner.items()}
    return Weights(source, shapes, dtypes | dict.fromkeys(packed, PLAIN), fetch, packed)
