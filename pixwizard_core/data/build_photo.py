"""Build all pairs of one photograph. Every worker runs this code, so all write the same files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import PixWizardError, reason_of
from ..files.picture_files import save_picture
from ..fleet.index import DONE, FAILED, Record, is_kept
from ..tasks import COLOURS, Fields, find_task
from .chance import between, digest_of, generator_of, whole
from .photos import PhotoAtWork, SourcePhoto, as_mask, at_size, open_photo
from .recipes import (
    GROUNDED,
    RECIPES,
    BuiltPair,
    answer_for,
    check_buildable,
    drawn_as,
    lacking,
    nothing_to_see,
)
from .sentences import sentences_for
from .things import NamedThing

VERSION = 1  # of the recipes; raised when they make other pictures, so that all is built again
PHOTO = "photo"  # folder of the photographs themselves, as pairs show them
NOTHING = "nothing to see"  # status of a record without a pair, though nothing failed
TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build.

    tasks: names from recipes.BUILDABLE. seed: seed of all random choices. side: pictures are shrunk
    to at most side² px; 0 keeps their size. each: the number of random tasks per photograph; 0 uses
    all. sentences: the maximum number of instructions per pair. least: photographs whose shorter
    side is below this many px are left out. validation: the share of photographs, from 0 to below
    1, whose pairs are listed separately. per_metre: units per metre in metric depth files. Raises
    PixWizardError for a value out of range or an unknown task.
    """

    tasks: tuple[str, ...]
    seed: int = 0
    side: int = 768
    each: int = 0
    sentences: int = 3
    least: int = 64
    validation: float = 0.0
    per_metre: float = 1000.0

    def __post_init__(self) -> None:
        check_buildable(self.tasks)
        bounds = {"side": (0, 8192), "each": (0, 1000), "sentences": (1, 100), "least": (16, 8192)}
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise PixWizardError(f"{name} is a number from {low} to {high}. Got: {value}")
        if not 0 <= self.validation < 1:
            raise PixWizardError(f"validation is a share below 1. Got: {self.validation}")
        if not self.per_metre > 0:
            raise PixWizardError(f"per_metre is a number above 0. Got: {self.per_metre}")

    def part_of(self, name: str) -> str:
        """Return TRAIN or VALIDATION; depends only on the photograph's name and the seed."""
        drawn = between(generator_of(self.seed, "part", name), 0, 1)
        return VALIDATION if drawn < self.validation else TRAIN

    def tasks_of(self, photo: SourcePhoto) -> tuple[list[str], list[str]]:
        """Return the tasks to build from a photograph, and the reasons why others are
        impossible."""
        reasons = {task: lacking(task, photo) for task in self.tasks}
        able = [task for task, reason in reasons.items() if not reason]
        generator = generator_of(self.seed, "tasks", photo.name)
        while self.each and len(able) > self.each:
            able.pop(whole(generator, 0, len(able) - 1))
        return able, [reason for reason in reasons.values() if reason]

    def key(self, task: str, digest: str, thing: NamedThing | None = None) -> str:
        """Return a hash of everything that determines a pair's files and instructions. digest: the
        photograph's SourcePhoto.digest()."""
        told = {
            name: value for name, value in asdict(self).items() if name not in ("tasks", "each")
        }
        return digest_of(VERSION, told, task, digest, asdict(thing) if thing else None)


Work = tuple[SourcePhoto, BuildOrder, Path, dict[str, Record]]  # arguments of build_photo()


def build_photo(
    photo: SourcePhoto, order: BuildOrder, out: Path, known: Mapping[str, Record]
) -> Iterator[Record]:
    """Yield the index record of each pair of a photograph, and write its pictures to the folder
    out.

    known: the records of earlier runs by name. A pair is kept when its key is unchanged and its
    files exist. Raises no PixWizardError: a photograph or pair that cannot be built yields a record
    that has failed, with the reason.
    """
    tasks = order.tasks_of(photo)[0]
    try:
        digest = photo.digest()
        waiting: list[tuple[str, NamedThing | None]] = []
        for task in tasks:
            for thing in photo.things if task in GROUNDED else (None,):
                old = known.get(_name(task, photo, thing))
                if old and old["key"] == order.key(task, digest, thing) and is_kept(out, old):
                    yield old
                else:
                    waiting.append((task, thing))
        if not waiting:
            return
        work = open_photo(photo, order.side, order.per_metre)
        short = min(work.image.shape[2:])
        if short < order.least:
            raise PixWizardError(f"its shorter side has {short} px, fewer than {order.least}")
    except (PixWizardError, OSError) as error:
        for task in tasks:
            yield _failed(task, photo, error)
        return
    writer = PictureFolder(out, photo.name)
    for task, thing in waiting:
        try:
            key = order.key(task, digest, thing)
            if thing is None:
                yield _built(task, photo, work, order, writer, key)
            else:
                yield _grounded(task, thing, photo, work, order, writer, key)
        except PixWizardError as error:
            yield _failed(task, photo, error, thing)


