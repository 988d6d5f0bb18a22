"""One instruction pair: input picture, target picture and instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import PixWizardError
from ..files.walk import MAGIC

# Field -> the names of its column, ours first, then the released list's.
COLUMNS = {
    "input": ("input", "input_path"),
    "target": ("target", "target_path"),
    "instructions": ("instruction", "prompt"),
    "task": ("task",),
    "mask": ("mask", "mask_path"),
    "width": ("width",),
    "height": ("height",),
}
DERIVED = frozenset(("ratio",))  # columns that others say already
LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class InstructionPair:
    """One training example.

    input: the input picture, or None for text to image. instructions: one or more sentences that
    ask for the target; training uses one at a time. mask: a picture that is white where the loss
    counts. width, height: the target's size in px, or 0 when unknown. where: the list and row, for
    messages.
    """

    input: Path | None
    target: Path
    instructions: tuple[str, ...]
    task: str = ""
    mask: Path | None = None
    width: int = 0
    height: int = 0
    where: str = ""

    @property
    def ratio(self) -> float:
        """Width divided by height, or 0 when the size is unknown."""
        return self.width / self.height if self.height else 0.0


def column_of(name: str) -> str:
    """Return the field that a column name stands for, ignoring case, or "" for an unknown name."""
    plain = name.strip().lower()
    return next((field for field, names in COLUMNS.items() if plain in names), "")


def pair_of(row: Mapping[str, Any], root: Path, where: str) -> InstructionPair:
    """Convert a row of a list to a pair. root: the folder that its paths are relative to. where:
    begins the message of an error. Raises PixWizardError for a missing, repeated or invalid
    value."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        field = column_of(name)
        if field and value not in (None, ""):
            if field in values:
                raise PixWizardError(f"{where}: {' and '.join(COLUMNS[field])} say the same twice")
            values[field] = value
    for field in ("target", "instructions"):
        if field not in values:
            raise PixWizardError(
                f"{where}: there is no {' or '.join(COLUMNS[field])}. Got: {_shown(row)}"
            )
    given = {name: _file(values, name, root, where) for name in ("input", "target", "mask")}
    target = given["target"]
    assert target is not None  # it is in values
    return InstructionPair(
        given["input"],
        target,
        _sentences(values["instructions"], where),
        _text(values.get("task", ""), "task", where),
        given["mask"],
        _side(values, "width", where),
        _side(values, "height", where),
        where,
    )


def unused_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the non-empty cells of each unknown column."""
    counts: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            if not column_of(name) and name not in DERIVED and value not in (None, ""):
                counts[name] = counts.get(name, 0) + 1
    return counts


def _file(values: Mapping[str, Any], field: str, root: Path, where: str) -> Path | None:
    name = _text(values.get(field, ""), field, where)
    if MAGIC.search(name) and not (root / name).exists():
        raise PixWizardError(f"{where}: {field} names one file, no pattern. Got: {name!r}")
    return root / name if name else None


def _text(value: Any, field: str, where: str) -> str:
    if not isinstance(value, str):
        raise PixWizardError(f"{where}: {field} is text. Got: {value!r:.{LONGEST_SHOWN}}")
    return value.strip()


def _sentences(value: Any, where: str) -> tuple[str, ...]:
    given = cast("list[Any]", value) if isinstance(value, list) else [value]
    sentences = tuple(_text(one, "instruction", where) for one in given)
    if not sentences or not all(sentences):
        raise PixWizardError(f"{where}: an instruction is empty")
    return sentences


def _side(values: Mapping[str, Any], field: str, where: str) -> int:
    value = values.get(field, 0)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PixWizardError(f"{where}: {field} is a whole number of pixels. Got: {value!r:.40}")
    return value


def _shown(row: Mapping[str, Any]) -> str:
    return ", ".join(str(name) for name in row)[:LONGEST_SHOWN] or "an empty row"
