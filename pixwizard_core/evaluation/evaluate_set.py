"""Evaluate one dataset: find its pictures, let an engine paint answers, and measure them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..decode.palette import ade20k
from ..fleet.items import Item
from ..fleet.job import Job
from ..fleet.plan import Failure, identify
from ..fleet.runner import Report
from ..fleet.sources import SourcePicture
from .answer_files import AnswerFiles, answers_of
from .layouts import LAYOUTS, DatasetOptions, find_data
from .layouts.editing import chained, follow
from .measuring import OnProgress, SetScores, measure
from .networks.weight_files import WeightFolder
from .protocols import score
from .reading import reading_notes
from .tables import row_of, rows_of

MEASURED = "measures"  # folder beside the index
PREPARED = "prepared"

Engine = Callable[[Job, list[Item], list[Failure]], Report]


@dataclass(frozen=True)
class SetPlan:
    """What to evaluate. metrics: names of measures, None for the layout's. phrasing: of the task,
    "" as the model was asked in training. device: of the networks that measure."""

    data: str
    root: Path
    options: DatasetOptions
    metrics: tuple[str, ...] | None = None
    phrasing: str = ""
    weights: WeightFolder = field(default_factory=lambda: WeightFolder(None))
    device: str = "cpu"

    @property
    def split(self) -> str:
        return self.options.split or LAYOUTS[self.data].splits[0]

    @property
    def wanted(self) -> tuple[str, ...]:
        return LAYOUTS[self.data].metrics if self.metrics is None else self.metrics


@dataclass
class SetResult:
    """rows: of tables. measured: scores of the answers' files. reports: the engine's, one for each
    turn. tasks: each task asked, once. notes: how answers were read."""

    rows: list[dict[str, Any]]
    measured: SetScores
    reports: list[Report] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return sum(len(report.failures) for report in self.reports)


def evaluate_set(
    plan: SetPlan,
    job: Job,
    engine: Engine,
    *,
    on_seen: Callable[[int, int, int], None] = lambda seen, total, failed: None,
    on_tasks: Callable[[Sequence[str]], None] = lambda tasks: None,
    on_measured: OnProgress = lambda done, total: None,
) -> SetResult:
    """Paint answers below job.out and score them. engine: does the work; see fleet.runner. on_seen:
    called with the number of pictures examined. on_tasks: called with the tasks before painting.

    Raises PixWizardError for data that is missing or of another kind.
    """
    out = Path(job.out)
    options = plan.options
    if not options.prepared:
        options = replace(options, prepared=str(out / PREPARED))
    found = find_data(plan.data, plan.root, options)
    job = replace(job, score=score, save=job.save or bool(plan.wanted))
    result = SetResult([], SetScores())

    def paint(some: list[SourcePicture], job: Job) -> list[AnswerFiles]:
        items, failures = identify(
            some, {"phrasing": plan.phrasing},
            lambda seen, failed: on_seen(seen, len(some), failed), job.model.taught,
        )  # fmt: skip
        tasks = [item.task for item in items]
        on_tasks(tasks)
        result.tasks = list(dict.fromkeys([*result.tasks, *tasks]))
        report = engine(job, items, failures)
        truths = {item.name: item.truth for item in items}
        result.reports.append(report)
        records.extend(report.records)
        known.update(truths)
        return answers_of(report.records, truths, Path(job.out))

    records: list[dict[str, Any]] = []
    known: dict[str, dict[str, Any]] = {}
    multi = options.turns == "multi"
    shown = _turn_by_turn(found, job, paint) if multi else paint(found, job)
    result.rows = _rows(plan, records, known)
    result.notes = reading_notes(records, job.palette or ade20k())
    if plan.wanted and shown:
        layout = LAYOUTS[plan.data]
        reference = layout.reference(plan.root, options) if layout.reference else None
        result.measured = measure(
            shown, plan.wanted, plan.weights, out / MEASURED, layout, reference=reference,
            device=plan.device, on_progress=on_measured,
        )  # fmt: skip
        _add_measured(result, plan, shown, records)
    return result


def _turn_by_turn(found: list[SourcePicture], job: Job, paint) -> list[AnswerFiles]:
    """Ask the turns of each session in sequence, each on the previous answer. Returns the last
    answer of each session. Answers to turn N are below turnN."""
    last: dict[str, AnswerFiles] = {}
    for number, turn in enumerate(chained(found), 1):
        if number > 1:
            answers = {session: shown.answer_file for session, shown in last.items()}
            turn = follow(turn, answers)
        for shown in paint(turn, replace(job, out=str(Path(job.out) / f"turn{number}"))):
            last[shown.truth["session"]] = shown
    return sorted(last.values(), key=lambda shown: shown.name)


def _rows(plan: SetPlan, records, truths) -> list[dict[str, Any]]:
    rows = rows_of(plan.data, plan.split, records, truths)
    return [row for row in rows if row["scores"]]


def _add_measured(result: SetResult, plan: SetPlan, shown: list[AnswerFiles], records) -> None:
    """Add the measured scores to the row of the same task, or as a new row."""
    tasks = sorted({record["task"] for record in records})
    task = tasks[0] if len(tasks) == 1 else "all"
    split = plan.split + (" multi-turn" if plan.options.turns == "multi" else "")
    row = row_of(plan.data, split, task, len(shown), result.measured.scores)
    same = [one for one in result.rows if one["task"] == row["task"]]
    if same:
        same[0]["scores"] |= row["scores"]
    else:
        result.rows.append(row)
