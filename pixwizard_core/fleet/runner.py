"""A whole run: find what is left, let an engine process it, list results as they finish, and sort
the list."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PixWizardError
from .index import (
    DONE,
    LEFT_OUT,
    PARQUET,
    STOPPED,
    Appender,
    Record,
    failures_path,
    index_path,
    lists_of,
    locked,
    read_all,
    write_list,
    write_or_remove,
    write_parquet,
)  # fmt: skip
from .items import Item
from .job import Job
from .journal import FOLDER as JOURNALS
from .latents import FOLDER
from .plan import Chain, Failure, chains_of, in_shard, is_of

TORN = ".*.[0-9]*.[0-9]*.part"  # what a killed run was writing, by whole_file's names
Engine = Callable[[Job, Sequence[Chain]], Iterator[Record]]


@dataclass
class Report:
    """What a run did. records: of all its items, done now or before. index: the list."""

    index: Path
    done: int = 0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    parquet: bool = False
    listed_failures: Path | None = None


def run_fleet(
    job: Job,
    items: Sequence[Item],
    engine: Engine,
    *,
    workers: int = 1,
    shard: tuple[int, int] = (1, 1),
    failures: Sequence[Failure] = (),
    left_out: Sequence[Record] = (),
    on_progress: Callable[[int, int, int], None] = lambda done, total, failed: None,
) -> Report:
    """Do the items that are not done yet. failures: what could not even be looked at. left_out:
    what is no item, to be listed.

    on_progress(done, total, failed) counts what this run has to do. Raises PixWizardError when
    another run works on the same list, ValueError for items with a truth and a job without score.
    """
    if job.score is None and any(item.truth for item in items):
        raise ValueError("items have a truth to compare with; give Job.score")
    out = Path(job.out)
    path = index_path(out, shard)
    with locked(path):
        mine = [item for item in items if in_shard(item, shard, bool(job.temporal))]
        known = read_all(out)
        chains, before = chains_of(mine, job, known, workers)
        _refuse_to_overwrite(chains, known)
        unseen = [failure for failure in failures if is_of(failure["name"], shard)]
        report = Report(path, skipped=len(before), failures=unseen)
        report.listed_failures = failures_path(out, shard)
        total = sum(len(batch) for chain in chains for batch in chain)
        on_progress(0, total, 0)
        records = {record["name"]: record for record in before}
        _work_off(job, chains, engine, path, report, records, total, on_progress)
        report.records = sorted(records.values(), key=lambda record: record["name"])
        report.failures.sort(key=lambda failure: failure["name"])
        _settle(out, path, shard, report)
        write_or_remove(out / LEFT_OUT, left_out)
    return report


def _refuse_to_overwrite(chains: Sequence[Chain], known: dict[str, Record]) -> None:
    """Raises PixWizardError when results of another picture, that is still there, would go."""
    for todo in (todo for chain in chains for batch in chain for todo in batch):
        other = known.get(todo.item.name, {}).get("path", todo.item.path)
        if other != todo.item.path and Path(other).is_file():
            raise PixWizardError(
                f"{todo.item.name} in the output folder belongs to {other}, and now "
                f"{todo.item.path} would replace it; choose another folder for --out"
            )


def _work_off(job, chains, engine, path, report, records, total, on_progress) -> None:
    if not chains:
        return
    listed, failed = Appender(path), 0
    try:
        for record in engine(job, chains):
            if record["status"] == DONE:
                listed.add(record)
                records[record["name"]] = record
                report.done += 1
            elif record["status"] == STOPPED:
                raise PixWizardError(
                    f"{record['error']}; a new run continues where this one stopped"
                )
            else:
                report.failures.append({name: record[name] for name in ("name", "path", "error")})
                failed += 1
            on_progress(report.done, total, failed)
    finally:
        listed.close()


def _settle(out: Path, path: Path, shard: tuple[int, int], report: Report) -> None:
    """Put the list in order: this run's items, and what earlier runs listed of others."""
    if shard == (1, 1):
        report.parquet = _collect(out, report.records)
    else:
        write_list(path, report.records)
    write_or_remove(failures_path(out, shard), report.failures)
    if shard == (1, 1):
        if not report.failures:
            shutil.rmtree(out / FOLDER, ignore_errors=True)
        shutil.rmtree(out / JOURNALS, ignore_errors=True)
        for torn in out.rglob(TORN):
            torn.unlink(missing_ok=True)


def _collect(out: Path, records: Sequence[Record]) -> bool:
    known = {**read_all(out), **{record["name"]: record for record in records}}
    write_list(index_path(out), known.values())
    return write_parquet(out / PARQUET, known.values())


def collect(out: Path) -> tuple[int, bool]:
    """Put the lists of all shards together: (items, whether as Parquet too). Raises PixWizardError
    where there is none."""
    if not lists_of(out):
        raise PixWizardError(f"there is no list in {out}; --collect takes the --out of shards")
    with locked(index_path(out)):
        known = read_all(out)
        return len(known), _collect(out, [])
