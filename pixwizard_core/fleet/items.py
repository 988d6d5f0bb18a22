"""What to do with one picture, and its identity: name, content, seed and key.

The result of an item depends only on the item and the job, never on its place in a list, its
neighbours or the worker.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..canvas import Size
from ..files.film import Shot

FORMAT = 1  # of keys and of the index; raised when what is written for an item changes
BLOCK = 1 << 20
NAME_DIGITS = 8
PART_BYTES = 180  # of a name; file systems allow 255, and task and kind of result come behind it
NO_SIZE = Size(0, 0)
SEED_BITS = 31  # seeds fit where a signed 32-bit number is wanted


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to do. name: where its results go below the output folder, without ending.

    Names are unique. path: the file, absolute. frame: number in a video, else None. sequence: name
    of the video or frame folder that it belongs to. content: hash of the file. size: of the upright
    picture in px. seed: given by the user, else None. words: fields of the instruction that
    decoding needs too (colour). truth: what an evaluation compares with, by its protocol; empty
    otherwise. shot: how a frame of a film is found and known again. note: what is wrong with the
    rest of its film. given: the fields of the task's instruction, to ask for the same thing in
    other forms; None for an instruction in own words.
    """

    name: str
    path: str
    task: str
    instruction: str
    frame: int | None = None
    sequence: str = ""
    content: str = ""
    size: Size = NO_SIZE
    seed: int | None = None
    words: dict[str, str] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    shot: Shot | None = None
    note: str = ""
    given: dict[str, str] | None = None

    def own_seed(self, base: int) -> int:
        """The seed given for this item, or one that follows from what it is and from base."""
        if self.seed is not None:
            return self.seed
        return int(digest([base, self.content, self.frame, self.instruction]), 16) >> (
            256 - SEED_BITS
        )


def digest(value: Any) -> str:
    """SHA-256, in hexadecimal, of anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Names of files may hold bytes that are no text, which Python keeps as lone surrogates.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def file_hash(path: str | Path) -> str:
    """SHA-256, in hexadecimal, of a file's bytes."""
    total = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def with_names(items: Iterable[Item]) -> list[Item]:
    """The items, in order, with names that are unique on every file system.

    Where several items want one name, each gets part of its own hash at the end, so a name does not
    depend on the order. Identical items are kept once.
    """
    items = list(items)
    wanted = Counter(item.name.casefold() for item in items)
    named: dict[str, Item] = {}
    for item in items:
        name = item.name
        if wanted[name.casefold()] > 1:
            own = [item.path, item.frame, item.task, item.instruction, item.seed, item.words]
            name = f"{name}-{digest(own)[:NAME_DIGITS]}"
        named[name] = replace(item, name=name)
    return list(named.values())


def safe_name(path: str | Path) -> str:
    """A relative path without ending as a name below the output folder: no "..", no hidden part, no
    dot that looks like an ending, and no part too long for a file system."""
    parts = [part for part in PurePosixPath(Path(path).as_posix()).parts if part not in ("/", "..")]
    cleaned = ["".join(c if c.isalnum() or c in "-_" else "_" for c in part) for part in parts]
    return "/".join(_short(part) for part in cleaned if part) or "picture"


def _short(part: str) -> str:
    """At most PART_BYTES in UTF-8; what is longer ends in a piece of its hash."""
    data = part.encode()
    if len(data) <= PART_BYTES:
        return part
    kept = data[: PART_BYTES - NAME_DIGITS - 1].decode(errors="ignore")
    return f"{kept}-{digest(part)[:NAME_DIGITS]}"
