"""The paper's cells as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .layouts import LAYOUTS
from .paper import MEASURED, NO_DATA, CellResult

HEADS = ("cell", "table", "what", "score", "paper", "measured", "difference", "pictures", "missing")


def cells_table(results: Sequence[CellResult]) -> str:
    """One line for each cell."""
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    lines += [f"| {' | '.join(_row(result))} |" for result in results]
    return "\n".join(lines)


def _row(result: CellResult) -> list[str]:
    cell, done = result.cell, result.state == MEASURED
    value = f"{result.value:.{cell.digits}f}" if done else "–"
    return [
        str(cell.number), str(cell.table), f"{cell.part}, {cell.column}",
        f"{cell.unit} {'↓' if cell.better == 'lower' else '↑'}", cell.paper, value,
        _difference(result) if done else "–", str(result.count) if done else "–",
        "" if done else result.state,
    ]  # fmt: skip


def _difference(result: CellResult) -> str:
    value = round(result.difference, result.cell.digits)
    if value == 0:
        return "0"
    better = (value < 0) == (result.cell.better == "lower")
    return f"{value:+.{result.cell.digits}f} ({'better' if better else 'worse'})"


def missing_lines(results: Sequence[CellResult]) -> list[str]:
    """What is missing, each item once, with the cells that need it."""
    waiting: dict[tuple[str, str], list[int]] = {}
    for result in results:
        if result.state != MEASURED:
            waiting.setdefault((result.state, result.why), []).append(result.cell.number)
    return [
        f"{state} ({_cells(numbers)}): {why}" for (state, why), numbers in waiting.items()
    ]


def _cells(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as cells 1-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    shown = ", ".join("-".join(map(str, part)) for part in parts)
    return f"cell {shown}" if len(numbers) == 1 else f"cells {shown}"


def note_lines(results: Sequence[CellResult]) -> list[str]:
    """Remarks on measured cells and on the paper's own numbers."""
    notes: dict[str, list[int]] = {}
    for result in results:
        text = result.why if result.state == MEASURED else result.cell.note
        if text:
            notes.setdefault(text, []).append(result.cell.number)
    return [f"{_cells(numbers)}: {text}" for text, numbers in notes.items()]


def choice_lines(results: Sequence[CellResult]) -> list[str]:
    """How each dataset is measured where the paper leaves a choice."""
    names = dict.fromkeys(result.cell.data for result in results)
    return [f"{name}: {LAYOUTS[name].choices}" for name in names if LAYOUTS[name].choices]


def as_json(results: Sequence[CellResult]) -> list[dict[str, Any]]:
    """Each cell with its numbers; None for what is not measured."""
    return [
        {
            "cell": one.cell.number, "table": one.cell.table, "part": one.cell.part,
            "column": one.cell.column, "data": one.cell.data, "split": one.cell.split,
            "task": one.cell.task, "score": one.cell.score, "better": one.cell.better,
            "paper": float(one.cell.paper),
            "measured": None if math.isnan(one.value) else one.value,
            "difference": None if math.isnan(one.value) else one.difference,
            "pictures": one.count, "missing": "" if one.state == MEASURED else one.state,
            "why": one.why,
            "source": LAYOUTS[one.cell.data].source if one.state == NO_DATA else "",
        }
        for one in results
    ]  # fmt: skip
