"""What encoders gave, on disk: one file for each result, named by what it was made from.

A file is whole or absent, so runs may share a folder, at the same time too. A name says everything
that the content depends on: the bytes of the picture or the sentence, how it was fitted, and the
weights of the encoder.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import CheckpointError
from ...weights.weightfile import open_weights, write_safetensors

SUFFIX = ".safetensors"
IN_MEMORY = 2 * 2**30  # bytes of results kept in memory
FORMAT = 1  # raise it when the content of files changes


class Store:
    """Results by key, in a folder; the ones used last also in memory."""

    def __init__(self, folder: str | Path, in_memory: int = IN_MEMORY) -> None:
        self.folder, self.room = Path(folder), in_memory
        self.known: OrderedDict[str, dict[str, Tensor]] = OrderedDict()
        self.used = 0

    def has(self, key: str) -> bool:
        """Whether there is a whole file for a key. A damaged one is removed."""
        if key in self.known:
            return True
        path = self._path(key)
        if not path.is_file():
            return False
        with suppress(CheckpointError):
            open_weights(path)
            return True
        path.unlink(missing_ok=True)
        return False

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a result. Raises CheckpointError when it cannot be written."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_safetensors(
            path,
            {name: tuple(tensor.shape) for name, tensor in values.items()},
            {name: tensor.dtype for name, tensor in values.items()},
            lambda name: values[name],
            {},
        )
        self._remember(key, values)

    def get(self, key: str) -> dict[str, Tensor]:
        """The tensors of a result, on the CPU. Raises CheckpointError when they are not there any
        more."""
        if key in self.known:
            self.known.move_to_end(key)
            return self.known[key]
        file = open_weights(self._path(key))
        values = {name: file.fetch(name).clone() for name in file.shapes}
        self._remember(key, values)
        return values

    def _remember(self, key: str, values: dict[str, Tensor]) -> None:
        self.known[key] = values
        self.used += _bytes(values)
        while self.used > self.room and len(self.known) > 1:
            self.used -= _bytes(self.known.popitem(last=False)[1])

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{SUFFIX}"


def key_of(kind: str, **facts: Any) -> str:
    """The name of a result: a digest of its kind and of all that it depends on."""
    said = json.dumps([FORMAT, kind, facts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def weights_digest(modules: Iterable[nn.Module]) -> str:
    """A digest of every number in some networks, by name, shape and type."""
    found = hashlib.sha256()
    for number, module in enumerate(modules):
        for name, tensor in sorted(module.state_dict().items()):
            found.update(f"{number}/{name}/{tuple(tensor.shape)}/{tensor.dtype}".encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            found.update(flat.view(torch.uint8).numpy().data)
    return found.hexdigest()


def _bytes(values: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in values.values())
