"""Lists of pictures with their own instructions: CSV with a heading, or one JSON object per
line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..files.kinds import ending
from ..json_text import json_lines, read_text
from ..seeds import as_seed
from ..tasks import FIELDS as TASK_FIELDS

PATH = "path"
FIELDS = ("task", "instruction", *TASK_FIELDS, "phrasing", "seed")
KNOWN = (PATH, *FIELDS)
OURS = frozenset(("truth",))  # in the lists that `pixwizard evaluate` writes
OWN = ("_", "#")  # what a column begins with that is not for us
MEANT = {
    **dict.fromkeys(("file", "filename", "image", "picture", "video", "source"), PATH),
    **dict.fromkeys(("prompt", "text", "words", "edit"), "instruction"),
    "object": "target",
    "color": "colour",
    "wording": "phrasing",
}  # headings that others use
SEPARATORS = ",;\t|"  # as spreadsheets of different countries write them


@dataclass(frozen=True, slots=True)
class Row:
    """path: absolute, or beside the manifest. words: those of FIELDS that the row fills in."""

    path: Path
    words: dict[str, str]


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest. Raises PixWizardError naming the row and what is wrong with it."""
    rows = _csv_rows(path) if ending(path) == ".csv" else _json_rows(path)
    return [_row(values, path, where) for where, values in rows]


def read_json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line number, object) of each line. Raises PixWizardError naming a line that is none."""
    if not path.is_file():
        raise PixWizardError(f"there is no {path}")
    rows = []
    for number, _, row in json_lines(path, PixWizardError):
        if not isinstance(row, dict):
            raise PixWizardError(f"{path.name}, line {number}: not a JSON object")
        rows.append((number, row))
    return rows


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    text = read_text(path, PixWizardError)
    first, _, rest = text.partition("\n")
    told, skipped = first.strip().casefold(), 0
    if told.startswith("sep=") and len(told) == 5:  # what Excel writes to tell the separator
        separator, text, skipped = told[4], rest, 1
    else:
        separator = _separator(first)
    # strict: a quote that is never closed would swallow all rows behind it without a word.
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            where = f"{path.name}, line {reader.line_num + skipped}"
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _columns(cells, path)
                continue
            extra = [cell for cell in cells[len(columns) :] if cell.strip()]
            if extra:
                raise PixWizardError(
                    f"{where}: {len(cells)} cells under {len(columns)} headings, first "
                    f"{extra[0]!r}; put texts that hold {separator!r} into quotes"
                )
            yield where, _named(zip(columns, cells, strict=False), where)
    except csv.Error as error:
        place = f"{path.name}, line {reader.line_num + skipped}"
        raise PixWizardError(f"{place}: {error}") from error
    if columns is None:
        _columns([], path)


def _separator(first: str) -> str:
    """What parts the cells of a first line that has a column for paths."""
    for separator in SEPARATORS:
        if PATH in map(_plain, first.replace('"', "").split(separator)):
            return separator
    return SEPARATORS[0]


def _columns(cells: list[str], path: Path) -> list[str]:
    if PATH not in map(_plain, cells):
        raise PixWizardError(
            f"{path.name} has no column {PATH!r}; its first line must name columns: {PATH}, "
            f"and any of {', '.join(FIELDS)}. Got: {', '.join(cells) or 'nothing'}"
        )
    _named(((cell, "") for cell in cells), f"{path.name}, line 1")
    return cells


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in read_json_lines(path):
        where = f"{path.name}, line {number}"
        yield where, _named(row.items(), where)


def _named(cells: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Values by the names of KNOWN; spaces around a heading and its case are forgiven. Raises
    PixWizardError for headings that are not known or mean the same."""
    found: dict[str, Any] = {}
    for heading, value in cells:
        name = _plain(heading)
        if name in found:
            raise PixWizardError(f"{where}: two columns are called {name!r}; remove one")
        if name in KNOWN:
            found[name] = value
        elif not name and value not in ("", None):
            raise PixWizardError(f"{where}: {value!r} is in a column without a heading")
        elif name and name not in OURS and not name.startswith(OWN):
            near = MEANT.get(name) or next(iter(difflib.get_close_matches(name, KNOWN, 1)), "")
            meant = f" Did you mean {near!r}?" if near else ""
            raise PixWizardError(
                f"{where}: {heading!r} is not known.{meant} Known are {', '.join(KNOWN)}; start "
                f"the name of a column of your own with {OWN[0]!r}"
            )
    return found


def _plain(heading: str) -> str:
    return " ".join(heading.replace("\ufeff", "").split()).casefold()


def _row(values: dict[str, Any], path: Path, where: str) -> Row:
    for name, value in values.items():
        if name != "seed" and not isinstance(value, (str, type(None))):
            raise PixWizardError(f"{where}: {name} is a text. Got: {value!r:.80}")
    picture = values.get(PATH)
    if not isinstance(picture, str) or not picture.strip():
        raise PixWizardError(f"{where}: no {PATH}")
    filled = [name for name in FIELDS if values.get(name) not in ("", None)]
    words = {name: str(values[name]).strip() for name in filled}
    if words.get("seed"):
        words["seed"] = str(as_seed(values["seed"], f"{where}: the seed"))
    return Row(path.parent / picture.strip(), {name: word for name, word in words.items() if word})
