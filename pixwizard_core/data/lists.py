"""Lists of instruction pairs: JSONL (ours), a JSON array (the released model's) and CSV.

Paths in a list are relative to its own folder, or to a root given by the caller. An invalid row
raises an error with its file and number; an unknown column is reported in a note.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError
from ..files.kinds import ending
from ..files.picture_files import replace_file
from ..json_text import json_bytes, json_lines, read_json_file, read_text
from .pairs import InstructionPair, pair_of, unused_columns

JSON_LINES = (".jsonl", ".ndjson")
LIST_ENDINGS = (*JSON_LINES, ".json", ".csv")
OURS = ("input", "target", "instruction", "task", "mask", "width", "height")
# Where a cell of CSV holds several instructions they are a JSON list.
LIST_MARK = "["
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PairList:
    """Pairs in the order of their rows. notes: what the list contains and the pairs do not use."""

    pairs: tuple[InstructionPair, ...]
    notes: tuple[str, ...] = ()


def read_list(path: str | Path, root: str | Path | None = None) -> PairList:
    """Read the pairs of a list. root: the folder that its paths are relative to; None means the
    list's own folder.

    Raises PixWizardError for a missing, empty or unsupported file, and for an invalid row, with its
    file and number. Does not check that the pictures exist; check_pairs() does.
    """
    path = Path(path)
    if not path.is_file():
        raise PixWizardError(f"there is no list {path.name} in {path.parent.absolute()}")
    rows = _rows(path)
    if not rows:
        raise PixWizardError(f"{path.name} lists no pairs")
    start = path.parent if root is None else Path(root)
    pairs = tuple(pair_of(row, start, where) for where, row in rows)
    unused = unused_columns([row for _, row in rows])
    notes = (f"{path.name}: {name} is not used, in {n} rows" for name, n in unused.items())
    return PairList(pairs, tuple(notes))


def write_list(path: str | Path, pairs: Sequence[InstructionPair]) -> None:
    """Write pairs to a list in the format of path's ending, with paths relative to its folder.

    .json is the released model's format: it stores no tasks, cannot store masks, and needs the size
    of every target, which measured() reads. Raises PixWizardError for another ending, for a pair
    that the format cannot store, and when the file cannot be written.
    """
    path = Path(path)
    kind = ending(path)
    if kind not in LIST_ENDINGS:
        raise PixWizardError(f"{path.name}: a list ends in {', '.join(LIST_ENDINGS)}")
    if kind == ".json":
        replace_file(path, json_bytes([_released(pair, path) for pair in pairs]))
        return
    rows = [_ours(pair, path.parent) for pair in pairs]
    text = _csv_text(rows) if kind == ".csv" else "".join(map(_line, rows))
    replace_file(path, text.encode())


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to folder, with forward slashes. On another drive of Windows the path
    stays absolute."""
    try:
        shown = os.path.relpath(path.absolute(), folder.absolute())
    except ValueError:  # another drive of Windows
        shown = str(path.absolute())
    return Path(shown).as_posix()


def _rows(path: Path) -> list[tuple[str, Row]]:
    """Return (where, row) for each row. Raises PixWizardError for a row that is not an object."""
    kind = ending(path)
    if kind in JSON_LINES:
        lines = json_lines(path, PixWizardError)
        return [_object(row, f"{path.name}, line {number}") for number, _, row in lines]
    if kind == ".json":
        data = read_json_file(path, PixWizardError)
        if not isinstance(data, list):
            raise PixWizardError(
                f"{path.name} is no list: a JSON list is an array of objects with input_path, "
                "target_path and prompt"
            )
        items = cast("list[Any]", data)
        return [_object(row, f"{path.name}, object {n}") for n, row in enumerate(items, 1)]
    if kind == ".csv":
        return _csv_rows(path)
    raise PixWizardError(f"{path.name} is no list of pairs; they end in {', '.join(LIST_ENDINGS)}")


def _object(row: Any, where: str) -> tuple[str, Row]:
    if not isinstance(row, dict):
        raise PixWizardError(f"{where} is no object. Got: {row!r:.60}")
    return where, cast(Row, row)


def _csv_rows(path: Path) -> list[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(read_text(path, PixWizardError), newline=""))
    rows: list[tuple[str, Row]] = []
    try:
        for row in reader:
            where = f"{path.name}, line {reader.line_num}"
            cells: dict[Any, Any] = dict(row)  # what is beyond the last column is under None
            if None in cells:
                raise PixWizardError(f"{where} has more cells than the first line has names")
            rows.append((where, {str(name): _cell(cell, where) for name, cell in cells.items()}))
    except csv.Error as error:
        raise PixWizardError(f"{path.name}, line {reader.line_num}: {error}") from None
    return rows


def _cell(text: str | None, where: str) -> Any:
    text = (text or "").strip()
    if not text.startswith(LIST_MARK):
        return text
    try:
        return json.loads(text)
    except ValueError:  # a sentence may begin with a bracket
        return text


def _ours(pair: InstructionPair, folder: Path) -> Row:
    words = list(pair.instructions)
    values: Row = {
        "input": relative(pair.input, folder) if pair.input else "",
        "target": relative(pair.target, folder),
        "instruction": words[0] if len(words) == 1 else words,
        "task": pair.task,
        "mask": relative(pair.mask, folder) if pair.mask else "",
        "width": pair.width,
        "height": pair.height,
    }
    return {name: value for name, value in values.items() if value}


def _released(pair: InstructionPair, path: Path) -> Row:
    name = relative(pair.target, path.parent)
    if pair.input is None:
        raise PixWizardError(
            f"{path.name}: {name} has no input, and the released list needs one; give text to "
            "image a black or white picture"
        )
    if pair.mask is not None:
        raise PixWizardError(f"{path.name}: {name} has a mask; write a .jsonl list, which holds it")
    if not (pair.width and pair.height):
        raise PixWizardError(f"{path.name}: the size of {name} is not known; measure the pairs")
    words = list(pair.instructions)
    return {
        "input_path": relative(pair.input, path.parent),
        "target_path": name,
        "prompt": words[0] if len(words) == 1 else words,
        "height": pair.height,
        "width": pair.width,
        "ratio": pair.ratio,
    }


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _csv_text(rows: Sequence[Row]) -> str:
    used = [name for name in OURS if any(name in row for row in rows)]
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, used, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "instruction": _csv_words(row["instruction"])})
    return buffer.getvalue()


def _csv_words(words: Any) -> str:
    """Return one instruction as it is, and several as a JSON list; so too one that begins like a
    list."""
    if isinstance(words, str) and not words.startswith(LIST_MARK):
        return words
    listed = [words] if isinstance(words, str) else cast("list[str]", words)
    return json.dumps(listed, ensure_ascii=False)
