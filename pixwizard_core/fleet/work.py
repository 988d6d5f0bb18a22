"""One worker: reads pictures, paints answers, writes results. Every engine runs only this code on
items, so their results agree."""

from __future__ import annotations

import errno
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..decode import Hints, ade20k
from ..errors import PixWizardError, reason_of
from ..files.answers import write_answer
from ..files.film import FilmReader
from ..files.picture_bands import PictureBands
from ..files.picture_files import allow_pixels, open_picture
from .fits import why_not_sharp
from .forward import RememberedTexts
from .index import DONE, FAILED, STOPPED, Record
from .items import Item
from .job import Job
from .painting import Painted, Painter, Picture
from .plan import Batch, Chain, Todo, canvas_of

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
READ_AHEAD, WRITE_BEHIND = 2, 4  # batches
Read = Picture | Exception
Answer = Painted | Exception
Result = TypeVar("Result")
REASON_LENGTH = 300
log = logging.getLogger(__name__)


class Worker:
    """A model, and what is needed to turn items into results. device: overrides the job's."""

    def __init__(self, job: Job, retries: int = 2, device: str | None = None, bundle=None) -> None:
        torch.set_num_threads(job.threads)
        if job.max_pixels is not None:
            allow_pixels(job.max_pixels)
        bundle = bundle or job.model.load(device or job.device)
        self.painter = Painter(job, replace(bundle, text=RememberedTexts(bundle.text)))
        self.job, self.retries = job, retries
        self.films = FilmReader()

    def read(self, batch: Batch) -> list[Read]:
        """The pictures of a batch, or why one cannot be read."""
        return [self._read(todo.item) for todo in batch]

    def _read(self, item: Item) -> Read:
        def attempt() -> Picture:
            if item.shot is not None:
                return self.films.read(item.path, item.shot)
            return PictureBands(item.path) if self.job.tiles else open_picture(item.path)

        return self._tried(attempt)

    def paint(self, batch: Batch, images: Sequence[Read]) -> list[Answer]:
        """The answers of a batch, or the reason where there is none. When a batch fails as a whole,
        its items are tried one by one, so one bad item costs no other its result."""
        good = {i: one for i, one in enumerate(images) if not isinstance(one, Exception)}
        found: dict[int, Answer] = {
            i: one for i, one in enumerate(images) if isinstance(one, Exception)
        }
        if self.job.temporal and not good:
            self.painter.carry(batch[0])
        if good:
            todos = [batch[i] for i in good]
            painted = self._tried(lambda: self.painter.paint(todos, [*good.values()]))
            for place, i in enumerate(good):
                if isinstance(painted, list):
                    found[i] = painted[place]
                elif len(good) == 1:
                    found[i] = painted
                else:
                    alone = self._tried(lambda i=i: self.painter.paint([batch[i]], [good[i]]))
                    found[i] = alone[0] if isinstance(alone, list) else alone
        return [found[i] for i in range(len(images))]

    def write(
        self, batch: Batch, images: Sequence[Read], answers: Sequence[Answer]
    ) -> list[Record]:
        """Write the results of a batch; their records, in order."""
        rows = zip(batch, images, answers, strict=True)
        return [self._write(*row) for row in rows]

    def _write(self, todo: Todo, image: Read, answer: Answer) -> Record:
        if isinstance(answer, Exception):
            return failed(todo, answer)
        if isinstance(image, Exception):  # then there is no answer either
            return failed(todo, image)
        record = self._tried(lambda: self._record(todo, image, answer))
        return failed(todo, record) if isinstance(record, Exception) else record

    def _record(self, todo: Todo, image: Picture, answer: Painted) -> Record:
        job, item = self.job, todo.item
        out, canvas = Path(job.out), canvas_of(item, job)
        written, facts = answer.files, dict(answer.data)
        metrics: dict[str, Any] = {}
        if isinstance(image, Tensor) and answer.image_01 is not None:
            if job.save:
                look, place = self.painter.look(item), out / item.name
                hints = Hints(
                    image, look.colour, job.palette or ade20k(), job.near, job.range_m
                )  # fmt: skip
                written, found = write_answer(
                    place.parent, place.name, look.kind, answer.image_01, hints
                )
                facts |= found
            if item.truth and job.score:
                metrics = job.score(item.truth, answer.image_01, image, job.palette)
        if job.sharp:
            facts["sharp"] = why_not_sharp(item, job) or True
        files = {what: path.relative_to(out).as_posix() for what, path in written.items()}
        return {
            **({"note": item.note} if item.note else {}),
            "name": item.name, "key": todo.key, "status": DONE, "path": item.path,
            "frame": item.frame, "sequence": item.sequence, "task": item.task,
            "instruction": item.instruction, "seed": job.seed_of(item),
            "width": item.size.width, "height": item.size.height,
            "model_width": canvas.model.width, "model_height": canvas.model.height,
            "files": files, "data": facts, "metrics": metrics, **answer.told,
        }  # fmt: skip

    def _tried(self, attempt: Callable[[], Result]) -> Result | Exception:
        """The result of attempt(), after as many tries as the job allows, or its last error. A
        user's mistake is not tried again."""
        last: Exception = PixWizardError("nothing was attempted")
        for number in range(self.retries + 1):
            try:
                return attempt()
            except Exception as error:
                last = error
                if not may_pass(error):
                    break
                log.warning("attempt %d of %d failed: %s", number + 1, self.retries + 1, error)
        return last


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: not after a user's mistake or with a full disk."""
    cause = error.__cause__ if isinstance(error, PixWizardError) else error
    if isinstance(cause, OSError):
        # Pillow's complaints about what is in a file are OSErrors too, without a number.
        number = cause.errno
        return number not in (*FULL, errno.ENOENT) and (number is not None or cause is error)
    return isinstance(cause, (RuntimeError, ValueError, MemoryError)) and cause is error


def failed(todo: Todo, error: BaseException) -> Record:
    """The record of an item without a result. A full disk stops the run, since no other item could
    succeed."""
    reason = reason_of(error, REASON_LENGTH)
    full = any(getattr(one, "errno", None) in FULL for one in (error, error.__cause__))
    status = STOPPED if full else FAILED
    return {"name": todo.item.name, "key": todo.key, "status": status, "path": todo.item.path,
            "error": reason}  # fmt: skip


def work(worker: Worker, chain: Chain) -> Iterator[Record]:
    """Do a chain's batches in order: one thread reads ahead, this one paints, one writes."""
    todo, reads, writes = iter(chain), deque(), deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:

        def read_ahead() -> None:
            while len(reads) < READ_AHEAD and (batch := next(todo, None)):
                reads.append((batch, reader.submit(worker.read, batch)))

        read_ahead()
        while reads:
            batch, read = reads.popleft()
            images = read.result()
            read_ahead()
            answers = worker.paint(batch, images)
            writes.append(writer.submit(worker.write, batch, images, answers))
            while writes and (writes[0].done() or len(writes) > WRITE_BEHIND):
                yield from _result(writes.popleft())
        while writes:
            yield from _result(writes.popleft())


def _result(future: Future) -> Iterator[Record]:
    yield from (record for record in future.result())  # a generator, which Ray can drive
