"""Build instruction pairs from a folder of photographs.

The output folder receives the pictures by kind, index.jsonl and the lists for training. The index
has one line per pair and is appended to during the run, so that an interrupted run can be resumed.
A second build gives byte-identical files, with any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from multiprocessing import get_context
from pathlib import Path

import torch

from ..errors import PixWizardError
from ..files.left_out import LeftOut
from ..fleet.index import (
    DONE,
    FAILED,
    FAILURES,
    LEFT_OUT,
    Appender,
    Record,
    index_path,
    locked,
    read_records,
    write_list,
    write_or_remove,
)
from ..fleet.on_ray import RayOptions
from .build_on_ray import records_on_ray
from .build_photo import NOTHING, TRAIN, VALIDATION, BuildOrder, Work, build_photo, one_thread
from .lists import write_list as write_pairs
from .meta import PairSource, write_meta
from .pairs import InstructionPair
from .photos import SourcePhoto

LISTS = "lists"
AHEAD = 4  # photographs waiting for each worker


@dataclass(slots=True)
class BuildResult:
    """What build() did.

    records: the index records of all pairs, sorted by name. failed: the records of pairs that could
    not be built. built, kept: the number of pairs from this run and from earlier ones. dropped: the
    number of earlier pairs that do not belong to this build, so the lists no longer contain them.
    """

    records: list[Record] = field(default_factory=list[Record])
    failed: list[Record] = field(default_factory=list[Record])
    built: int = 0
    kept: int = 0
    dropped: int = 0

    def notes(self) -> list[str]:
        """One line, with a count, for each guess that was made and each fact that a list cannot
        hold."""
        counts: dict[str, int] = {}
        for record in self.records:
            if note := record.get("note"):
                counts[note] = counts.get(note, 0) + 1
        masked = sum("mask" in record["files"] for record in self.records)
        lines = [f"{count} pairs: {note}" for note, count in sorted(counts.items())]
        if self.dropped:
            lines.append(
                f"{self.dropped} pairs of an earlier run with other tasks or photographs are not "
                "listed any more; their pictures stay"
            )
        if masked:
            lines.append(
                f"{masked} pairs have masks of where the truth is known, which pairs.jsonl names "
                "and the released lists cannot"
            )
        return lines


def build(
    photos: Sequence[SourcePhoto],
    order: BuildOrder,
    out: str | Path,
    *,
    workers: int = 1,
    ray: RayOptions | None = None,
    left_out: LeftOut | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> BuildResult:
    """Build all pairs of the photographs, and their lists, in the folder out.

    workers: the number of processes. ray: run on Ray instead, with its own workers. left_out: the
    files that the search for photographs left out; whatever cannot be built is added, and
    everything is written to left_out.jsonl. on_progress is called with the number of finished
    photographs and the total. Raises PixWizardError when another run uses out, no pair can be
    built, workers is below 1, or a file cannot be written.
    """
    out, left_out = Path(out), left_out or LeftOut()
    for photo in photos:
        for reason in order.tasks_of(photo)[1]:
            left_out.tell(photo.path, reason)
    index = index_path(out)
    result = BuildResult()
    with locked(index):
        known = {record["name"]: record for record in read_records(index)}
        appender = Appender(index)
        try:
            pairs = _records(photos, order, out, known, workers, ray)
            for done, records in enumerate(pairs, 1):
                for record in records:
                    _take(record, known, appender, result, left_out)
                on_progress(done, len(photos))
        finally:
            appender.close()
        result.dropped = len(known.keys() - {r["name"] for r in result.records + result.failed})
        result.records.sort(key=lambda record: record["name"])
        _write_lists(result, out, left_out)
    if not result.records:
        reasons = left_out.lines() + [record["error"] for record in result.failed[:1]]
        raise PixWizardError(f"no pair could be built. {' '.join(reasons)}")
    return result


def _take(
    record: Record,
    known: Mapping[str, Record],
    appender: Appender,
    result: BuildResult,
    left_out: LeftOut,
) -> None:
    if record["status"] == NOTHING:
        left_out.tell(Path(record["path"]), record["error"])
        return
    if record["status"] != DONE:
        result.failed.append(record)
        return
    result.records.append(record)
    if known.get(record["name"]) == record:
        result.kept += 1
    else:
        appender.add(record)
        result.built += 1


def _records(
    photos: Sequence[SourcePhoto],
    order: BuildOrder,
    out: Path,
    known: Mapping[str, Record],
    workers: int,
    ray: RayOptions | None,
) -> Iterator[list[Record]]:
    """Yield the records of each photograph."""
    count = ray.workers if ray else workers
    if count < 1:
        raise PixWizardError(f"workers is a number of processes, at least 1. Got: {count}")
    jobs = ((photo, order, out, _of_photo(photo, order, known)) for photo in photos)
    if ray:
        yield from records_on_ray(jobs, ray)
        return
    if workers == 1:
        for job in jobs:
            with _alone():
                records = list(build_photo(*job))
            yield records
        return
    # A process that is forked after torch has started threads may never end.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=one_thread) as pool:
        waiting = [pool.submit(_list_of, job) for job in islice(jobs, workers * AHEAD)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(_list_of, job) for job in islice(jobs, 1)]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _list_of(job: Work) -> list[Record]:
    return list(build_photo(*job))


def _of_photo(
    photo: SourcePhoto, order: BuildOrder, known: Mapping[str, Record]
) -> dict[str, Record]:
    names = [f"{task}/{photo.name}" for task in order.tasks]
    names += [f"{task}/{photo.name}/{thing.id}" for task in order.tasks for thing in photo.things]
    return {name: known[name] for name in names if name in known}


@contextmanager
def _alone() -> Generator[None]:
    """Limit torch to one thread inside the block."""
    before = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pair_of_record(record: Record, out: Path) -> InstructionPair:
    """Return the pair that an index record describes. out: the folder of the build."""
    files: dict[str, str] = record["files"]
    return InstructionPair(
        out / files["input"],
        out / files["target"],
        tuple(record["instruction"]),
        record["task"],
        out / files["mask"] if "mask" in files else None,
        record["width"],
        record["height"],
        record["name"],
    )


def _write_lists(result: BuildResult, out: Path, left_out: LeftOut) -> None:
    """Write index.jsonl sorted by name, the lists pairs.jsonl and validation.jsonl, the lists
    lists/TASK.json and meta.yaml in the released model's format, and the files of failed pairs and
    of what was left out."""
    write_list(index_path(out), result.records)
    failed: list[Record] = [{**record, "status": FAILED} for record in result.failed]
    write_or_remove(out / f"{FAILURES}.jsonl", failed)
    rows: list[Record] = [dict(row) for row in left_out.rows]
    write_or_remove(out / LEFT_OUT, rows)
    names = {TRAIN: "pairs", VALIDATION: "validation"}
    for part, name in names.items():
        records = [record for record in result.records if record["part"] == part]
        _write_part(records, out, name, LISTS if part == TRAIN else f"{LISTS}_{VALIDATION}")


def _write_part(records: Sequence[Record], out: Path, name: str, folder: str) -> None:
    ours, meta = out / f"{name}.jsonl", out / ("meta.yaml" if name == "pairs" else f"{name}.yaml")
    if not records:
        for path in (ours, meta, *out.glob(f"{folder}/*.json")):
            path.unlink(missing_ok=True)
        return
    write_pairs(ours, [pair_of_record(record, out) for record in records])
    (out / folder).mkdir(exist_ok=True)
    sources: list[PairSource] = []
    for task, some in groupby(sorted(records, key=_task), key=_task):
        path = out / folder / f"{task}.json"
        write_pairs(path, [_without_mask(pair_of_record(record, out)) for record in some])
        sources.append(PairSource(path))
    for path in set(out.glob(f"{folder}/*.json")) - {source.path for source in sources}:
        path.unlink()
    write_meta(meta, sources)


def _task(record: Record) -> str:
    return record["task"]


def _without_mask(pair: InstructionPair) -> InstructionPair:
    return InstructionPair(
        pair.input, pair.target, pair.instructions, pair.task, None, pair.width, pair.height,
        pair.where,
    )  # fmt: skip
