"""Compare every number of the paper's tables with our measurement, or say what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..decode.polarity import DEFAULT_NEAR
from ..errors import PixWizardError
from ..files.data_files import write_json
from ..fleet.items import digest
from ..fleet.job import Job
from ..json_text import read_json_file
from ..version import __version__
from .cells import Cell
from .evaluate_set import SetPlan, SetResult
from .layouts import LAYOUTS, DatasetLayout, DatasetOptions
from .layouts.common import state_of
from .measures import MEASURES
from .measuring import NOTHING, SETS
from .networks.weight_files import MissingPart, WeightFolder

KEPT = "scores.json"
METHOD = 2  # of keeping scores; raise it when those of earlier runs become invalid
WHOLE = "1/1"
METRES = DatasetOptions().range_m
MEASURED, NO_DATA, NO_WEIGHT, NO_MODEL, FAILED = "measured", "data", "weight", "model", "failed"
NOT_YET, WAITS = "not yet", "the run has not come to it; the same command goes on"
# Score -> its measure, if their names differ.
COMES_FROM = {
    **dict.fromkeys(("clip_dir", "clip_source", "clip_out", "clip_image"), "clip"),
    **dict.fromkeys(("dino_source", "dino"), "dino"),
    **dict.fromkeys(("l1_source", "l1"), "l1"),
}


@dataclass(frozen=True)
class CellResult:
    """state: MEASURED, or what is missing. value: in the paper's unit. why: what is missing and
    where to get it, or a remark on the value."""

    cell: Cell
    state: str
    value: float = math.nan
    why: str = ""
    count: int = 0

    @property
    def difference(self) -> float:
        """Measured minus the paper's number."""
        return self.value - float(self.cell.paper)


@dataclass(frozen=True)
class SetRun:
    """The cells measured by one evaluation of one dataset."""

    data: str
    split: str
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        return f"{self.data.replace('+', 'plus')}-{self.split}"

    @property
    def options(self) -> DatasetOptions:
        tasks = {cell.task for cell in self.cells}
        method = "both" if {"mask", "highlight"} <= tasks else "mask"
        return DatasetOptions(split=self.split, method="hsv" if tasks == {"highlight"} else method)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The measures that the cells need."""
        names = [COMES_FROM.get(cell.score, cell.score) for cell in self.cells]
        return tuple(dict.fromkeys(name for name in names if name in (*MEASURES, *SETS)))


@dataclass
class PaperRun:
    """What all cells share. root: the folder of datasets. count: questions of each, 0 for all.
    shard: the part of them that evaluate does, "1/1" for all. evaluate: runs one plan; see
    evaluate_set. tell: called with lines on progress."""

    root: Path
    job: Job
    weights: WeightFolder
    evaluate: Callable[[SetPlan, Job], SetResult]
    count: int = 0
    phrasing: str = ""
    device: str = "cpu"
    near: str = DEFAULT_NEAR
    range_m: tuple[float, float] = METRES
    shard: str = WHOLE
    tell: Callable[[str], None] = lambda line: None


def runs_of(cells: Sequence[Cell]) -> list[SetRun]:
    """The cells by dataset and split, in the paper's order."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data, cell.split), []).append(cell)
    return [SetRun(*who, tuple(some)) for who, some in groups.items()]


def dataset_folder(root: Path, layout: DatasetLayout) -> Path:
    """The dataset's folder below root. Raises PixWizardError saying which names were tried."""
    for name in layout.folders:
        if (root / name).is_dir():
            return root / name
    raise PixWizardError(
        f"no folder {' or '.join(layout.folders)} in {root}; get it from {layout.source}"
    )


def carry_out(
    run: PaperRun,
    cells: Sequence[Cell],
    on_set: Callable[[list[CellResult]], object] = lambda results: None,
) -> list[CellResult]:
    """Results of all cells, in their order. Reuses what earlier calls have written. on_set: called
    after each set with all results so far; the others wait."""
    found = {cell.number: CellResult(cell, NOT_YET, why=WAITS) for cell in cells}
    for one in runs_of(cells):
        for result in _of_run(run, one):
            found[result.cell.number] = result
        on_set([found[cell.number] for cell in cells])
    return [found[cell.number] for cell in cells]


