"""Pictures from what the command line names: files, folders, globs, manifests, videos, frames."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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


def find(
    inputs: Sequence[str], *, frames: bool = False, every: int = 1, out: Path | None = None
) -> list[Found]:
    """All pictures that inputs name, folders with all that is below them.

    frames: each folder is one sequence of frames, in the natural order of their names. every: take
    each n-th frame of a sequence. out: where results go; what is in there is no input, unless an
    input is itself in there. Raises PixWizardError for an input that names nothing, or that is out.
    """
    found: list[Found] = []
    for given in inputs:
        some = [one for path, base in _paths(given) for one in _of_path(path, base, frames, every)]
        found += some if out is None else _without_results(some, given, out)
        if not some:
            raise PixWizardError(f"there is no picture or video in {given}")
    return found


def _without_results(some: list[Found], given: str, out: Path) -> list[Found]:
    root, place = Path(os.path.abspath(given)), Path(os.path.abspath(out))
    if root == place and root.is_dir():
        raise PixWizardError(f"{given} is both input and output; give another folder as --out")
    if root.is_relative_to(place):
        return some
    below = f"{place}{os.sep}"
    return [one for one in some if not os.path.abspath(one.path).startswith(below)]


def _paths(given: str) -> Iterator[tuple[Path, Path | None]]:
    """(path, the folder that names are relative to) of one input; None: what is given itself."""
    path = Path(given)
    if path.exists():
        yield path, None
        return
    matched = sorted(glob.glob(given, recursive=True)) if glob.has_magic(given) else []
    if not matched:
        raise PixWizardError(f"there is no {given}; give a picture, folder, glob, manifest, video")
    plain = re.split(r"[*?\[]", given, maxsplit=1)[0]
    root = Path(plain if plain.endswith(("/", "\\")) else Path(plain).parent)
    for match in map(Path, matched):
        yield match, root


def _of_path(path: Path, base: Path | None, frames: bool, every: int) -> Iterator[Found]:
    if path.is_dir():
        yield from _of_folder(path, base, frames, every)
    elif path.suffix.lower() in MANIFESTS:
        for row in read_manifest(path):
            for one in _of_file(row.path, path.parent, every):
                yield replace(one, words=row.words)
    elif path.suffix.lower() in VIDEOS | PICTURES:
        yield from _of_file(path, base or path.parent, every)


def _of_file(path: Path, base: Path, every: int) -> Iterator[Found]:
    """A picture, or the frames of a video; of one that cannot be read the first, to be listed."""
    name = _name(path, base)
    if path.suffix.lower() not in VIDEOS:
        yield Found(name, path)
        return
    try:
        count = frame_count(path)
    except (PixWizardError, OSError):
        count = 1
    for frame in range(0, count, every):
        yield Found(f"{name}/{frame:0{FRAME_DIGITS}}", path, frame, name)


def _of_folder(folder: Path, base: Path | None, frames: bool, every: int) -> Iterator[Found]:
    inside = sorted((p for p in folder.rglob("*") if p.is_file()), key=natural)
    inside = [path for path in inside if not _hidden(path.relative_to(folder))]
    if not frames:
        for path in inside:
            if path.suffix.lower() in PICTURES | VIDEOS:
                yield from _of_file(path, base or folder, every)
        return
    counts: dict[Path, int] = {}
    for path in inside:
        if path.suffix.lower() in PICTURES:
            number = counts[path.parent] = counts.get(path.parent, -1) + 1
            if number % every == 0:
                sequence = safe_name(path.parent.relative_to(base or folder.parent))
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
