"""Scores of a dataset from the lines of its index: a table and rows for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..fleet.index import Record
from .protocols import total

PROTOCOL_OF = {
    "depth": "depth",
    "normal": "normal",
    "segmentation": "segmentation",
    "mask": "mask",
    "highlight": "mask",
}
# What the paper reports for the released model (tables 1 and 6): (data, split, task) -> scores.
PAPER: dict[tuple[str, str, str], dict[str, float]] = {
    ("nyuv2", "test", "depth"): {"rmse_m": 0.287},
    ("sunrgbd", "test", "depth"): {"rmse_m": 0.291},
    ("ade20k", "validation", "segmentation"): {"miou": 0.3276},
    ("nyuv2-normals", "test", "normal"): {"mean_angle_deg": 19.65},
    ("sidd", "test", "denoise"): {"psnr_db": 38.67, "ssim": 0.957},
    ("rain100l", "test", "derain"): {"psnr_db": 31.43, "ssim": 0.917},
    **{
        (data, split, task): {"ciou": value}
        for data, task, values in (
            ("refcoco", "mask", (0.4438, 0.4013, 0.4209)),
            ("refcoco", "mask w/ HSV", (0.4728, 0.4412, 0.4538)),
            ("refcoco+", "mask", (0.3649, 0.3530, 0.3893)),
            ("refcoco+", "mask w/ HSV", (0.4007, 0.3889, 0.4076)),
            ("grefcoco", "mask", (0.2907,)),
            ("grefcoco", "mask w/ HSV", (0.3365,)),
        )
        for split, value in zip(("val", "testA", "testB"), values, strict=False)
    },
}
LABELS = {"mask": "mask", "highlight": "mask w/ HSV"}


def rows_of(data: str, split: str, records: Sequence[Record]) -> list[dict[str, Any]]:
    """One row for each task that was scored: data, split, task, count, scores by name, and what
    the paper reports of them."""
    by_task: dict[str, list[dict]] = {}
    for record in records:
        by_task.setdefault(record["task"], []).append(record["metrics"])
    return [
        {
            "data": data,
            "split": split,
            "task": LABELS.get(task, task),
            "count": len(metrics),
            "paper": PAPER.get((data, split, LABELS.get(task, task)), {}),
            "scores": {
                name: value if math.isnan(value) else round(value, 5)
                for name, value in total(PROTOCOL_OF.get(task, "picture"), metrics).items()
            },
        }
        for task, metrics in sorted(by_task.items())
    ]


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
