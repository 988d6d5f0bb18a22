"""Pictures from what the command line names: files, folders, globs, manifests, videos, frames."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from .items import safe_name
from .manifest import MANIFESTS, read_manifest
from .video import VIDEOS, frame_count

PICTURES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif", "ppm", "pgm", "pnm"),
        *("jp2", "avif", "tga"),
    )
)
FRAME_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A picture before it is known what to ask of it. words: what its manifest row says. truth: see
    Item."""

    name: str
    path: Path
    frame: int | None = None
    sequence: str = ""
    words: dict[str, str] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)


def find(inputs: Sequence[str], *, frames: bool = False, every: int = 1) -> list[Found]:
    """All pictures that inputs name, folders with all that is below them.

    frames: each folder is one sequence of frames, in the natural order of their names. every: take
    each n-th frame of a sequence. Raises PixWizardError for an input that names nothing.
    """
    found: list[Found] = []
    for given in inputs:
        paths = _paths(given)
        before = len(found)
        for path, below in paths:
            found += _of_path(path, below, frames, every)
        if len(found) == before:
            raise PixWizardError(f"there is no picture or video in {given}")
    return found


def _paths(given: str) -> Iterator[tuple[Path, Path]]:
    """(path, the folder that names are relative to) of one input."""
    path = Path(given)
    if path.exists():
        yield path, path.parent
        return
    matched = sorted(glob.glob(given, recursive=True)) if glob.has_magic(given) else []
    if not matched:
        raise PixWizardError(f"there is no {given}; give a picture, folder, glob, manifest, video")
    plain = re.split(r"[*?\[]", given, maxsplit=1)[0]
    root = Path(plain if plain.endswith(("/", "\\")) else Path(plain).parent)
    for match in map(Path, matched):
        yield match, root


def _of_path(path: Path, root: Path, frames: bool, every: int) -> Iterator[Found]:
    if path.is_dir():
        yield from _of_folder(path, frames, every)
    elif path.suffix.lower() in MANIFESTS:
        for row in read_manifest(path):
            yield Found(_name(row.path, path.parent), row.path, words=row.words)
    elif path.suffix.lower() in VIDEOS:
        name = _name(path, root)
        for frame in range(0, frame_count(path), every):
            yield Found(f"{name}/{frame:0{FRAME_DIGITS}}", path, frame, name)
    elif path.suffix.lower() in PICTURES:
        yield Found(_name(path, root), path)


def _of_folder(folder: Path, frames: bool, every: int) -> Iterator[Found]:
    inside = sorted((p for p in folder.rglob("*") if p.is_file()), key=natural)
    inside = [path for path in inside if not _hidden(path.relative_to(folder))]
    if not frames:
        for path in inside:
            if path.suffix.lower() in PICTURES | VIDEOS:
                yield from _of_path(path, folder, False, every)
        return
    counts: dict[Path, int] = {}
    for path in inside:
        if path.suffix.lower() in PICTURES:
            number = counts[path.parent] = counts.get(path.parent, -1) + 1
            if number % every == 0:
                sequence = safe_name(path.parent.relative_to(folder.parent))
                yield Found(f"{sequence}/{safe_name(path.stem)}", path, sequence=sequence)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10."""
    pieces = re.split(r"(\d+)", path.as_posix())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _name(path: Path, root: Path) -> str:
    inside = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return safe_name(inside.with_suffix(""))


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)
