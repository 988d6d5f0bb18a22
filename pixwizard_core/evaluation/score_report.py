"""Scores as a Markdown table, as JSON and as plots, with the bundled model's goals."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..encoders.tiny import BUNDLE
from ..tasks import find_task
from ..taught import Taught
from ..world.examples import WORLD_TASKS
from ..world.held_out import check_tasks
from .scoring import TaskScore, trained_tasks

# Source of the answer -> heading of the column.
COLUMNS = {
    "trained": "as trained",
    "seen": "seen words",
    "held_out": "new words",
    "wide": "other shapes",
    "trivial": "trivial",
    "ceiling": "ceiling",
}
UNITS = {"angle": "°", "psnr": "dB", "gain": "dB", "gain_20db": "dB"}
UNITS |= {"hole_psnr": "dB", "region_psnr": "dB", "kept_psnr": "dB"}
PLOT_COLOURS = ("#1b4f72", "#2f6f9f", "#7fb3d5", "#b7d7e8", "#c9c9c9", "#e0a458")


@dataclass(frozen=True)
class Goal:
    """A score that the bundled model should reach, trained on a CPU for hours or on a large GPU for
    minutes."""

    task: str
    score: str
    cpu: float
    gpu: float
    less_is_better: bool = False

    def met(self, value: float, wanted: float) -> bool:
        return value <= wanted if self.less_is_better else value >= wanted

    def level(self, value: float) -> str:
        """The harder of the two goals that a value meets, or "no"."""
        levels = (("GPU", self.gpu), ("CPU", self.cpu))
        return next((name for name, wanted in levels if self.met(value, wanted)), "no")


GOALS = (
    Goal("depth", "rmse", 0.06, 0.04, less_is_better=True),
    Goal("normal", "angle", 22, 12, less_is_better=True),
    Goal("segmentation", "accuracy", 0.94, 0.97),
    Goal("segmentation", "miou", 0.68, 0.85),
    Goal("mask", "iou", 0.60, 0.78),
    Goal("mask", "found", 0.70, 0.88),
    Goal("highlight", "iou", 0.50, 0.70),
    Goal("box", "iou", 0.50, 0.70),
    *(Goal(task, "f1", 0.45, 0.70) for task in ("canny", "hed", "sketch", "lineart")),
    Goal("denoise", "gain_20db", 3, 6),
    Goal("derain", "gain_20db", 3, 6),
    Goal("inpaint", "hole_psnr", 16.5, 19),
    Goal("recolour", "correct", 0.60, 0.85),
    Goal("remove", "closer", 0.70, 0.90),
    Goal("text2image", "named", 0.65, 0.90),
)
HEADLINE = tuple(dict.fromkeys(goal.task for goal in GOALS))


def shown(value: float) -> str:
    """Format a number for tables; a dash for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if abs(value) >= 1.5 else f"{value:.3f}"


def columns_of(results: Sequence[TaskScore]) -> list[str]:
    """Columns that at least one result has, in the order of COLUMNS."""
    return [name for name in COLUMNS if any(name in result.answers for result in results)]


def wording_line(results: Sequence[TaskScore], taught: Taught) -> str:
    """How the model was asked, as a line above the tables."""
    if "trained" not in columns_of(results):
        return ""
    asked = (f"{one.task} “{find_task(one.task).trained(taught)}”" for one in results)
    return f"Asked as the model's header says it was trained: {', '.join(asked)}."


def table(results: Sequence[TaskScore]) -> str:
    """Markdown: a row for each task and score."""
    columns = columns_of(results)
    heads = ["task", "steps", "scenes", "score", *(COLUMNS[name] for name in columns)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for result in results:
        for name in result.names:
            label = f"{name}, {UNITS[name]}" if name in UNITS else name
            cells = [result.task, str(result.steps), str(result.count), label]
            cells += [
                shown(result.answers[column][name]) if column in result.answers else "–"
                for column in columns
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def goal_table(results: Sequence[TaskScore]) -> str:
    """Markdown: the goals that these results cover, and which of them the model meets with each
    kind of wording."""
    by_task = {result.task: result for result in results}
    own = [name for name in ("trained", "seen", "held_out") if name in columns_of(results)]
    heads = ["task", "score", *(COLUMNS[name] for name in own), "CPU goal", "GPU goal", "met"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for goal in GOALS:
        if goal.task not in by_task:
            continue
        answers = by_task[goal.task].answers
        values = [answers[name][goal.score] for name in own if name in answers]
        sign = "≤" if goal.less_is_better else "≥"
        met = ", ".join(goal.level(value) for value in values)
        cells = [goal.task, goal.score, *(shown(value) for value in values)]
        cells += [f"{sign} {goal.cpu:g}", f"{sign} {goal.gpu:g}", met]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def as_values(results: Sequence[TaskScore], **about: Any) -> dict[str, Any]:
    """The scores as JSON values; NaN becomes null."""

    def clean(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 5)

    tasks = {
        result.task: {
            "steps": result.steps,
            "scenes": result.count,
            **{
                column: {name: clean(value) for name, value in scores.items()}
                for column, scores in result.answers.items()
            },
        }
        for result in results
    }
    return {**about, "tasks": tasks}


def from_json(text: str) -> list[TaskScore]:
    """Read the scores from the JSON text of as_values(), without the data about the run."""
    results = []
    for task, row in json.loads(text)["tasks"].items():
        answers = {
            column: {n: math.nan if v is None else v for n, v in row[column].items()}
            for column in COLUMNS
            if column in row
        }
        results.append(TaskScore(task, row["steps"], row["scenes"], answers))
    return results


def plot(results: Sequence[TaskScore], path: str | Path) -> None:
    """Plot bars of each task's first score by source of the answer, one panel per task. Raises
    ImportError without matplotlib."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    columns = columns_of(results)
    across = min(6, len(results))
    down = -(-len(results) // across)
    figure = Figure(figsize=(2.3 * across, 2.0 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel, result in zip(panels, results, strict=False):
        name = result.names[0]
        values = [result.answers.get(column, {}).get(name, math.nan) for column in columns]
        panel.bar(range(len(columns)), values, color=PLOT_COLOURS[: len(columns)])
        panel.set_title(f"{result.task}: {name}", fontsize=8)
        panel.set_xticks([])
        panel.tick_params(labelsize=7)
    for panel in panels[len(results) :]:
        panel.set_axis_off()
    handles = [panels[0].patches[i] for i in range(len(columns))]
    figure.legend(handles, [COLUMNS[c] for c in columns], loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=130)


def tasks_of(text: str, bundle: Path | None = None) -> list[str]:
    """Tasks from the name of a set or a list with commas. text: "trained" (those learned by the
    model in the folder bundle, or by the bundled one), "all", "headline", or "depth,mask,…". Raises
    PixWizardError for a task that the world cannot score."""
    if text == "trained":
        return trained_tasks(bundle or BUNDLE)
    sets = {"all": list(WORLD_TASKS), "headline": list(HEADLINE)}
    return sets.get(text) or check_tasks([name.strip() for name in text.split(",")])
