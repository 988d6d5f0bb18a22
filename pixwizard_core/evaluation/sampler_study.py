"""The cost and effect of each sampler setting, task by task: steps, solver, guidance, tokens.

An evaluation is one branch of one step for one picture. The reference uses 59 even Euler steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..conditioning import Condition
from ..generate import SampleSettings, evaluations
from ..pipeline import Bundle, EncodedPictures, encode_conditions, encode_pictures, solve
from ..world.examples import Examples
from ..world.held_out import SQUARE, check_tasks, examples_of
from .scorers import SCORERS
from .scoring import OnProgress, ScoringPlan, precision
from .variations import KINDS, OWN, Variation, variations

TASKS = ("depth", "segmentation", "mask", "text2image")  # tasks of the study by default
# The most informative score of a task; for other tasks, the first of their scores.
SCORES = {"depth": "rmse", "segmentation": "miou", "mask": "iou", "text2image": "named"} | {
    task: "region_psnr" for task in ("edit", "remove", "replace", "background", "style")
}
LESS_IS_BETTER = ("rmse", "angle")
SMALL_LOSS = 2.0  # percent


@dataclass(frozen=True)
class StudyRow:
    """One way to sample in one task.

    kind, change, base: see variations.Variation. value: the task's score of that name. loss: how
    many percent worse than the base; negative = better. evaluations: per picture; None if the
    solver chooses them. seconds: per picture.
    """

    task: str
    score: str
    kind: str
    change: str
    base: str
    value: float
    loss: float
    evaluations: int | None
    seconds: float


def study(
    bundle: Bundle,
    plan: ScoringPlan,
    tasks: Sequence[str],
    kinds: Sequence[str] = KINDS,
    on_progress: OnProgress = lambda done, total: None,
) -> Iterator[list[StudyRow]]:
    """Score plan.count scenes under each variation; the rows of one task after another's."""
    chosen = variations(kinds, bundle.model.config.image_tokens)
    for number, task in enumerate(check_tasks(tasks), 1):
        examples = examples_of(task, plan.count, SQUARE, plan.seed, False)
        yield _study(bundle, plan, task, examples, chosen)
        on_progress(number, len(tasks))


def _study(
    bundle: Bundle, plan: ScoringPlan, task: str, examples: Examples, chosen: Sequence[Variation]
) -> list[StudyRow]:
    """Study one task. The pictures, and the conditions that almost all variations share, are
    encoded once."""
    own = bundle.settings_of(task)
    words = examples.instructions
    with precision(plan.half, bundle.device):
        pictures = [encode_pictures(bundle, some) for some in examples.inputs.split(plan.batch)]
    asked = _conditions(bundle, plan, pictures, words)
    rows: dict[str, StudyRow] = {}
    for one in chosen:
        ready = asked
        if one.other_words:
            ready = _conditions(bundle, plan, pictures, [*words[-1:], *words[:-1]])
        settings, start = one.change(own), time.perf_counter()
        with torch.no_grad(), precision(plan.half, bundle.device):
            painted = torch.cat(
                [solve(bundle, *pair, [*range(len(pair[0]))], settings)[1] for pair in ready]
            )
        seconds = (time.perf_counter() - start) / plan.count
        scores = SCORERS[task](painted.float().cpu(), examples)
        name = SCORES.get(task, next(iter(scores)))
        value = float(scores[name])
        base = rows[one.base].value if one.base in rows else value
        loss, count = loss_percent(name, value, base), counted(settings)
        rows[one.label] = StudyRow(
            task, name, one.kind, one.label, one.base, value, loss, count, seconds
        )
    return [*rows.values()]


def _conditions(
    bundle: Bundle,
    plan: ScoringPlan,
    pictures: Sequence[EncodedPictures],
    instructions: Sequence[str],
) -> list[tuple[Condition, Condition]]:
    """Conditions, with and without the text, batch by batch."""
    with torch.no_grad(), precision(plan.half, bundle.device):
        return [
            encode_conditions(bundle, some, instructions[at : at + plan.batch])
            for at, some in zip(range(0, plan.count, plan.batch), pictures, strict=True)
        ]


def counted(settings: SampleSettings) -> int | None:
    """Evaluations per picture, or None for a solver that chooses them."""
    return None if settings.solver == "dopri5" else evaluations(settings)