class PictureFolder:
    """Writes the pictures of one photograph, each only once even when several pairs share it.

    out: the folder of the build. name: the photograph's name.
    """

    def __init__(self, out: Path, name: str) -> None:
        self.out, self.name = out, name
        self.written: set[str] = set()

    def put(self, kind: str, picture: Tensor, thing: str = "") -> str:
        """Write a picture (1, 3, H, W) in 0..1 to OUT/kind/NAME.png, or to OUT/kind/NAME/THING.png,
        unless it was written before. Returns its path relative to OUT. Raises CanvasError when it
        cannot be written."""
        place = f"{kind}/{self.name}/{thing}.png" if thing else f"{kind}/{self.name}.png"
        if place not in self.written:
            path = self.out / place
            path.parent.mkdir(parents=True, exist_ok=True)
            save_picture(path, picture)
            self.written.add(place)
        return place


def _built(
    task: str,
    photo: SourcePhoto,
    work: PhotoAtWork,
    order: BuildOrder,
    writer: PictureFolder,
    key: str,
) -> Record:
    pair: BuiltPair = RECIPES[task](work, generator_of(order.seed, drawn_as(task), photo.name))
    if reason := nothing_to_see(task, pair, work):
        return {**_failed(task, photo, PixWizardError(reason)), "status": NOTHING}
    drawn = generator_of(order.seed, "words", task, photo.name)
    takes = "caption" in find_task(task).fields
    words: list[Fields] = [{"caption": one} for one in work.captions] if takes else []
    words = [pair.words] if pair.words else words
    sentences = sentences_for(task, words, order.sentences, drawn)
    own = drawn_as(task)
    files = {
        side: writer.put(PHOTO, work.image) if picture is None else writer.put(own, picture)
        for side, picture in (("input", pair.input), ("target", pair.target))
    }
    if pair.masked:
        files["mask"] = writer.put(f"{own}_known", as_mask(work.known[pair.masked]))
    record = _record(_name(task, photo), task, key, photo, work, order, sentences, files)
    return {"note": pair.note, **record} if pair.note else record


def _grounded(
    task: str,
    thing: NamedThing,
    photo: SourcePhoto,
    work: PhotoAtWork,
    order: BuildOrder,
    writer: PictureFolder,
    key: str,
) -> Record:
    """Build the pair of one object of a photograph, with a random colour, and return its record."""
    colours = list(COLOURS)
    drawn = generator_of(order.seed, "words", task, photo.name, thing.id)
    colour = colours[whole(drawn, 0, len(colours) - 1)]
    mask = at_size(thing.mask()[None, None].float(), work.image, photo.path.name)[0, 0] > 0.5
    answer = answer_for(task, work.image, mask, colour)
    words: list[Fields] = [{"target": phrase, "colour": colour} for phrase in thing.phrases]
    sentences = sentences_for(task, words, order.sentences, drawn)
    files = {"input": writer.put(PHOTO, work.image), "target": writer.put(task, answer, thing.id)}
    return _record(_name(task, photo, thing), task, key, photo, work, order, sentences, files)


def _record(
    name: str,
    task: str,
    key: str,
    photo: SourcePhoto,
    work: PhotoAtWork,
    order: BuildOrder,
    sentences: Sequence[str],
    files: Mapping[str, str],
) -> Record:
    height, width = work.image.shape[2:]
    return {
        "name": name, "key": key, "status": DONE, "task": task, "path": photo.name,
        "part": order.part_of(photo.name), "instruction": list(sentences), "width": width,
        "height": height, "files": dict(files),
    }  # fmt: skip


def _failed(
    task: str, photo: SourcePhoto, error: BaseException, thing: NamedThing | None = None
) -> Record:
    return {
        "name": _name(task, photo, thing), "key": "", "status": FAILED, "task": task,
        "path": str(photo.path), "error": reason_of(error, 300), "files": {},
    }  # fmt: skip


def _name(task: str, photo: SourcePhoto, thing: NamedThing | None = None) -> str:
    return f"{task}/{photo.name}/{thing.id}" if thing else f"{task}/{photo.name}"


def one_thread() -> None:
    """Limit torch to one thread, because sums over several threads differ in their last bits."""
    torch.set_num_threads(1)
