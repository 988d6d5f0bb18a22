"""Read pairs from WebDataset shards without unpacking them.

The files of a pair share one key: KEY.input.png, KEY.target.png, an optional KEY.mask.png, and
KEY.json with the rest. Shards of other programs also work if they are uncompressed tar files with
these names.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError, reason_of
from ..json_text import read_json
from .pairs import COLUMNS, LONGEST_SHOWN, column_of

SHARD = ".tar"
FACTS = "json"
ROLES = ("input", "target", "mask")


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """A picture stored in a shard or in a file of its own. path: the file. name: the picture's
    name, for messages. start, length: its position in bytes; length -1 reads to the end of the
    file."""

    path: Path
    name: str
    start: int = 0
    length: int = -1

    def read(self) -> bytes:
        """Read the bytes. Raises PixWizardError when the file cannot be read or has become
        shorter."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                data = file.read(self.length)
        except OSError as error:
            raise PixWizardError(f"{self.path} cannot be read: {error.strerror or error}") from None
        if 0 <= self.length != len(data):
            raise PixWizardError(f"{self.path.name} changed while it was read; start again")
        return data


@dataclass(frozen=True, slots=True)
class ShardPair:
    """One pair of a shard. The fields are as in pairs.InstructionPair."""

    input: StoredBytes | None
    target: StoredBytes
    instructions: tuple[str, ...]
    task: str
    mask: StoredBytes | None
    where: str


def shards_in(path: str | Path) -> list[Path]:
    """List the shards at a path: a .tar file itself, or the .tar files of a folder, sorted by name.
    Empty for any other path."""
    path = Path(path)
    if path.is_dir():
        return sorted(path.glob(f"*{SHARD}"))
    return [path] if path.suffix.lower() == SHARD and path.is_file() else []


def read_shards(shards: Sequence[Path]) -> list[ShardPair]:
    """Read the pairs of shards, in order. The pictures stay unread. Raises PixWizardError for a
    file that is not a shard, for an incomplete or invalid pair, with its shard and key, and when
    there are no pairs."""
    pairs = [pair for shard in shards for pair in _pairs(shard)]
    if not pairs:
        raise PixWizardError(f"there is no pair in {', '.join(shard.name for shard in shards)}")
    return pairs


def _pairs(shard: Path) -> Iterator[ShardPair]:
    members: dict[str, dict[str, StoredBytes]] = {}
    try:
        with tarfile.open(shard, mode="r:") as archive:
            for entry in archive:
                key, _, part = Path(entry.name).name.partition(".")
                if not entry.isfile() or entry.issparse() or not part:
                    continue
                stem = (Path(entry.name).parent / key).as_posix()
                role = part.split(".")[0].lower()
                found = members.setdefault(stem, {})
                if role in found:
                    raise PixWizardError(f"{shard.name}: {stem} has two files for {role}")
                found[role] = StoredBytes(shard, entry.name, entry.offset_data, entry.size)
    except (tarfile.TarError, OSError, EOFError) as error:
        reason = reason_of(error, 160)
        raise PixWizardError(f"{shard.name} is no shard that can be read: {reason}") from None
    for key, found in members.items():
        yield _pair(found, f"{shard.name}, {key}")


def _pair(found: Mapping[str, StoredBytes], where: str) -> ShardPair:
    if "target" not in found or FACTS not in found:
        raise PixWizardError(
            f"{where}: a pair has a target and a .json with its instruction. "
            f"Got: {', '.join(sorted(found))}"
        )
    facts = read_json(found[FACTS].read(), f"{where}: the .json is", PixWizardError)
    if not isinstance(facts, dict):
        raise PixWizardError(f"{where}: the .json is no object")
    values = {column_of(str(name)): value for name, value in cast("dict[str, Any]", facts).items()}
    words: Any = values.get("instructions")
    listed = cast("list[Any]", words) if isinstance(words, list) else [words]
    if not listed or not all(isinstance(one, str) and one.strip() for one in listed):
        raise PixWizardError(
            f"{where}: {' or '.join(COLUMNS['instructions'])} is a text or several. "
            f"Got: {words!r:.{LONGEST_SHOWN}}"
        )
    task = values.get("task") or ""
    if not isinstance(task, str):
        raise PixWizardError(f"{where}: task is text. Got: {task!r:.{LONGEST_SHOWN}}")
    pictures = {role: found.get(role) for role in ROLES}
    return ShardPair(
        pictures["input"], found["target"], tuple(one.strip() for one in listed), task,
        pictures["mask"], where,
    )  # fmt: skip
