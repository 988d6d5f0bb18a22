"""Pictures from what the command line names: files, folders, globs, lists, films, frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import CanvasError, PixWizardError
from ..files.film import Film, Shot, look
from ..files.film_pages import page_count
from ..files.kinds import PAGED, ending, is_film, is_list, is_picture
from ..files.walk import MAGIC, Tell, expand, silent, walk
from .items import safe_name
from .manifest import read_manifest

FRAME_DIGITS = 6
LOOKERS = 4  # films looked through at a time
OTHER, LIST, FILM = "not a picture or film", "a list; give it by name", "a film among frames"
TWICE = "named twice"
FilmOrFault = Film | Exception | None


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture, before its task is known. words: what its row of a list says. truth: see Item.
    shot: of a film that could be decoded. note: what is wrong with the rest of the film."""

    name: str
    path: Path
    frame: int | None = None
    sequence: str = ""
    words: dict[str, str] = field(default_factory=dict)
    truth: dict[str, Any] = field(default_factory=dict)
    shot: Shot | None = None
    note: str = ""


def find(
    inputs: Sequence[str],
    *,
    frames: bool = False,
    every: int = 1,
    out: Path | None = None,
    tell: Tell = silent,
    on_frame: Callable[[int], None] = lambda count: None,
) -> list[SourcePicture]:
    """All pictures that inputs name, folders with all that is below them.

    frames: each folder is one sequence of frames, in the natural order of their names. every: take
    each n-th frame of a sequence. out: where results go; what is in there is no input, unless an
    input is itself in there. tell(path, reason): called for each file that is left out, except
    hidden ones and what is in out. on_frame: told how many frames of films are decoded so far.
    Raises PixWizardError for an input that names nothing, or that is out.
    """
    found: dict[tuple, SourcePicture] = {}
    own = _Own(out)

    def tell_others(path: Path, reason: str) -> None:
        if not own(path):
            tell(path, reason)

    for given in inputs:
        inside = own.holds(given)
        some = list(_of_input(given, frames, every, tell if inside else tell_others))
        if not some:
            raise PixWizardError(f"there is no picture or video in {given}")
        some = some if inside else [one for one in some if not own(one.path)]
        known = _look_ahead((one.path for one in some if not one.sequence), on_frame)
        for one in (one for start in some for one in _with_frames(start, every, known)):
            who = (os.path.abspath(one.path), one.frame, *sorted(one.words.items()))
            if who in found:
                tell(one.path, TWICE)
            found.setdefault(who, one)
    return list(found.values())


def _of_input(given: str, frames: bool, every: int, tell: Tell) -> Iterator[SourcePicture]:
    """The files of one input; a film counts as one."""
    path = Path(given)
    if path.exists():
        paths, base = [path], None
    else:
        base, paths = expand(given, tell) if MAGIC.search(given) else (path, [])
        if not paths:
            raise PixWizardError(
                f"there is no {given}; give a picture, folder, glob, manifest, video"
            )
    for one in paths:
        if one.is_dir():
            yield from _of_folder(one, base, frames, every, tell)
        elif is_list(one):
            for row in read_manifest(one):
                yield SourcePicture(_name(row.path, one.parent), row.path, words=row.words)
        elif _is_input(one):
            yield SourcePicture(_name(one, base or one.parent), one)
        else:
            tell(one, OTHER)


def _of_folder(
    folder: Path, base: Path | None, frames: bool, every: int, tell: Tell
) -> Iterator[SourcePicture]:
    counts: dict[Path, int] = {}
    for path in walk(folder, tell):
        if is_list(path):
            tell(path, LIST)
        elif not _is_input(path):
            tell(path, OTHER)
        elif not frames:
            yield SourcePicture(_name(path, base or folder), path)
        elif is_picture(path):
            number = counts[path.parent] = counts.get(path.parent, -1) + 1
            if number % every == 0:
                sequence = safe_name(path.parent.relative_to(base or folder.parent))
                yield SourcePicture(f"{sequence}/{safe_name(path.stem)}", path, sequence=sequence)
        else:
            tell(path, FILM)


def _is_input(path: Path) -> bool:
    try:
        return is_picture(path) or is_film(path)
    except OSError:
        return True  # to be listed as a failure, with the reason


def _with_frames(
    start: SourcePicture, every: int, known: dict[Path, FilmOrFault]
) -> Iterator[SourcePicture]:
    """What is found, or the frames of a film; of one that cannot be decoded the first, to be
    listed."""
    film = known.get(start.path)
    if film is None:
        yield start
        return
    if isinstance(film, Exception):
        yield replace(start, name=_frame_name(start, 0), frame=0, sequence=start.name)
        return
    for shot in film.shots[::every]:
        yield replace(
            start, name=_frame_name(start, shot.number), frame=shot.number, sequence=start.name,
            shot=shot, note=film.note,
        )  # fmt: skip


def _frame_name(start: SourcePicture, number: int) -> str:
    return f"{start.name}/{number:0{FRAME_DIGITS}}"


def _film(path: Path, on_frame: Callable[[int], None]) -> FilmOrFault:
    """A decoded film, the reason why it cannot be decoded, or None for a picture."""
    try:
        if not holds_frames(path):
            return None
        return look(path, on_frame)
    except (PixWizardError, OSError) as error:
        return error


def holds_frames(path: Path) -> bool:
    """Whether a file is a film, or a picture with several frames or pages. Raises OSError."""
    if ending(path) not in PAGED:
        return is_film(path)
    try:
        return page_count(path) > 1
    except CanvasError:
        return False  # opening it as a picture will say why


def _look_ahead(paths: Iterable[Path], on_frame: Callable[[int], None]) -> dict[Path, FilmOrFault]:
    """What each file is; several films are decoded at a time."""
    counts: dict[Path, int] = {}

    def one(path: Path) -> FilmOrFault:
        def advance(count: int) -> None:
            counts[path] = count
            on_frame(sum(list(counts.values())))

        return _film(path, advance)

    different = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(min(LOOKERS, os.cpu_count() or 1)) as pool:
        return dict(zip(different, pool.map(one, different), strict=True))


class _Own:
    """The folder of results. Called with a path: whether the path is inside."""

    def __init__(self, out: Path | None) -> None:
        self.place = None if out is None else Path(os.path.realpath(out))
        self.known: dict[Path, bool] = {}

    def __call__(self, path: Path) -> bool:
        if self.place is None:
            return False
        if path.parent not in self.known:
            folder = Path(os.path.realpath(path.parent))
            self.known[path.parent] = folder.is_relative_to(self.place)
        return self.known[path.parent]

    def holds(self, given: str) -> bool:
        """Whether an input lies inside. Raises PixWizardError when the input is that folder
        itself."""
        if self.place is None:
            return False
        root = Path(os.path.realpath(given))
        if root == self.place and root.is_dir():
            raise PixWizardError(
                f"{given} is both input and output; choose another folder for --out"
            )
        return root.is_relative_to(self.place)


def _name(path: Path, root: Path) -> str:
    inside = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return safe_name(inside.with_suffix(""))
