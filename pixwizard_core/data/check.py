"""Check a list before training, for pictures that are missing, broken, mismatched, tiny, duplicated
or in both the training and the validation list. Every fault names its row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CanvasError
from ..files.picture_files import open_picture
from .pairs import InstructionPair

MISSING, BROKEN, UNLIKE, TINY = "missing", "broken", "unlike", "tiny"
DUPLICATE, UNCHANGED, SIZE, LEAK = "duplicate", "unchanged", "wrong size", "leak"
FAULTS = (MISSING, BROKEN, LEAK, DUPLICATE, UNCHANGED, UNLIKE, SIZE, TINY)
MOST_UNLIKE = 0.05  # share by which the proportions of input and target may differ
LOOK_SIDE = 8  # px of the small picture by which a picture is known again, however it is stored
SAME_LOOK = 1.5  # grey levels of 255, mean difference below which two of them are the same
FLAT = 2.0  # deviation in grey levels below which a picture is too plain to be known again
SHOWN = 5  # rows of a fault in its line


@dataclass(frozen=True, slots=True)
class PairFault:
    """One fault. kind: one of FAULTS. where: the list and row. told: what was found."""

    kind: str
    where: str
    told: str


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Facts about a picture file. width, height: size in px. sha256: hash of the file's bytes.
    look: a thumbnail of (LOOK_SIDE²,) grey levels in 0..255, or None when the picture is too plain
    to be recognised by it."""

    width: int
    height: int
    sha256: str
    look: Tensor | None


@dataclass(frozen=True, slots=True)
class PairReport:
    """The result of check_pairs(). pairs: the number of pairs that were checked."""

    pairs: int
    faults: list[PairFault]

    def lines(self) -> list[str]:
        """Return one line for each kind of fault, with its first rows, or one line that says that
        there are no faults."""
        told: list[str] = []
        for kind in FAULTS:
            some = [fault for fault in self.faults if fault.kind == kind]
            if some:
                rows = "; ".join(f"{fault.where}: {fault.told}" for fault in some[:SHOWN])
                told.append(f"{kind}: {len(some)}: {rows}{' …' if len(some) > SHOWN else ''}")
        return told or [f"{self.pairs} pairs, no fault found"]


