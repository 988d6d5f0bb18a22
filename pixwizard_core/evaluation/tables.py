"""Scores of a dataset from the lines of its index: a table and rows for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..fleet.index import Record
from .cells import paper_scores
from .protocols import total

LABELS = {"mask": "mask", "highlight": "mask w/ HSV"}
Truths = Mapping[str, Mapping[str, Any]]
ROUNDED = 5  # digits


def rows_of(
    data: str, split: str, records: Sequence[Record], truths: Truths
) -> list[dict[str, Any]]:
    """One row for each scored task and protocol: data, split, task, count, scores by name, and the
    paper's numbers. truths: of the items, by name."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for record in records:
        protocol = truths[record["name"]]["protocol"]
        groups.setdefault((record["task"], protocol), []).append(record["metrics"])
    return [
        row_of(data, split, task, len(metrics), total(protocol, metrics))
        for (task, protocol), metrics in sorted(groups.items())
    ]


def row_of(
    data: str, split: str, task: str, count: int, scores: Mapping[str, float]
) -> dict[str, Any]:
    """A row of given scores."""
    return {
        "data": data,
        "split": split,
        "task": LABELS.get(task, task),
        "asked": task,
        "count": count,
        "paper": paper_scores(data, split, task),
        "scores": {
            name: value if math.isnan(value) else round(value, ROUNDED)
            for name, value in scores.items()
        },
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each task and score."""
    lines = ["| data | task | pictures | score | value | paper |", f"|{'---|' * 6}"]
    for row in rows:
        place = f"{row['data']} {row['split']}".strip()
        for name, value in row["scores"].items():
            shown = "–" if math.isnan(value) else f"{value:.4f}"
            paper = row["paper"].get(name, "–")
            cells = [place, row["task"], str(row["count"]), name, shown, str(paper)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
