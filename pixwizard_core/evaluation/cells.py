"""The 58 numbers that the paper reports for the released model, and the source of each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLES = (1, 2, 3, 5, 6)


@dataclass(frozen=True, slots=True)
class Cell:
    """number: in the paper's order. part, column: headings in the table. data, split, task, score:
    what is measured. scale: factor from the measured number to the paper's. better: "lower" or
    "higher". paper: as printed, to keep its digits. note: a remark for the reader."""

    number: int
    table: int
    part: str
    column: str
    data: str
    split: str
    task: str
    score: str
    scale: float
    unit: str
    better: str
    paper: str
    note: str

    @property
    def digits(self) -> int:
        """Number of decimals in the paper."""
        return len(self.paper.partition(".")[2])


@lru_cache(maxsize=1)
def paper_cells() -> tuple[Cell, ...]:
    """All cells in the paper's order."""
    path = Path(__file__).with_name("paper.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            Cell(
                int(row["number"]), int(row["table"]), row["part"], row["column"], row["data"],
                row["split"], row["task"], row["score"], float(row["scale"]), row["unit"],
                row["better"], row["paper"], row["note"],
            )
            for row in csv.DictReader(file)
        )  # fmt: skip


def paper_scores(data: str, split: str, task: str) -> dict[str, float]:
    """The paper's numbers for a set, by score, in our units. If there are two for one score, takes
    the later table's, which says how it was measured."""
    return {
        cell.score: round(float(cell.paper) / cell.scale, 6)
        for cell in paper_cells()
        if (cell.data, cell.split, cell.task) == (data, split, task)
    }


def chosen_cells(only: Sequence[str] = ()) -> list[Cell]:
    """The cells of these tables ("table3") and datasets ("sots"), or all."""
    return [
        cell for cell in paper_cells()
        if not only or cell.data in only or f"table{cell.table}" in only
    ]  # fmt: skip


def names_of_cells() -> list[str]:
    """Names that chosen_cells() accepts."""
    return [*(f"table{n}" for n in TABLES), *dict.fromkeys(c.data for c in paper_cells())]
