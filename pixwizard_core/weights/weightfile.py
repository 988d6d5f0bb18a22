"""Weight files in every accepted container, read lazily and written completely or not at all."""

from __future__ import annotations

import argparse
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from ..whole_file import whole_file
from .dtypes import DTYPE_NAMES, DTYPES
from .pickle_scan import damaged, scan

WEIGHT_ENDINGS = (".safetensors", ".sft", ".pth", ".pt", ".bin", ".ckpt")
MAPPED_BYTES = 2**27  # of a file, read before its mapping is renewed
MOST_TENSORS = 30_000  # in a file
# Training scripts wrap the weights in a dict; the first of these keys that holds tensors is used.
WRAPPERS = ("ema", "state_dict", "model", "module")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Names, shapes and dtypes of one file, and a way to fetch a tensor on demand.

    container: "safetensors" or "pickle". metadata: the string header of a safetensors file.
    fetch: name -> tensor on the CPU; may share memory with the mapped file.
    """

    path: Path
    container: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fetch: Callable[[str], Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def open_weights(path: Path) -> WeightFile:
    """Open one weight file by its content, whatever its name.

    Raises CheckpointError for a file that is neither safetensors nor a plain PyTorch pickle, is
    damaged, or asks for anything but tensors to be unpickled.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "missing, or not an ordinary file"
        raise CheckpointError(f"{path.name} is {what}; a weight file is needed")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    # The length that safetensors begins with may look like the start of a pickle or an archive.
    pickled = start[:2] == b"PK" or start[:1] == b"\x80"
    if start[8:9] == b"{":
        fits = 8 + int.from_bytes(start[:8], "little") <= path.stat().st_size
        if fits or not pickled:
            return _open_safetensors(path)
    if pickled:
        return _open_pickle(path)
    met = "GGUF" if start[:4] == b"GGUF" else repr(start[:8])
    raise CheckpointError(
        f"{path.name} is not a weight file (it begins with {met}); "
        "a .safetensors or PyTorch .pth file is needed"
    )


def bulk(files: Iterable[WeightFile]) -> tuple[str, int]:
    """The dtype of most numbers in these files, as torch spells it, and the size of all of them in
    bytes."""
    counts: dict[torch.dtype, int] = {}
    n_bytes = 0
    for file in files:
        for name, shape in file.shapes.items():
            dtype, numbers = file.dtypes[name], prod(shape)
            counts[dtype] = counts.get(dtype, 0) + numbers
            n_bytes += numbers * dtype.itemsize
    most = max(counts, key=counts.__getitem__, default=None)
    return "none" if most is None else str(most).removeprefix("torch."), n_bytes


def size_in_words(n_bytes: int) -> str:
    """A number of bytes in words, for a person."""
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def _mapped(path: Path) -> Any:
    """safetensors' handle of a mapped file, which has no types of its own."""
    return cast(Any, safe_open)(path, framework="pt")


def _open_safetensors(path: Path) -> WeightFile:
    try:
        with _mapped(path) as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
            if len(file.keys()) > MOST_TENSORS:
                raise CheckpointError(
                    f"{path.name} is refused: it holds {len(file.keys())} tensors; no model that "
                    f"is read here has more than {MOST_TENSORS}"
                )
            slices: dict[str, Any] = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes: dict[str, tuple[int, ...]] = {
                name: tuple(part.get_shape()) for name, part in slices.items()
            }
            stored: dict[str, str] = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{path.name} is damaged or cut short ({error}); copy or download it again"
        ) from error
    unknown = sorted(set(stored.values()) - set(DTYPES))
    if unknown:
        raise CheckpointError(f"{path.name} stores numbers as {unknown}, which cannot be read here")
    handle: Any = None
    read = 0

    def fetch(name: str) -> Tensor:
        # What was read of a mapped file stays in memory until the mapping ends: with the handle and
        # the tensors that were fetched by it.
        nonlocal handle, read
        try:
            if handle is None or read > MAPPED_BYTES:
                handle, read = _mapped(path), 0
            tensor: Tensor = handle.get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path.name} changed while it was read ({error})") from error
        if tuple(tensor.shape) != shapes[name]:
            raise CheckpointError(f"{path.name} changed while it was read; load it again")
        read += tensor.nbytes
        return tensor

    dtypes = {name: DTYPES[code] for name, code in stored.items()}
    return WeightFile(path, "safetensors", shapes, dtypes, fetch, metadata)