def _of_run(run: PaperRun, one: SetRun) -> list[CellResult]:
    asked = [cell for cell in one.cells if run.job.model.taught.knows(cell.task)]
    untaught = [
        CellResult(cell, NO_MODEL, why=f"this model was not taught {cell.task}; give the released "
                   "one (--model, --gemma, --clip, --vae)")
        for cell in one.cells if cell not in asked
    ]  # fmt: skip
    if not asked:
        return untaught
    one = replace(one, cells=tuple(asked))
    try:
        folder = dataset_folder(run.root, LAYOUTS[one.data])
        scores = _scores(run, one, folder)
    except PixWizardError as error:
        run.tell(f"{one.name}: {error}")
        return untaught + [CellResult(cell, NO_DATA, why=str(error)) for cell in asked]
    except OSError as error:  # of this set's files; the others may be sound
        why = f"{error.filename or one.name}: {error.strerror or error}"
        run.tell(f"{one.name}: {why}")
        return untaught + [CellResult(cell, FAILED, why=why) for cell in asked]
    return untaught + [_cell(cell, scores) for cell in asked]


def _cell(cell: Cell, scores: dict[str, Any]) -> CellResult:
    rows = [row for row in scores["rows"] if row["asked"] == cell.task]
    value = rows[0]["scores"].get(cell.score) if rows else None
    measure = COMES_FROM.get(cell.score, cell.score)
    if value is not None:
        notes = (cell.note, *scores["notes"], scores["remarks"].get(measure), scores["failed"])
        why = "; ".join(text for text in notes if text)
        return CellResult(cell, MEASURED, value * cell.scale, why, rows[0]["count"])
    if measure in scores["missing"]:
        return CellResult(cell, NO_WEIGHT, why=scores["missing"][measure])
    if scores["failed"] and not rows:
        return CellResult(cell, FAILED, why=scores["failed"])
    return CellResult(cell, NO_DATA, why=scores["lacking"].get(measure, NOTHING))


def _scores(run: PaperRun, one: SetRun, folder: Path) -> dict[str, Any]:
    """rows and what there is to say of a run; read back if nothing relevant has changed."""
    out = Path(run.job.out) / one.name
    options = replace(
        one.options, count=run.count, seed=run.job.seed, near=run.near, range_m=run.range_m
    )
    plan = SetPlan(one.data, folder, options, one.metrics, run.phrasing, run.weights, run.device)
    job = replace(run.job, out=str(out))
    mark = _mark(one, plan, job, run.shard)
    if (kept := _kept(out / KEPT, mark)) is not None:
        run.tell(f"{one.name}: measured before")
        return kept
    run.tell(f"{one.name}: {folder}")
    result = run.evaluate(plan, job)
    scores = {
        "mark": mark, "rows": _finite(result.rows), "missing": result.measured.missing,
        "lacking": result.measured.lacking, "notes": result.notes,
        "remarks": result.measured.notes, "failed": _failures(result),
    }  # fmt: skip
    write_json(out / KEPT, scores)
    return scores


def _failures(result: SetResult) -> str:
    """How many pictures failed, and the first one's reason; "" if none did."""
    failures = [failure for report in result.reports for failure in report.failures]
    if not failures:
        return ""
    count, first = len(failures), failures[0]
    told = "1 picture failed" if count == 1 else f"{count} pictures failed, the first"
    return f"{told}: {first['name']} ({first['error']})"


def _kept(path: Path, mark: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        kept = read_json_file(path, PixWizardError)
    except PixWizardError:
        return None
    whole = isinstance(kept, dict) and kept.get("mark") == mark
    return kept if whole and not kept["missing"] and not kept["failed"] else None


def _mark(one: SetRun, plan: SetPlan, job: Job, shard: str) -> str:
    """A digest of everything that a plan's scores depend on, including its data's files."""
    marks = {}
    for name in plan.wanted:
        weight = "inception" if name in SETS else MEASURES[name].weight
        try:
            marks[name] = plan.weights.mark(weight) if weight else ""
        except MissingPart:
            marks[name] = "missing"
    settings = [asdict(job.settings_of(cell.task)) for cell in one.cells]
    how = [job.model_hash, settings, job.fit, job.centre, job.batch, job.seed, job.device]
    what = [repr(plan.options), plan.wanted, plan.phrasing, marks, shard]
    return digest([__version__, METHOD, how, what, state_of(plan.root, Path(job.out).parent)])


def _finite(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "scores": {name: value for name, value in row["scores"].items()
                           if not math.isnan(value)}}
        for row in rows
    ]  # fmt: skip