def loss_percent(score: str, value: float, base: float) -> float:
    """How many percent a score is worse than the base's; negative if better."""
    if not base:
        return 0.0
    worse = value - base if score in LESS_IS_BETTER else base - value
    return 100 * worse / abs(base)


def study_table(rows: Sequence[StudyRow]) -> str:
    """Markdown: tasks against variations, with the more numerous of them as rows. A cell is the
    score, and for all but the bases the percent lost; then evaluations and seconds per picture."""
    tasks, changes = _names(rows, "task"), _names(rows, "change")
    of = {(row.task, row.change): row for row in rows}
    if len(changes) >= len(tasks):
        heads = [f"{task} {of[task, changes[0]].score}" for task in tasks]
        lines = _head("change", *heads, "evaluations", "s a picture")
        for change in changes:
            cells = [_cell(of[task, change]) for task in tasks]
            spent = [of[task, change] for task in tasks]
            lines.append(_line(change, *cells, _evaluations(spent), _seconds(spent)))
    else:
        lines = _head("task", "score", *changes)
        for task in tasks:
            cells = [_cell(of[task, change]) for change in changes]
            lines.append(_line(task, of[task, changes[0]].score, *cells))
        columns = [[row for row in rows if row.change == change] for change in changes]
        lines.append(_line("evaluations", "", *map(_evaluations, columns)))
        lines.append(_line("s a picture", "", *map(_seconds, columns)))
    verdicts = [verdict(rows, row.change) for row in rows if row.task == tasks[0]]
    return "\n".join([*lines, "", *filter(None, verdicts)])


def _names(rows: Sequence[StudyRow], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, field) for row in rows))


def _head(*cells: str) -> list[str]:
    return [_line(*cells), f"|{'---|' * len(cells)}"]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: StudyRow) -> str:
    return f"{row.value:.3f}" + ("" if row.change == row.base else f" ({row.loss:+.1f} %)")


def _evaluations(rows: Sequence[StudyRow]) -> str:
    counts = [row.evaluations for row in rows if row.evaluations is not None]
    return spread(counts) if counts else "–"


def _seconds(rows: Sequence[StudyRow]) -> str:
    return f"{sum(row.seconds for row in rows) / len(rows):.2f}"


def spread(values: Sequence[float]) -> str:
    """The one value, or the smallest and the largest of several."""
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g}–{high:.3g}"


def verdict(rows: Sequence[StudyRow], change: str) -> str:
    """In which tasks a speed level stays within SMALL_LOSS of its base; "" for other variations."""
    mine = [row for row in rows if row.change == change and row.change != row.base]
    if not mine or mine[0].kind not in ("speed", "guided"):
        return ""
    fails = [f"{row.task} ({row.loss:+.1f} %)" for row in mine if row.loss > SMALL_LOSS]
    return (
        f"{change} stays within {SMALL_LOSS:g} % in {len(mine) - len(fails)} of {len(mine)} "
        f"tasks; not in: {', '.join(fails) or 'none'}."
    )


def as_rows(rows: Sequence[StudyRow]) -> list[dict[str, Any]]:
    """The rows as JSON values, rounded to what they mean."""
    digits = {"value": 5, "loss": 2, "seconds": 4}
    return [
        {name: round(v, digits[name]) if name in digits else v for name, v in asdict(row).items()}
        for row in rows
    ]


def plot_study(rows: Sequence[StudyRow], path: str | Path) -> None:
    """Plot each task's score along each kind of change, one panel per kind; the dashed line is the
    task's own setting. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    tasks = _names(rows, "task")
    kinds = [kind for kind in _names(rows, "kind") if kind != "own"]
    figure = Figure(figsize=(5.0, 2.6 * len(kinds)), layout="constrained")
    panels = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
    for panel, kind in zip(panels, kinds, strict=True):
        labels: list[str] = []
        for number, task in enumerate(tasks):
            mine = [row for row in rows if row.task == task and row.kind == kind]
            labels = [row.change for row in mine]
            values, legend = [row.value for row in mine], f"{task} {mine[0].score}"
            panel.plot(range(len(mine)), values, "o-", color=f"C{number}", label=legend)
            own = next(row.value for row in rows if row.task == task and row.change == OWN)
            panel.axhline(own, color=f"C{number}", linestyle="--", linewidth=0.7)
        panel.set_xticks(range(len(labels)), labels, fontsize=6)
        panel.set_title(kind, fontsize=9)
        panel.tick_params(axis="y", labelsize=7)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=7)
    figure.savefig(path, dpi=130)
