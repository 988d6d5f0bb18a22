"""Pickles that want to run something, and archives that want to fill the memory."""

from __future__ import annotations

import argparse
import builtins
import importlib
import io
import os
import pickle
import runpy
import shutil
import struct
import subprocess
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

CANARY = "ran.txt"  # a file of this name beside the attack means that it was executed
MiB = 1 << 20


class Call:
    """Pickles as a call of function(*arguments)."""

    def __init__(self, function: Callable, *arguments) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):
        raise AssertionError("only to be pickled as what a call of it gives")


class Marked:
    """Pickles as a persistent id."""

    def __init__(self, id: object) -> None:
        self.id = id


class Pickler(pickle._Pickler):
    """A pickler that writes Marked objects as persistent ids."""

    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Marked) else None


def payloads(canary: Path) -> dict[str, object]:
    """Objects that create the canary when a free unpickler reads them."""
    touch, code = f"touch '{canary}'", f"open({str(canary)!r}, 'w').close()"
    return {
        "os_system": Call(os.system, touch),
        "eval": Call(builtins.eval, code),
        "exec": Call(builtins.exec, code),
        "open": Call(builtins.open, str(canary), "w"),
        "popen": Call(subprocess.Popen, ["touch", str(canary)]),
        "check_output": Call(subprocess.check_output, ["touch", str(canary)]),
        "getattr": Call(Call(builtins.getattr, os, "system"), touch),
        "import": Call(importlib.import_module, "this"),
        "loads": Call(pickle.loads, pickle.dumps(Call(os.system, touch))),
        "run_path": Call(runpy.run_path, str(canary)),
        "rmtree": Call(shutil.rmtree, str(canary.parent)),
        "mkdir": Call(os.mkdir, str(canary)),
        "torch_load": Call(torch.load, str(canary)),
        "compile": Call(builtins.compile, code, "x", "exec"),
        "path_touch": Call(Path.touch, canary),
    }


