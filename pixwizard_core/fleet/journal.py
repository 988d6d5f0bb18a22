"""What is done of a chain, recorded while it is processed, so that another worker can continue it.

Ray gives the chain of a worker that ended to another one, any number of times, and drops what of
the new results it has had before. The journal saves doing that again, and tells which batch was in
work when workers ended, so that one that always ends them is given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import PixWizardError
from .index import Appender, Record, read_objects
from .items import digest
from .plan import Batch, Chain
from .work import Worker, work

FOLDER = ".chains"
BEGUN, ALL = "begun", ""
LOST = "its worker died without an error, {times} times; out of memory, or a crash"


def go_on(worker: Worker, chain: Chain, retries: int, folder: Path) -> Iterator[Record]:
    """Records of a chain in its order, those that an earlier worker got to first.

    The first worker does the chain as a whole. Those after it do one batch at a time, so that it is
    known at which batch they end; after `retries` of them (at least one) it is given up.
    """
    path = folder / f"{digest([todo.item.name for batch in chain for todo in batch])}.jsonl"
    known = read_objects(path)
    records = [line for line in known if BEGUN not in line]
    yield from records
    journal = Appender(path)
    try:
        if not known:
            journal.add({BEGUN: ALL})
            yield from _noted(journal, work(worker, chain))
        else:
            for batch in _left(chain, len(records)):
                begun = {BEGUN: batch[0].item.name}
                ended = known.count(begun)
                if ended >= max(1, retries):
                    yield from _noted(journal, _given_up(worker, batch, ended + 1))
                else:
                    journal.add(begun)
                    yield from _noted(journal, work(worker, (batch,)))
    finally:
        journal.close()
    path.unlink(missing_ok=True)


def _noted(journal: Appender, records: Iterable[Record]) -> Iterator[Record]:
    for record in records:
        journal.add(record)
        yield record


def _given_up(worker: Worker, batch: Batch, times: int) -> list[Record]:
    """As if no picture of the batch could be read, so that frames after it go on."""
    pictures = [PixWizardError(LOST.format(times=times))] * len(batch)
    return worker.write(batch, pictures, worker.paint(batch, pictures))


def _left(chain: Chain, done: int) -> Iterator[Batch]:
    """The batches of a chain without their first `done` items."""
    for batch in chain:
        if batch[done:]:
            yield batch[done:]
        done = max(0, done - len(batch))
