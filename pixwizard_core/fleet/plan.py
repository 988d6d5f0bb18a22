"""Turn found pictures into work: their names, their tasks, what is left, in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..canvas import Canvas, Size, centres_for, plan
from ..errors import InstructionError, PixWizardError
from ..files.film import look
from ..files.picture_files import picture_size
from ..seeds import as_seed
from ..tasks import FIELDS, FREE_TEXT, find_task, instruction, read_phrasing
from ..taught import Taught
from .index import Record, is_kept
from .items import Item, digest, file_hash, with_names
from .job import Job
from .latents import LatentStore
from .sources import SourcePicture

CHAIN_LIMIT = 8  # batches handed to a worker at a time, so that it can read ahead
HANDOUTS = 4  # chains a worker gets at least, so that all end at about the same time

Failure = dict[str, str]


@dataclass(frozen=True, slots=True)
class Todo:
    """An item, the key of its result, and the previous frame's key where it starts from that."""

    item: Item
    key: str
    before: str = ""


Batch = tuple[Todo, ...]
Chain = tuple[Batch, ...]  # done in order by one worker


def identify(
    found: Iterable[SourcePicture],
    asked: dict[str, str],
    on_seen: Callable[[int, int], None] = lambda seen, failed: None,
    taught: Taught | None = None,
    check: Callable[[Item], None] = lambda item: None,
) -> tuple[list[Item], list[Failure]]:
    """Items with content hash and size, and what could not be read.

    asked: task, instruction, phrasing and the fields of tasks for pictures whose row says nothing
    else. on_seen: told how many could be read so far, and how many not. taught: what the model was
    taught, which decides the sentences; None for the released model. check: raises for an item that
    cannot be done as asked.
    Raises InstructionError when a sentence cannot be made, or from check.
    """
    items, failures = [], []
    hashes: dict[Path, str] = {}
    for number, one in enumerate(found, 1):
        try:
            if one.path not in hashes:
                hashes[one.path] = file_hash(one.path)
            item = _item(one, asked, hashes[one.path], _size(one), taught)
            check(item)
            items.append(item)
        except InstructionError as error:
            raise InstructionError(f"{one.path}: {error}") from error
        except (PixWizardError, OSError) as error:
            failures.append(failure(one.name, str(one.path), error))
        on_seen(number - len(failures), len(failures))
    return with_names(items), failures


def _size(one: SourcePicture) -> Size:
    if one.frame is None:
        return Size(*picture_size(one.path))
    shot = one.shot or look(one.path).shots[one.frame]
    return Size(*shot.size)


def failure(name: str, path: str, error: BaseException) -> Failure:
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return {"name": name, "path": path, "error": reason[0][:300]}


def _item(
    one: SourcePicture, asked: dict[str, str], content: str, size: Size, taught: Taught | None
) -> Item:
    words = {**asked, **one.words}
    own, given = one.words.get("instruction"), None
    if own or (asked.get("instruction") and "task" not in one.words):
        sentence = own or asked["instruction"]
        task = words.get("task") or FREE_TEXT
    elif words.get("task"):
        task = words["task"]
        given = {name: words.get(name, "") for name in FIELDS}
        chosen = read_phrasing(words["phrasing"]) if words.get("phrasing") else {}
        asking: dict[str, Any] = {**given, **chosen}
        sentence = instruction(task, **asking, taught=taught)
    else:
        raise InstructionError(
            "it has no task; give --task or --instruction, or name one in its row"
        )
    find_task(task)
    seed = as_seed(words["seed"]) if words.get("seed") else None
    hints = {"colour": words["colour"]} if words.get("colour") else {}
    path = str(one.path.absolute())
    return Item(
        f"{one.name}_{task}", path, task, sentence, one.frame, one.sequence, content, size, seed,
        hints, one.truth, one.shot, one.note, given,
    )  # fmt: skip


def in_shard(item: Item, shard: tuple[int, int], whole_sequences: bool) -> bool:
    """Whether an item is in part i of n; by its name, so the parts stay when pictures are added."""
    return is_of(item.sequence if whole_sequences and item.sequence else item.name, shard)


def is_of(name: str, shard: tuple[int, int]) -> bool:
    """Whether a name is in part i of n."""
    part, of = shard
    return int(digest(name), 16) % of == part - 1


def canvas_of(item: Item, job: Job) -> Canvas:
    """How an item's picture lies on what the model sees."""
    centres = centres_for(job.centre, job.model.own.centres)
    return plan(item.size.width, item.size.height, centres, job.fit)


def chains_of(
    items: Sequence[Item], job: Job, done: dict[str, Record], workers: int = 1
) -> tuple[list[Chain], list[Record]]:
    """What is left to do, in chains, and the records of what is done already.

    done: newest records by name. A record counts when it has the item's key and its files exist.
    """
    out = Path(job.out)

    def is_done(todo: Todo) -> bool:
        record = done.get(todo.item.name)
        return bool(record) and record["key"] == todo.key and is_kept(out, record)

    if job.temporal:
        chains = [_sequence(frames, job, is_done) for frames in _sequences(items)]
        left = [tuple((todo,) for todo in rest) for rest, _ in chains if rest]
        again = {batch[0].key for chain in left for batch in chain}
        todos = [todo for _, frames in chains for todo in frames if todo.key not in again]
    else:
        todos = [Todo(item, job.key(item)) for item in sorted(items, key=lambda item: item.name)]
        batches = _batches([todo for todo in todos if not is_done(todo)], job)
        length = max(1, min(CHAIN_LIMIT, len(batches) // (HANDOUTS * workers)))
        left = [tuple(batches[at : at + length]) for at in range(0, len(batches), length)]
    return left, [done[todo.item.name] for todo in todos if is_done(todo)]


def _batches(todos: list[Todo], job: Job) -> list[Batch]:
    """Full groups of one task, canvas size and length of text, then what is left of each."""
    groups: dict[tuple, list[Todo]] = {}
    for todo in todos:
        item, canvas = todo.item, canvas_of(todo.item, job)
        length = job.model.token_count(item.instruction) if job.batch > 1 else 0
        groups.setdefault((item.task, canvas.model, canvas.centre, length), []).append(todo)
    return [
        tuple(group[at : at + job.batch])
        for group in groups.values()
        for at in range(0, len(group), job.batch)
    ]


def _sequences(items: Sequence[Item]) -> list[list[Item]]:
    """Frames by sequence, task and size, in order; a picture of no sequence is one of its own."""
    groups: dict[tuple, list[Item]] = {}
    for item in items:
        groups.setdefault((item.sequence or item.name, item.task, item.size), []).append(item)
    return list(groups.values())


def _sequence(
    frames: list[Item], job: Job, is_done: Callable[[Todo], bool]
) -> tuple[list[Todo], list[Todo]]:
    """(what is left, all) of a sequence. What follows an item that is left is left as well, since
    it starts from it."""
    todos, before = [], ""
    for item in frames:
        todos.append(Todo(item, job.key(item, before), before))
        before = todos[-1].key
    first = next((at for at, todo in enumerate(todos) if not is_done(todo)), len(todos))
    if job.temporal and job.temporal.start > 0 and first < len(todos):
        kept = LatentStore(Path(job.out))
        while first > 0 and not kept.has(todos[first].before):
            first -= 1  # what it starts from is gone, so that is made again as well
    return todos[first:], todos
