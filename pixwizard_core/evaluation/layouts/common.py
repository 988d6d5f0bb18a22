"""Shared by all dataset layouts: options, finding folders and partners, and reporting what is
missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...decode.polarity import DEFAULT_NEAR
from ...errors import PixWizardError
from ...files.kinds import is_picture
from ...files.walk import is_hidden, natural, walk
from ...fleet.items import digest, safe_name
from ...fleet.sources import SourcePicture

SHOWN = 6  # names listed in a message
DEPTH = 6  # levels of folders below the root to search; Snow100K's archive needs 5


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """split: "" for the layout's first. method: a key of referring.METHODS. range_m: metres at the
    two ends of a depth map, nearer first; near: its shade of near things. sign: of a normal map's
    axes relative to ours. listed: a file of names. count: of pictures, 0 for all. task,
    instruction: replace those of the layout. pair: the folders with input and truth. turns:
    "single" edits each true picture, "multi" edits the answer to the previous turn. prepared:
    folder for pictures that must be made first. side: px of the squares to cut or of the blank
    canvas; 0 takes the layout's. seed: for random choices of a layout. seeds: number of answers to
    each question, None takes the layout's."""

    split: str = ""
    method: str = "mask"
    range_m: tuple[float, float] = (0.0, 10.0)
    near: str = DEFAULT_NEAR
    align: bool = False
    sign: tuple[int, int, int] = (1, 1, 1)
    listed: str = ""
    count: int = 0
    task: str = ""
    instruction: str = ""
    pair: tuple[str, str] | None = None
    turns: str = "single"
    prepared: str = ""
    side: int = 0
    seed: int = 0
    seeds: int | None = None


Find = Callable[[Path, DatasetOptions], list[SourcePicture]]


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """A dataset's layout on disk and its measures.

    protocol: a key of protocols.SCORERS; the scores that a worker computes. find: returns pictures
    with truth. splits: valid names for --split, the default first. note: what the folder must
    contain. folders: its names below a folder of several datasets. source: where to get it.
    metrics: names in measures.MEASURES, taken of the answers on disk. fid: how to resize pictures
    for FID and IS, a key of networks.inception.RESIZES. crop: px of the middle square used for FID,
    0 for none. reference: FID's real pictures, if they are not the truths. choices: our decisions
    where the protocol leaves a choice, in a sentence.
    """

    protocol: str
    find: Find
    splits: tuple[str, ...]
    note: str
    folders: tuple[str, ...] = ()
    source: str = ""
    metrics: tuple[str, ...] = ()
    fid: str = "tf"
    crop: int = 0
    reference: Callable[[Path, DatasetOptions], list[Path]] | None = None
    choices: str = ""


def pictures_in(folder: Path) -> list[Path]:
    """Picture files directly in a folder, in natural order; none if there is no folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((p for p in found if is_picture(p) and not is_hidden(p.name)), key=natural)


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by name without extension."""
    return {path.stem: path for path in pictures_in(folder)}


def source_picture(
    root: Path, path: Path, truth: dict[str, Any], words: dict[str, str]
) -> SourcePicture:
    """A picture named by its path below root."""
    inside = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return SourcePicture(safe_name(inside.with_suffix("")), path, words=words, truth=truth)


def asked(options: DatasetOptions, task: str, **words: str) -> dict[str, str]:
    """The words of a question: those of the options, or else the task with its words."""
    if options.instruction:
        own = {"instruction": options.instruction}
        return {"task": options.task, **own} if options.task else own
    return {"task": options.task or task, **words}


def folder_with(root: Path, *inside: str) -> Path | None:
    """The folder nearest to root, or root itself, that holds all of these folders or files."""
    level = [root]
    for _ in range(DEPTH + 1):
        for folder in level:
            if all((folder / name).exists() for name in inside):
                return folder
        below = [one for folder in level for one in _folders(folder)]
        level = sorted(below, key=natural)
    return None


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:  # says what is a folder without a look at each file
            found = [one.name for one in entries if one.is_dir() and not is_hidden(one.name)]
    except OSError:
        return []
    return [folder / name for name in found]


def partner(path: Path, others: dict[str, Path], stem: str, where: str) -> Path:
    """The truth of a picture. Raises PixWizardError saying which file was expected."""
    if stem not in others:
        near = ", ".join(list(others)[:SHOWN]) or "no picture"
        raise PixWizardError(
            f"{path} has no truth: looked for {stem} in {where}, which holds {near}"
            f"{', …' if len(others) > SHOWN else ''}"
        )
    return others[stem]


def state_of(root: Path, out: Path) -> str:
    """A digest of the names, sizes and times of all files below a folder, without reading them.
    Leaves out what a run writes below out, unless root is in there."""
    root, out = root.absolute(), out.absolute()
    own = not root.is_relative_to(out)
    files = [path for path in walk(root) if not (own and path.is_relative_to(out))]
    stats = [(str(path.relative_to(root)), path.stat()) for path in files]
    return digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def first(values: Iterable[Any], count: int) -> list[Any]:
    """The first count values, or all for 0."""
    values = list(values)
    return values[:count] if count else values


def first_asked(found: list[SourcePicture], count: int) -> list[SourcePicture]:
    """What asks the first count questions, or all for 0: a question asked in several ways, or
    several times, counts once."""
    names = [one.truth.get("question", one.name) for one in found]
    chosen = set(first(dict.fromkeys(names), count))
    return [one for one, name in zip(found, names, strict=True) if name in chosen]


def below(root: Path, names: Sequence[str]) -> list[Path]:
    """Picture files anywhere below root in a folder with one of these names."""
    return [path for path in walk(root) if is_picture(path) and path.parent.name in names]
