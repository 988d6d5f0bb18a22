"""Measure a set of answers on disk: read back measures already taken, name those that cannot be
taken, and take the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import CanvasError, PixWizardError
from ..fleet.index import Appender, read_objects
from .answer_files import AnswerFiles
from .layouts import DatasetLayout
from .measures import MEASURES, Measure, Take, Values
from .networks.weight_files import MissingPart, WeightFolder
from .set_measures import FEW, measure_set

SETS = ("fid", "is")
NOTHING = "the data has nothing to compare with (captions, true pictures)"
FEW_TEXT = {
    "fid": "FID of so few answers ({count}) lies far above that of a full set; take at least {few}",
    "is": "IS of so few answers ({count}) lies far below that of a full set; take at least {few}",
}
OnProgress = Callable[[int, int], None]


@dataclass
class SetScores:
    """scores: by name. By measure: missing: the weight or package without which it was left out;
    lacking: what the data has too little of; notes: remarks on its scores."""

    scores: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Every measure that was not taken, and why."""
        return {**self.missing, **self.lacking}


def check_measures(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names. Raises PixWizardError for an unknown one."""
    known = (*MEASURES, *SETS)
    for name in names:
        if name not in known:
            raise PixWizardError(f"there is no measure {name!r}; there are {', '.join(known)}")
    return tuple(names)


def measure(
    shown: Sequence[AnswerFiles],
    names: Sequence[str],
    weights: WeightFolder,
    out: Path,
    layout: DatasetLayout,
    *,
    reference: Sequence[Path] | None = None,
    device: str = "cpu",
    on_progress: OnProgress = lambda done, total: None,
) -> SetScores:
    """Scores of answers. reference: FID's real pictures; None takes the answers' true pictures.
    on_progress(done, total): called with counts of answers for one measure; total is 0 if unknown.
    """
    found = SetScores()
    names = check_measures(names)
    for name in names:
        if name not in SETS:
            try:
                rows, bad = _each(shown, name, weights, out, device, on_progress)
            except MissingPart as error:
                found.missing[name] = str(error)
                continue
            scores = MEASURES[name].total(rows)
            found.scores |= scores
            if not scores:
                found.lacking[name] = _left_out(bad) if bad else NOTHING
            elif bad:
                found.notes[name] = _left_out(bad)
    if wanted := [name for name in names if name in SETS]:
        _sets(shown, wanted, weights, out, layout, reference, device, on_progress, found)
    _note_captions(shown, found)
    return found


def _left_out(bad: Mapping[str, str]) -> str:
    name, why = next(iter(bad.items()))
    if len(bad) == 1:
        return f"1 answer is left out: {name} ({why})"
    return f"{len(bad)} answers are left out, the first: {name} ({why})"


def _note_captions(shown: Sequence[AnswerFiles], found: SetScores) -> None:
    pairs = [one.truth for one in shown if one.has("caption") and one.has("source_caption")]
    equal = sum(truth["caption"] == truth["source_caption"] for truth in pairs)
    if "clip_dir" in found.scores and equal:
        told = f"{equal} of {len(pairs)} rows have equal captions; they give 0"
        found.notes["clip"] = "; ".join([*filter(None, [found.notes.get("clip")]), told])


def _each(
    shown: Sequence[AnswerFiles], name: str, weights: WeightFolder, out: Path, device: str,
    on_progress: OnProgress,
) -> tuple[list[Values], dict[str, str]]:  # fmt: skip
    """Values by picture, in order, and why others have none, by name. If one value of a batch is
    missing, the whole batch is computed again, so that values do not depend on where a run was
    stopped."""
    one = MEASURES[name]
    mark = [weights.mark(one.weight) if one.weight else "", one.method, device.split(":")[0]]
    path = out / f"{name}.jsonl"
    known = {(row["key"], tuple(row["mark"])): row["values"] for row in read_objects(path)
             if {"key", "mark", "values"} <= row.keys()}  # fmt: skip
    rows: list[Values] = []
    bad: dict[str, str] = {}
    take, journal = None, None
    try:
        for at in range(0, len(shown), one.at_once):
            batch = shown[at : at + one.at_once]
            keys = [(picture.key, tuple(mark)) for picture in batch]
            if all(key in known for key in keys):
                rows += [known[key] for key in keys]
            else:
                take = take or one.build(_weight(one, weights), device)
                journal = journal or Appender(path)
                good, values = _of_batch(take, batch, bad)
                for picture, row in zip(good, values, strict=True):
                    journal.add({"key": picture.key, "mark": mark, "values": row})
                rows += values
            on_progress(len(rows) + len(bad), len(shown))
    finally:
        if journal is not None:
            journal.close()
    return rows, bad


def _of_batch(
    take: Take, batch: Sequence[AnswerFiles], bad: dict[str, str]
) -> tuple[list[AnswerFiles], list[Values]]:
    """The answers of a batch whose files can be opened, and their values; the others go to bad."""
    good = list(batch)
    try:  # copies, which are freed together with the pictures that they opened
        return good, take([replace(one) for one in good])
    except CanvasError:
        reasons = {one.name: why for one in good if (why := replace(one).unreadable)}
        if not reasons:
            raise
    bad |= reasons
    good = [one for one in good if one.name not in reasons]
    return good, take([replace(one) for one in good]) if good else []


def _weight(one: Measure, weights: WeightFolder) -> Path:
    return weights.find(one.weight) if one.weight else Path()


def _sets(
    shown: Sequence[AnswerFiles], wanted: list[str], weights: WeightFolder, out: Path,
    layout: DatasetLayout, reference: Sequence[Path] | None, device: str,
    on_progress: OnProgress, found: SetScores,
) -> None:  # fmt: skip
    if reference is None:
        files: dict[str, Any] = {one.truth["file"]: None for one in shown if one.has("file")}
        reference = [Path(file) for file in files]
    if "fid" not in wanted:
        reference = []
    done, total = 0, len(shown) + len(reference)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    try:
        scores = measure_set(
            shown, reference, weights.find("inception"), weights.mark("inception"), out,
            device=device, resize=layout.fid, crop=layout.crop, on_progress=advance,
        )  # fmt: skip
    except MissingPart as error:
        found.missing |= dict.fromkeys(wanted, str(error))
        return
    except CanvasError as error:
        told = f"{error}; replace this picture or take it out of the set"
        found.lacking |= dict.fromkeys(wanted, told)
        return
    if math.isnan(scores.get("fid", 0.0)):
        del scores["fid"]
        found.lacking["fid"] = (
            "FID needs at least 2 answers to different questions and 2 true pictures. Got: "
            f"{len(shown)} and {len(reference)}"
        )
    elif "fid" in wanted and "fid" not in scores:
        found.lacking["fid"] = "the data has no true pictures"
    found.scores |= {name: value for name, value in scores.items()
                     if name.split("_")[0] in wanted}  # fmt: skip
    for name in wanted:
        if name in scores and len(shown) < FEW:
            found.notes[name] = FEW_TEXT[name].format(count=len(shown), few=FEW)
