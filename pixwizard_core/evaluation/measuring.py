"""Measure a set of answers on disk: read back measures already taken, name those that cannot be
taken, and take the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..fleet.index import Appender, read_objects
from .answer_files import AnswerFiles
from .layouts import DatasetLayout
from .measures import MEASURES, Measure, Values
from .networks.weight_files import MissingPart, WeightFolder
from .set_measures import FEW, measure_set

SETS = ("fid", "is")
OnProgress = Callable[[int, int], None]


@dataclass
class SetScores:
    """scores: by name. missing: measure -> why it was left out. notes: remarks on the scores."""

    scores: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
                rows = _each(shown, name, weights, out, device, on_progress)
            except MissingPart as error:
                found.missing[name] = str(error)
                continue
            scores = MEASURES[name].total(rows)
            found.scores |= scores
            if not scores:
                found.missing[name] = "the data has nothing to compare with (captions, pictures)"
    if wanted := [name for name in names if name in SETS]:
        _sets(shown, wanted, weights, out, layout, reference, device, on_progress, found)
    _note_captions(shown, found)
    return found


def _note_captions(shown: Sequence[AnswerFiles], found: SetScores) -> None:
    pairs = [one.truth for one in shown if one.has("caption") and one.has("source_caption")]
    equal = sum(truth["caption"] == truth["source_caption"] for truth in pairs)
    if "clip_dir" in found.scores and equal:
        found.notes.append(f"{equal} of {len(pairs)} rows have equal captions; they give 0")


def _each(
    shown: Sequence[AnswerFiles], name: str, weights: WeightFolder, out: Path, device: str,
    on_progress: OnProgress,
) -> list[Values]:  # fmt: skip
    """Values by picture, in order. If one value of a batch is missing, the whole batch is computed
    again, so that values do not depend on where a run was stopped."""
    one = MEASURES[name]
    mark = [weights.mark(one.weight) if one.weight else "", one.method, device.split(":")[0]]
    path = out / f"{name}.jsonl"
    known = {(row["key"], tuple(row["mark"])): row["values"] for row in read_objects(path)
             if {"key", "mark", "values"} <= row.keys()}  # fmt: skip
    rows: list[Values] = []
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
                # Copies, which are freed together with the pictures that they opened.
                values = take([replace(picture) for picture in batch])
                for picture, row in zip(batch, values, strict=True):
                    journal.add({"key": picture.key, "mark": mark, "values": row})
                rows += values
            on_progress(len(rows), len(shown))
    finally:
        if journal is not None:
            journal.close()
    return rows


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
    found.scores |= {name: value for name, value in scores.items()
                     if name.split("_")[0] in wanted}  # fmt: skip
    if "fid" in wanted and "fid" not in scores:
        found.missing["fid"] = "the data has no true pictures"
    if "fid" in scores and len(shown) < FEW:
        found.notes.append(
            f"FID of {len(shown)} answers lies far above that of a full set; take at least {FEW}"
        )
