"""Lists of pictures with their own instructions: CSV with a heading, or one JSON object a line."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..json_text import json_lines, read_text

MANIFESTS = frozenset((".csv", ".jsonl", ".ndjson"))
PATH = "path"
FIELDS = ("task", "instruction", "target", "caption", "colour", "seed")


@dataclass(frozen=True, slots=True)
class Row:
    """path: absolute, or beside the manifest. words: those of FIELDS that the row fills in."""

    path: Path
    words: dict[str, str]


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest. Raises PixWizardError naming the row and what is wrong with it."""
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    return [_row(values, path, number) for number, values in rows]


def _csv_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(path, PixWizardError)))
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise PixWizardError(f"{path.name}, line {reader.line_num}: {error}") from error
    if PATH not in (reader.fieldnames or ()):
        raise PixWizardError(
            f"{path.name} has no column {PATH!r}; its first line must name columns: {PATH}, "
            f"and any of {', '.join(FIELDS)}. Got: {', '.join(reader.fieldnames or ['nothing'])}"
        )
    return rows


def read_json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of each line. Raises PixWizardError naming a line that is none."""
    if not path.is_file():
        raise PixWizardError(f"there is no {path}")
    return _json_rows(path)


def _json_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, _, row in json_lines(path, PixWizardError):
        if not isinstance(row, dict):
            raise PixWizardError(f"{path.name}, line {number}: not a JSON object")
        rows.append((number, row))
    return rows


def _row(values: dict[str, Any], path: Path, number: int) -> Row:
    picture = values.get(PATH)
    if not isinstance(picture, str) or not picture.strip():
        raise PixWizardError(f"{path.name}, line {number}: no {PATH}")
    filled = [name for name in FIELDS if values.get(name) not in ("", None)]
    words = {name: str(values[name]).strip() for name in filled}
    if not re.fullmatch(r"-?[0-9]{1,18}", words.get("seed", "0")):
        raise PixWizardError(
            f"{path.name}, line {number}: the seed is a whole number of up to 18 digits. "
            f"Got: {words['seed']!r}"
        )
    return Row(path.parent / picture.strip(), words)