def pickled(content: object, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    pickler = Pickler(buffer, protocol)
    pickler.dispatch_table = {types.ModuleType: lambda m: (importlib.import_module, (m.__name__,))}
    pickler.dump(content)
    return buffer.getvalue()


def as_zip(path: Path, data: bytes, *, method=zipfile.ZIP_STORED, **others: bytes) -> Path:
    """The layout of torch.save around a pickle of ours."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", b"little")
        file.writestr("archive/version", b"3\n")
        for name, content in others.items():
            file.writestr(f"archive/data/{name.removeprefix('_')}", content)
    return path


def as_legacy(path: Path, content: object) -> Path:
    """torch.save's layout before 1.6: five pickles in a row."""
    magic = 0x1950A86A20F9469CFC6C
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = (magic, 1001, system, content, [])
    path.write_bytes(b"".join(pickled(part) for part in parts))
    return path


def weights() -> dict[str, torch.Tensor]:
    return {"x_embedder.weight": torch.zeros(2, 2)}


def storage(key: str = "0", numel: int = 4, kind: object = torch.FloatStorage) -> Marked:
    return Marked(("storage", kind, key, "cpu", numel))


def rebuilt(*, size, stride, numel: int = 4, offset: int = 0, kind=torch.FloatStorage) -> Call:
    """A tensor over storage 0, with whatever shape it claims."""
    from torch._utils import _rebuild_tensor_v2

    return Call(_rebuild_tensor_v2, storage("0", numel, kind), offset, size, stride, False, {})


def executing(folder: Path) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """(name, maker) of files that want to execute something; folder is where the canary shows."""
    canary = folder / CANARY
    for name, evil in payloads(canary).items():
        wrapped = {
            "alone": evil,
            "beside_tensors": {**weights(), "extra": evil},
            "nested": {"ema": {"a": [({"b": (evil,)},)], **weights()}},
        }
        for place, content in wrapped.items():
            yield f"zip-{name}-{place}", lambda p, c=content: as_zip(p, pickled(c), _0=bytes(16))
        yield f"legacy-{name}", lambda p, c=wrapped["nested"]: as_legacy(p, c)
        yield f"plain-{name}", lambda p, c=evil: put(p, pickled(c, 4))
        arguments = argparse.Namespace(model="PixWizard_2B_patch2", image_size=evil)
        yield f"model_args-{name}", lambda p, c=arguments: released(p, pickled(c))
    evil = payloads(canary)["os_system"]
    for place in range(5):
        id = ["storage", torch.FloatStorage, "0", "cpu", 4]
        id[place] = evil
        content = {"x_embedder.weight": Marked(tuple(id))}
        yield f"persistent-id-{place}", lambda p, c=content: as_zip(p, pickled(c), _0=bytes(16))
    yield "persistent-id-alone", lambda p: as_zip(p, pickled(Marked(evil)))
    yield "persistent-id-legacy", lambda p: as_legacy(p, Marked(("module", os, evil, evil)))
    yield "opcode-inst", lambda p: put(p, b"\x80\x02(S'touch x'\nios\nsystem\n.")
    yield "opcode-obj", lambda p: put(p, b"\x80\x02(cos\nsystem\nS'touch x'\no.")
    yield "opcode-extension", lambda p: put(p, b"\x80\x02\x82\x01.")
    yield "opcode-stack-global", lambda p: put(p, b"\x80\x04\x8c\x02os\x8c\x06system\x93.")
    state = argparse.Namespace()
    state.__dict__ = {"__class__": evil, "__setstate__": evil, "model": evil}
    yield "model_args-state", lambda p: released(p, pickled(state))


def filling(folder: Path) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    """(name, maker) of files that are small but claim, or unpack to, very much."""
    zeros = bytes(4)
    deep = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    yield "deflated-pickle", lambda p: bomb(p, "data.pkl")
    yield "deflated-tensor", lambda p: bomb(p, "data/0")
    yield "deflated-stranger", lambda p: bomb(p, "notes.txt")
    yield "lists-200000-deep", lambda p: as_zip(p, deep)
    yield "lists-200000-deep-legacy", lambda p: put(p, deep)
    for name, size in (("2-to-20", 1 << 20), ("2-to-31", 1 << 31), ("2-to-62", 1 << 62)):
        tensor = {"x_embedder.weight": rebuilt(size=(size, size), stride=(0, 0))}
        yield f"stride-0-{name}", lambda p, c=tensor: as_zip(p, pickled(c), _0=zeros * 4)
        tensor = {"x_embedder.weight": rebuilt(size=(size,), stride=(1,), numel=size)}
        yield f"storage-{name}", lambda p, c=tensor: as_zip(p, pickled(c), _0=zeros * 4)
        yield f"storage-{name}-legacy", lambda p, c=tensor: as_legacy(p, c)
    for name, change in (
        ("negative-size", {"size": (-4,), "stride": (1,)}),
        ("negative-stride", {"size": (4,), "stride": (-1,)}),
        ("offset-beyond", {"size": (4,), "stride": (1,), "offset": 1 << 40}),
        ("offset-negative", {"size": (2,), "stride": (1,), "offset": -2}),
        ("more-than-stored", {"size": (1 << 16,), "stride": (1,), "numel": 1 << 16}),
    ):
        content = {"x_embedder.weight": rebuilt(**change)}
        yield name, lambda p, c=content: as_zip(p, pickled(c), _0=zeros * 4)
    grab = {"x": Call(bytearray, 1 << 30)}
    yield "bytearray-of-1-GiB", lambda p: as_zip(p, pickled(grab))
    yield "bytearray-of-1-GiB-legacy", lambda p: as_legacy(p, grab)
    long = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x."
    yield "bytes-of-1-TiB", lambda p: put(p, long)
    yield "text-of-4-GiB", lambda p: put(p, b"\x80\x02X" + struct.pack("<I", 0xFFFFFFFF) + b"x.")
    yield "no-pickle-inside", lambda p: stranger(p, "readme.txt")
    yield "path-leads-out", lambda p: stranger(p, "../../../" + CANARY)
    yield "absolute-path", lambda p: stranger(p, str(folder / CANARY))
    yield "empty-archive", lambda p: put(p, b"PK\x05\x06" + bytes(18))
    yield "archive-cut", lambda p: cut(as_zip(p, pickled(weights()), _0=zeros))
    yield "archive-in-archive", lambda p: as_zip(p, as_zip(p, b"\x80\x02N.").read_bytes())
    yield "only-a-number", lambda p: as_zip(p, pickled(7))
    yield "only-text", lambda p: as_zip(p, pickled({"x_embedder.weight": "text"}))
    yield "contains-itself", lambda p: as_zip(p, pickled(itself()))


def itself() -> dict:
    content: dict = {}
    content["model"] = content["ema"] = content
    return content


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def cut(path: Path) -> Path:
    return put(path, path.read_bytes()[:-30])


def stranger(path: Path, name: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, b"x")
    return path


def bomb(path: Path, entry: str, size: int = 512 * MiB) -> Path:
    """An archive of half a megabyte with an entry that unpacks to 512 MiB."""
    as_zip(path, pickled(weights()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name in ("data.pkl", "version", "data/0"):
            if name != entry:
                file.writestr(f"archive/{name}", pickled({}))
        with file.open(f"archive/{entry}", "w") as target:
            for _ in range(size // (4 * MiB)):
                target.write(bytes(4 * MiB))
    return path


def released(path: Path, arguments: bytes) -> Path:
    """A folder in the released layout whose weights are harmless and whose arguments are not."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    torch.save(weights(), folder / "consolidated_ema.00-of-01.pth")
    return as_zip(folder / "model_args.pth", arguments).parent
