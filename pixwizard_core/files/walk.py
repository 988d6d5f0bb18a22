"""Walk folders and expand globs, in one place for every command.

Hidden files and folders are skipped. A link to a folder is followed once: not if its folder is
reached without it or by an earlier link, so that loops end. What an earlier run wrote is not input,
unless the user names the folder it wrote into.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..json_text import json_list, json_object

Tell = Callable[[Path, str], None]
AGAIN = "a link to a folder that is already read"
BROKEN = "a broken link"
RESULT = "written by an earlier run"
LISTS_OF_RESULTS = ("index*.jsonl", "submitted.jsonl", "*_report.json")
OTHER_LISTS = ("failures*.jsonl", "left_out.jsonl", "index.parquet", "scores.md", "scores.json")
MAGIC = re.compile(r"[*?\[]")
ANY_DEPTH = "**"


def silent(path: Path, reason: str) -> None:
    """A callback for skipped files that does nothing."""


def walk(folder: Path, tell: Tell = silent) -> list[Path]:
    """All files below a folder, in natural order of their paths.

    tell(path, reason): called for whatever is skipped, except hidden files.
    """
    files = [path for inside in _folders(folder, tell) for path in _files(inside, tell)]
    return without_results(sorted(files, key=natural), folder, tell)


def expand(pattern: str, tell: Tell = silent) -> tuple[Path, list[Path]]:
    """(the folder that the fixed part of a glob names, what it matches in natural order).

    As in a shell: no piece matches a hidden name unless it begins with a dot. ** at the end matches
    all files below.
    """
    at = MAGIC.split(pattern, maxsplit=1)[0].replace(os.sep, "/").rfind("/") + 1
    root = Path(pattern[:at] or ".")
    pieces = [piece for piece in pattern[at:].replace(os.sep, "/").split("/") if piece]
    found = {path: None for path in _matches(root, pieces, tell)}
    return root, without_results(sorted(found, key=natural), root, tell)


def results_in(folder: Path) -> set[Path]:
    """The files that the lists of earlier runs in a folder name as their own results, and those
    lists."""
    found: set[Path] = set()
    for path in (path for pattern in LISTS_OF_RESULTS for path in folder.glob(pattern)):
        if named := {folder / name for name in _named_files(path)}:
            found |= {path, *named}
    if found:
        found.update(path for pattern in OTHER_LISTS for path in folder.glob(pattern))
    return found


def without_results(files: Iterable[Path], root: Path, tell: Tell) -> list[Path]:
    """The files that no earlier run wrote into a folder below root. Root itself may be such a
    folder: a run may go on from another's results."""
    known: dict[Path, set[Path]] = {root: set()}
    left: list[Path] = []
    for path in files:
        written = False
        for folder in path.parents[: len(path.parts) - len(root.parts)]:
            if folder not in known:
                known[folder] = results_in(folder)
            written = written or path in known[folder]
        if written:
            tell(path, RESULT)
        else:
            left.append(path)
    return left


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key by which frame2 comes before frame10."""
    pieces = re.split(r"(\d+)", path.as_posix())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or the system's own."""
    return name.startswith(".") or name == "__MACOSX"


def _folders(root: Path, tell: Tell) -> list[Path]:
    """A folder and all below it, each once; what is reached without a link comes first."""
    seen: set[tuple[int, int]] = set()
    found: list[Path] = []
    waiting = [root]
    links: list[Path] = []
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop(0)
        try:
            status = folder.stat()
        except OSError as error:
            tell(folder, error.strerror or str(error))
            continue
        who = (status.st_dev, status.st_ino)
        if who in seen:
            tell(folder, AGAIN)
            continue
        seen.add(who)
        found.append(folder)
        for path in _entries(folder, tell):
            if path.is_dir():
                (links if path.is_symlink() else waiting).append(path)
    return found


def _files(folder: Path, tell: Tell) -> Iterator[Path]:
    for path in _entries(folder, silent):
        if path.is_file():
            yield path
        elif not path.exists():
            tell(path, BROKEN)


def _entries(folder: Path, tell: Tell) -> list[Path]:
    """What a folder holds and does not hide, in natural order."""
    try:
        return sorted((p for p in folder.iterdir() if not is_hidden(p.name)), key=natural)
    except OSError as error:
        tell(folder, error.strerror or str(error))
        return []


def _matches(root: Path, pieces: list[str], tell: Tell) -> Iterator[Path]:
    if not pieces:
        yield root
        return
    piece, rest = pieces[0], pieces[1:]
    if piece == ANY_DEPTH:
        for folder in _folders(root, tell) if root.is_dir() else ():
            yield from _matches(folder, rest, tell) if rest else _files(folder, tell)
    elif MAGIC.search(piece):
        for path in sorted(root.iterdir(), key=natural) if root.is_dir() else ():
            shown = not is_hidden(path.name) or piece.startswith(".")
            if shown and fnmatch.fnmatch(path.name, piece) and (not rest or path.is_dir()):
                yield from _matches(path, rest, tell)
    elif (root / piece).exists():
        yield from _matches(root / piece, rest, tell)


def _named_files(path: Path) -> Iterator[str]:
    """The file names in a list's records, or in one report; none in files of another kind."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    for line in text.split("\n") if path.suffix == ".jsonl" else [text]:
        try:
            record = json_object(json.loads(line))
        except (ValueError, RecursionError):
            continue
        files = record.get("files") if record else None
        named = json_object(files)
        names = json_list(files) if named is None else [*named.values()]
        yield from (name for name in names or () if isinstance(name, str))
