"""Check what a pickle would load and do, from its opcodes, before unpickling anything.

PyTorch's own restricted unpickler is the second safeguard. This one is stricter: it accepts only
what weight files consist of and nothing that could take memory out of proportion to the file.
"""

from __future__ import annotations

import mmap
import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

from ..errors import CheckpointError, reason_of

LARGEST_PICKLE = 8 << 20  # bytes of names and shapes; the released model's take 0.2 MB
LEGACY_PICKLES = 5  # magic number, version, system, content, storage keys
STORAGES = (
    *("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"),
    *("ComplexFloat", "ComplexDouble"),
)
ALLOWED = {
    "collections OrderedDict",
    "torch Size",
    "torch.nn.parameter Parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch._utils _rebuild_parameter",
    "torch.storage UntypedStorage",
    "torch float8_e4m3fn",
    "torch float8_e5m2",
    *(f"torch {name}Storage" for name in STORAGES),
}
# Other ways to name or call something than GLOBAL and REDUCE; torch.save writes none of them.
REFUSED = {"INST", "OBJ", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX"}


def scan(path: Path, allow: Iterable[str] = ()) -> None:
    """Raise CheckpointError unless the file names nothing but tensors and the allowed classes.

    allow: "module name" of further classes.
    """
    allowed = ALLOWED | set(allow)
    try:
        if zipfile.is_zipfile(path):
            _scan_archive(path, allowed)
        else:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                _scan_pickles(path.name, data, allowed)
    except CheckpointError:
        raise
    except Exception as error:  # the standard library raises a dozen kinds for broken input
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> CheckpointError:
    """The error for a file that cannot be read as a PyTorch pickle."""
    reason = reason_of(error, 160)
    return CheckpointError(
        f"{path.name} is damaged or not a PyTorch file ({reason}); copy or download it again"
    )


def _scan_archive(path: Path, allowed: set[str]) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
        if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise CheckpointError(
                f"{path.name} is refused: it is a compressed archive, which PyTorch never writes "
                "and which may unpack to any size. Nothing was unpacked"
            )
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"an archive with {len(pickles)} files named data.pkl")
        if pickles[0].file_size > LARGEST_PICKLE:
            raise _too_long(path.name)
        for opcode, argument, _ in pickletools.genops(archive.read(pickles[0])):
            _check(path.name, opcode.name, argument, allowed)


def _scan_pickles(name: str, data: mmap.mmap, allowed: set[str]) -> None:
    for _ in range(LEGACY_PICKLES):
        if data.tell() == len(data):
            return
        for opcode, argument, position in pickletools.genops(cast(IO[bytes], data)):
            _check(name, opcode.name, argument, allowed)
            if position and position > LARGEST_PICKLE:
                raise _too_long(name)


def _check(name: str, opcode: str, argument: object, allowed: set[str]) -> None:
    wanted = argument if opcode == "GLOBAL" else f"the opcode {opcode}"
    if opcode in REFUSED or (opcode == "GLOBAL" and argument not in allowed):
        raise CheckpointError(
            f"{name} is refused: besides tensors it wants to load other code "
            f"({str(wanted)[:160].replace(' ', '.', 1)}). Nothing was run. Use a file from a "
            "source you trust, converted to .safetensors"
        )


def _too_long(name: str) -> CheckpointError:
    return CheckpointError(
        f"{name} is refused: its list of names and shapes is longer than "
        f"{LARGEST_PICKLE >> 20} MB, so it is not the weights of one model"
    )
