"""The list of results: one JSON object per line, appended as items finish, sorted at the end.

A line that was cut off by a crash is dropped when the list is read again; its item is done again.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..files.picture_files import replace_file

Record = dict[str, Any]
INDEX, FAILURES, PARQUET, LOCK = "index", "failures", "index.parquet", ".lock"
LEFT_OUT = "left_out.jsonl"
BEST = "best"  # what the best of several answers was chosen by
DONE, FAILED, STOPPED = "done", "failed", "stopped"
HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}  # by another process


def index_path(out: Path, shard: tuple[int, int] = (1, 1)) -> Path:
    """index.jsonl, or the shard's own list."""
    return _list_path(INDEX, out, shard)


def failures_path(out: Path, shard: tuple[int, int] = (1, 1)) -> Path:
    """failures.jsonl, or the shard's own list."""
    return _list_path(FAILURES, out, shard)


def _list_path(kind: str, out: Path, shard: tuple[int, int]) -> Path:
    part, of = shard
    return out / (f"{kind}.jsonl" if of == 1 else f"{kind}-{part}-of-{of}.jsonl")


def read_records(path: Path) -> list[Record]:
    """The records of a list, without lines that are cut off."""
    return [record for record in read_objects(path) if {"name", "key"} <= record.keys()]


def read_objects(path: Path) -> list[dict[str, Any]]:
    """The JSON objects on whole lines of a file; none if there is no file."""
    found = []
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def lists_of(out: Path) -> list[Path]:
    """All lists in a folder, of a whole run and of shards, the newest last."""
    lists = out.glob(f"{INDEX}*.jsonl")
    return sorted(lists, key=lambda path: (path.stat().st_mtime_ns, path.name))


def shards_without_a_list(out: Path) -> list[str]:
    """Shards, as "2/4", that a folder with lists of others of their number has no list of."""
    named = [path.stem.split("-") for path in lists_of(out)]
    there = {(int(part), int(of)) for _, part, _, of in (one for one in named if len(one) == 4)}
    wanted = {(part, of) for _, of in there for part in range(1, of + 1)}
    return [f"{part}/{of}" for part, of in sorted(wanted - there)]


def read_all(out: Path) -> dict[str, Record]:
    """The newest record of each name in all lists of a folder."""
    found = {}
    for path in lists_of(out):
        found.update((record["name"], record) for record in read_records(path))
    return found


def is_kept(out: Path, record: Mapping[str, Any]) -> bool:
    """Whether all files of a record still exist."""
    return all((out / name).is_file() for name in record["files"].values())


class Appender:
    """Adds records to a list; each is on the disk when add() returns. Raises PixWizardError when
    it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a+b")
        self._drop_torn_line()

    def _drop_torn_line(self) -> None:
        end = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        whole = self.file.read().rfind(b"\n") + 1
        if whole != end:
            self.file.truncate(whole)

    def add(self, record: Record) -> None:
        try:
            self.file.write(as_line(record))
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise PixWizardError(
                f"cannot write {self.path}: {error.strerror or error}; what is listed stays done"
            ) from error

    def close(self) -> None:
        self.file.close()


def as_line(record: Record) -> bytes:
    """One JSON object and a line's end, in UTF-8; with escapes where a name is no text."""
    try:
        return json.dumps(record, ensure_ascii=False, sort_keys=True).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record, sort_keys=True).encode() + b"\n"


def write_list(path: Path, records: Iterable[Record]) -> None:
    """Replace a list by these records, sorted by name, in one step."""
    ordered = sorted(records, key=lambda record: record["name"])
    replace_file(path, b"".join(map(as_line, ordered)))


def write_or_remove(path: Path, records: Sequence[Record]) -> None:
    """Write the list of failures; remove it if there are none."""
    if records:
        replace_file(path, b"".join(map(as_line, records)))
    else:
        path.unlink(missing_ok=True)


def write_parquet(path: Path, records: Iterable[Record]) -> bool:
    """Write the list as Parquet too, nested values as JSON text. Returns False without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return False
    ordered = sorted(records, key=lambda record: record["name"])
    nested = ("files", "data", "metrics")
    rows = [
        {**r, "path": r["path"].encode(errors="backslashreplace").decode(),
         **{k: json.dumps(r[k], sort_keys=True) for k in (*nested, BEST) if k in r}}
        for r in ordered
    ]  # fmt: skip
    text, whole, seed = pyarrow.string(), pyarrow.int64(), pyarrow.uint64()
    columns = {
        **dict.fromkeys(("name", "key", "path", "sequence", "task", "instruction", "note"), text),
        **dict.fromkeys(("frame", "width", "height"), whole),
        "seed": seed,
        **dict.fromkeys(("model_width", "model_height"), whole),
        **dict.fromkeys(nested, text),
    }
    chosen = {BEST: text, "confidence": pyarrow.float64()}  # columns of runs that chose the best
    columns |= {name: kind for name, kind in chosen.items() if any(name in r for r in rows)}
    table = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(list(columns.items())))
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    replace_file(path, buffer.getvalue().to_pybytes())
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let only one run at a time work on a list. The lock ends with the process, however it ends.

    Raises PixWizardError when another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(LOCK).open("a+b") as file:
        try:
            _lock(file)
        except OSError as error:
            # Some network file systems know no locks; there a run goes on without one.
            if error.errno in HELD:
                raise PixWizardError(
                    f"another run is working on {path}; wait for it, or choose another --out or "
                    "--shard"
                ) from None
        yield


def _lock(file) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