def _open_pickle(path: Path) -> WeightFile:
    content = unpickle(path)
    tensors = _tensors_of(content)
    if not tensors:
        raise CheckpointError(
            f"{path.name} holds a {type(content).__name__} without tensors, not model weights"
        )
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            raise CheckpointError(
                f"{path.name} is refused: {name} claims the shape {tuple(tensor.shape)}, for which "
                "the file holds too few numbers"
            )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    mapped, read = zipfile.is_zipfile(path), 0

    def fetch(name: str) -> Tensor:
        # What was read of a mapped file stays in memory until the mapping ends, so map it again.
        nonlocal tensors, read
        if mapped and read > MAPPED_BYTES:
            tensors, read = {}, 0
            tensors = _tensors_of(unpickle(path))
        tensor = tensors.get(name)
        if tensor is None or tuple(tensor.shape) != shapes[name] or tensor.dtype != dtypes[name]:
            raise CheckpointError(f"{path.name} changed while it was read; load it again")
        read += tensor.nbytes
        return tensor.detach()

    return WeightFile(path, "pickle", shapes, dtypes, fetch)


def unpickle(path: Path, allow: Iterable[type] = ()) -> object:
    """Load a PyTorch pickle as plain data. Only tensors, containers and the allowed classes pass.

    Raises CheckpointError, having run nothing, when the file names any other class or function.
    """
    allow = list(allow)
    scan(path, (f"{kind.__module__} {kind.__qualname__}" for kind in allow))
    try:
        with _allowed(allow):
            # Only the zip layout can be mapped; the older one is read into memory.
            return torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None
            )
    except pickle.UnpicklingError as error:
        reason = next(
            (line.strip() for line in str(error).splitlines() if "GLOBAL" in line), "unsafe content"
        )
        raise CheckpointError(
            f"{path.name} is refused: besides tensors it wants to load other code "
            f"({reason[:160]}). Nothing was run. Use a file from a source you trust, "
            "converted to .safetensors"
        ) from error
    except Exception as error:  # a broken pickle can fail in any way; none of them runs its code
        raise damaged(path, error) from error


@contextmanager
def _allowed(kinds: Sequence[type]) -> Generator[None]:
    """Let these classes pass PyTorch's restricted unpickler inside the block. PyTorch has a
    context manager for this since 2.5."""
    if not kinds:
        yield
        return
    serialization = cast(Any, torch.serialization)
    before = serialization.get_safe_globals()
    serialization.add_safe_globals([*kinds])
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def read_namespace(path: Path) -> dict[str, object]:
    """Fields of a released model_args.pth, a pickled argparse.Namespace and nothing else."""
    content = unpickle(path, allow=[argparse.Namespace])
    if not isinstance(content, argparse.Namespace):
        raise CheckpointError(
            f"{path.name} holds a {type(content).__name__}; an argparse.Namespace is needed"
        )
    return dict(vars(content))


def _tensors_of(content: object) -> dict[str, Tensor]:
    entries = _entries(content)
    for key in WRAPPERS:
        inner = _entries(entries.get(key))
        if any(isinstance(value, Tensor) for value in inner.values()):
            entries = inner
            break
    return {
        name: value
        for name, value in entries.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _entries(content: object) -> dict[object, object]:
    return cast("dict[object, object]", content) if isinstance(content, dict) else {}


def write_safetensors(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    dtypes: dict[str, torch.dtype],
    fetch: Callable[[str], Tensor],
    metadata: dict[str, str],
    on_tensor: Callable[[int, int, str], None] | None = None,
) -> None:
    """Write a safetensors file one tensor at a time; path appears only when it is complete.

    fetch(name) gives the tensor of the announced shape and dtype. on_tensor(done, total, name)
    is called after each. A file that was at path is replaced; on any error it stays as it was.
    """
    # Widest dtypes first keeps every tensor aligned to its own size, as mapping readers expect.
    order = sorted(shapes, key=lambda name: (-dtypes[name].itemsize, name))
    header: dict[str, object] = {"__metadata__": {"format": "pt", **metadata}}
    position = 0
    for name in order:
        size = dtypes[name].itemsize
        for side in shapes[name]:
            size *= side
        header[name] = {
            "dtype": DTYPE_NAMES[dtypes[name]],
            "shape": list(shapes[name]),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path, CheckpointError) as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for done, name in enumerate(order, 1):
            tensor = fetch(name).to(device="cpu", dtype=dtypes[name]).contiguous()
            if tuple(tensor.shape) != tuple(shapes[name]):
                raise ValueError(f"{name} is {tuple(tensor.shape)}, announced {shapes[name]}")
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
            if on_tensor:
                on_tensor(done, len(order), name)
