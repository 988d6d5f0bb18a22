"""Rows of a dataset stored as a table: Parquet with pictures inside, or a list beside a folder of
pictures (metadata.jsonl or metadata.csv), the two common forms of such sets."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import PixWizardError, reason_of
from ...files.contents import contents
from ...files.walk import walk
from ...fleet.manifest import read_json_lines

LISTS = ("metadata.jsonl", "metadata.csv")
FILE_NAME = "file_name"
ROWS_AT_A_TIME = 16  # rows whose pictures are in memory at once
ENDINGS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif",
           b"BM": ".bmp"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture of a row: its file, or a file's bytes."""

    path: Path | None = None
    data: bytes = b""

    @property
    def ending(self) -> str:
        if self.path is not None:
            return self.path.suffix
        return next((end for head, end in ENDINGS.items() if self.data.startswith(head)), ".png")

    def bytes(self) -> bytes:
        return self.data if self.path is None else self.path.read_bytes()


def rows_of_table(
    root: Path, split: str, texts: Sequence[str], pictures: Sequence[str], maybe: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Rows in order, with the columns `texts` and `pictures` (StoredPicture), and those of `maybe`
    that the table has. split: takes the Parquet files whose path contains it, or all if none does.
    Raises PixWizardError for a table that lacks a column, and if there is no table."""
    files = parquet_files(root, split)
    if files:
        for path in files:
            yield from _parquet_rows(path, texts, pictures, maybe)
        return
    for base in (root / split, root):
        for name in LISTS:
            if (base / name).is_file():
                yield from _listed_rows(base / name, texts, pictures, maybe)
                return
    raise PixWizardError(
        f"{root} holds no table: looked for *.parquet and {' or '.join(LISTS)}. Found there: "
        f"{contents(root)}"
    )


def has_table(root: Path, split: str) -> bool:
    """Whether rows_of_table() finds a table."""
    if not root.is_dir():
        return False
    listed = any((base / name).is_file() for base in (root / split, root) for name in LISTS)
    return listed or bool(parquet_files(root, split))


def parquet_files(root: Path, split: str) -> list[Path]:
    """The Parquet files below root whose names belong to a split."""
    files = [path for path in walk(root) if path.suffix == ".parquet"]
    own = [p for p in files if split and any(part.startswith(split) for part in _parts(p, root))]
    return own or files


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts


def _parquet_rows(path, texts, pictures, maybe) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise PixWizardError(f"{path.name} needs pyarrow: pip install pyarrow") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise PixWizardError(f"{path} is no Parquet file ({reason_of(error, 120)})") from error
    with file:
        columns = file.schema_arrow.names
        wanted = [*texts, *pictures, *(name for name in maybe if name in columns)]
        _need(path, columns, (*texts, *pictures))
        for batch in file.iter_batches(ROWS_AT_A_TIME, columns=wanted):
            for row in batch.to_pylist():
                yield {name: _cell(path, name, row[name], name in pictures) for name in wanted}


def _need(path: Path, columns: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise PixWizardError(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(columns)}"
        )


def _cell(path: Path, name: str, value: Any, picture: bool) -> Any:
    stored = isinstance(value, dict) and {"bytes", "path"} & value.keys()
    if picture and not stored and not isinstance(value, bytes):
        raise PixWizardError(f"{path.name}: column {name} holds no pictures. Got: {value!r:.60}")
    if isinstance(value, bytes):
        return StoredPicture(data=value) if picture else value
    if not stored:
        return value
    if value.get("bytes"):
        return StoredPicture(data=value["bytes"])
    beside = path.parent / str(value.get("path"))
    if not beside.is_file():
        raise PixWizardError(f"{path.name}: column {name} names {beside}, which is not there")
    return StoredPicture(beside)


def _listed_rows(path, texts, pictures, maybe) -> Iterator[dict[str, Any]]:
    """Rows of a list. A single column of pictures may be called file_name; any may be called
    <column>_file_name."""
    for where, row in _objects(path):
        found: dict[str, Any] = {}
        for name in pictures:
            stored = row.get(f"{name}_{FILE_NAME}") or row.get(name)
            if not stored and len(pictures) == 1:
                stored = row.get(FILE_NAME)
            if not stored:
                raise PixWizardError(
                    f"{where}: no {name}_{FILE_NAME}; it has {', '.join(row) or 'nothing'}"
                )
            if not (path.parent / str(stored)).is_file():
                raise PixWizardError(f"{where}: there is no picture {path.parent / str(stored)}")
            found[name] = StoredPicture(path.parent / str(stored))
        _need(path, list(row), texts)
        yield {**found, **{name: row[name] for name in (*texts, *maybe) if name in row}}


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix == ".jsonl":
        for number, row in read_json_lines(path):
            yield f"{path.name}, line {number}", row
        return
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            yield f"{path.name}, line {number}", row
