"""The engine of many machines for build(): Ray Data hands out photographs in small groups.

Workers receive paths and return lines of the index; pictures never pass through Ray. All machines
must see the photographs and the output folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..fleet.index import Record
from ..fleet.on_ray import RayOptions, configure, session
from .build_photo import Work, build_photo, one_thread

TOGETHER = 8  # photographs of a task
TableRow = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkCell:
    """Some photographs as one cell of a table, which would take them to pieces otherwise."""

    some: tuple[Work, ...]


def _build_some(row: TableRow) -> Iterator[TableRow]:
    one_thread()
    for work in row["handed"].some:
        yield {"records": json.dumps(list(build_photo(*work)))}


def records_on_ray(jobs: Iterator[Work], options: RayOptions) -> Iterator[list[Record]]:
    """Yield the records of each photograph, in any order. Raises PixWizardError without Ray, and
    when a worker fails for good."""
    groups = [WorkCell(some) for some in _groups(jobs)]
    with session(options, options.workers) as ray:
        rows = [{"handed": group} for group in groups]
        results: Any = ray.data.from_items(rows, override_num_blocks=len(rows)).flat_map(
            _build_some, num_cpus=1, concurrency=options.workers
        )
        configure(results, options)
        for batch in results.iter_batches(batch_size=None, prefetch_batches=0):
            for records in batch["records"]:
                yield json.loads(records)


def _groups(jobs: Iterator[Work]) -> Iterator[tuple[Work, ...]]:
    while some := tuple(_absolute(work) for work in islice(jobs, TOGETHER)):
        yield some


def _absolute(work: Work) -> Work:
    photo, order, out, known = work
    return photo.absolute(), order, out.absolute(), known