def check_pairs(
    pairs: Sequence[InstructionPair],
    held_out: Sequence[InstructionPair] = (),
    *,
    least: int = 64,
    workers: int = 2,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> PairReport:
    """Read all pictures of the pairs and report their faults; raises nothing for a broken file.

    held_out: pairs of the validation list. A picture of pairs that also occurs there is a leak,
    even at another size or in another file format. least: targets whose shorter side is below this
    many px are tiny. workers: the number of reading threads. on_progress is called with the number
    of finished files and the total.
    """
    facts = _facts([*pairs, *held_out], workers, on_progress)
    faults = [fault for pair in pairs for fault in _of_pair(pair, facts, least)]
    faults += _duplicates(pairs, facts)
    faults += _leaks(pairs, held_out, facts)
    for pair in held_out:
        faults += [fault for fault in _of_pair(pair, facts, least) if fault.kind != TINY]
    return PairReport(len(pairs) + len(held_out), faults)


def picture_facts(path: Path) -> PictureFacts:
    """Read the facts about a picture file. Raises CanvasError when it is not a readable picture,
    and OSError when the file cannot be read."""
    image = open_picture(path)
    grey = image.mean(1, keepdim=True) * 255
    small = F.interpolate(grey, (LOOK_SIDE, LOOK_SIDE), mode="area").flatten()
    look = small if float(small.std()) >= FLAT else None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PictureFacts(image.shape[3], image.shape[2], digest, look)


Facts = dict[Path, PictureFacts | str]  # or the reason why it cannot be read


def _facts(
    pairs: Sequence[InstructionPair], workers: int, on_progress: Callable[[int, int], None]
) -> Facts:
    files = list(dict.fromkeys(path for pair in pairs for path in _files(pair)))
    found: Facts = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for done, (path, facts) in enumerate(
            zip(files, pool.map(_looked_at, files), strict=True), 1
        ):
            found[path] = facts
            on_progress(done, len(files))
    return found


def _looked_at(path: Path) -> PictureFacts | str:
    try:
        return picture_facts(path)
    except (CanvasError, OSError) as error:
        return str(error)


def _files(pair: InstructionPair) -> Iterator[Path]:
    yield from (path for path in (pair.input, pair.target, pair.mask) if path is not None)


def _of_pair(pair: InstructionPair, facts: Facts, least: int) -> Iterator[PairFault]:
    """Yield the faults of one pair, without comparing it to others."""
    for path in _files(pair):
        told = facts[path]
        if isinstance(told, str):
            yield PairFault(BROKEN if path.is_file() else MISSING, pair.where, told)
    target = facts[pair.target]
    if isinstance(target, str):
        return
    size = (target.width, target.height)
    if min(size) < least:
        yield PairFault(TINY, pair.where, f"{pair.target.name} is {size[0]} x {size[1]} px")
    if pair.width and pair.height and size != (pair.width, pair.height):
        listed = f"listed as {pair.width} x {pair.height} px and {size[0]} x {size[1]} px large"
        yield PairFault(SIZE, pair.where, f"{pair.target.name} is {listed}")
    for path in (pair.input, pair.mask):
        other = facts[path] if path else ""
        if isinstance(other, str):
            continue
        ratio = other.width * target.height / (other.height * target.width)
        if abs(ratio - 1) > MOST_UNLIKE:
            told = f"{other.width} x {other.height} px beside {size[0]} x {size[1]} px"
            yield PairFault(UNLIKE, pair.where, told)
    source = facts[pair.input] if pair.input else ""
    if not isinstance(source, str) and source.sha256 == target.sha256:
        yield PairFault(UNCHANGED, pair.where, "input and target are the same picture")


def _duplicates(pairs: Sequence[InstructionPair], facts: Facts) -> Iterator[PairFault]:
    """Yield a fault for each pair with the input, target and instructions of an earlier pair."""
    seen: dict[tuple[str, ...], str] = {}
    for pair in pairs:
        digests: list[str] = []
        for path in (pair.input, pair.target):
            told = facts[path] if path else ""
            digests.append(told if isinstance(told, str) else told.sha256)
        who = (*digests, *pair.instructions)
        if who in seen:
            yield PairFault(DUPLICATE, pair.where, f"the same as {seen[who]}")
        else:
            seen[who] = pair.where


def _leaks(
    pairs: Sequence[InstructionPair], held_out: Sequence[InstructionPair], facts: Facts
) -> Iterator[PairFault]:
    """Yield a fault for each pair whose target or input also occurs in a held-out pair."""
    held = _known_pictures(held_out, facts)
    by_bytes = {known.sha256: where for known, where in held}
    with_look = [(known.look, where) for known, where in held if known.look is not None]
    looks = torch.stack([look for look, _ in with_look]) if with_look else None
    for pair in pairs:
        for path in (pair.target, pair.input):
            told = facts[path] if path else ""
            if isinstance(told, str):
                continue
            where = "" if told.look is None else by_bytes.get(told.sha256, "")
            if not where and looks is not None and told.look is not None:
                apart = (looks - told.look).abs().mean(1)
                nearest = int(apart.argmin())
                where = with_look[nearest][1] if float(apart[nearest]) < SAME_LOOK else ""
            if where and path is not None:
                yield PairFault(LEAK, pair.where, f"{path.name} is also in {where}")
                break


def _known_pictures(
    pairs: Sequence[InstructionPair], facts: Facts
) -> list[tuple[PictureFacts, str]]:
    found: list[tuple[PictureFacts, str]] = []
    for pair in pairs:
        for path in (pair.target, pair.input):
            told = facts[path] if path else ""
            if not isinstance(told, str) and told.look is not None:
                found.append((told, pair.where))
    return found
