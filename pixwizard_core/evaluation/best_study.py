"""What the best of several answers gains on rooms, and whether its agreement tells a thing that is
there from one that is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import metrics
from ..best.agreement import agreements
from ..best.choose import WITNESSES, best_of
from ..best.scores import GROUNDING, sighting_of, way_of
from ..pipeline import Bundle, EncodedPictures, Request, run
from ..tasks import instruction
from ..world.examples import Examples
from ..world.held_out import SQUARE, examples_of
from ..world.scenes import COLOUR_NAMES, SHAPES
from .scorers import FOUND, SCORERS, mean
from .scoring import as_trained, first

COUNTS = (1, 2, 4, 8)  # answers to choose from
ABSENT_SEED = 77
OnBatch = Callable[[int], None]
# Task -> the score that choosing should raise; higher is better.
CHOSEN_TASKS = {
    "from_depth": "f1", "from_canny": "f1", "recolour": "correct", "replace": "closer",
    "remove": "region_psnr",
}  # fmt: skip


@dataclass(frozen=True)
class MaskRow:
    """Masks chosen from count answers. wrong: share with an IoU below FOUND. wrong_alone: the same
    without asking in other forms. auc: how well the confidence tells things that are there from
    things that are not, 0.5 = not at all."""

    count: int
    iou: float
    wrong: float
    wrong_alone: float
    auc: float
    auc_alone: float


def area_under_curve(present: Sequence[float], absent: Sequence[float]) -> float:
    """Area under the ROC curve: how often a value of present is above one of absent; ties count
    half. NaN without either."""
    if not present or not absent:
        return float("nan")
    one, other = torch.tensor(present)[:, None], torch.tensor(absent)[None]
    return float(((one > other).double() + 0.5 * (one == other).double()).mean())


def absent_names(examples: Examples, rng: random.Random) -> list[str]:
    """For each room, a colour and shape that no visible object has together: "the red ball"."""
    names = list[str]()
    for caption in examples.truth["caption"]:
        free = [f"{c} {s}" for c in COLOUR_NAMES for s in SHAPES if f"{c} {s}" not in caption]
        names.append(f"the {rng.choice([name for name in free if 'person' not in name])}")
    return names


def mask_readings(
    bundle: Bundle, examples: Examples, targets: Sequence[str], on_batch: OnBatch
) -> tuple[list[list], list[list]]:
    """For each room, the readings of max(COUNTS) masks, and of WITNESSES answers in each other
    form."""
    masks, witnesses = [list() for _ in targets], [list() for _ in targets]
    encoded: EncodedPictures | None = None
    for form in GROUNDING:
        words = [
            instruction(form, target=target, colour="red", taught=bundle.taught)
            for target in targets
        ]
        for number in range(max(COUNTS) if form == "mask" else WITNESSES):
            seeds = [1000 * row + number for row in range(len(targets))]
            result = run(bundle, Request(
                examples.inputs, words, seeds, bundle.settings_of(form), encoded=encoded
            ))  # fmt: skip
            encoded = result.encoded
            for row, painted in enumerate(result.image_01):
                source = examples.inputs[row : row + 1]
                read = sighting_of(form, painted[None], source, "red")
                (masks if form == "mask" else witnesses)[row].append(read)
            on_batch(len(targets))
    return masks, witnesses


def study_masks(bundle: Bundle, count: int, seed: int, on_batch: OnBatch) -> list[MaskRow]:
    """Rows of COUNTS over count rooms, and as many questions about a thing that is not there."""
    examples = first(examples_of("mask", count, SQUARE, seed, False), count)
    truth: Tensor = examples.truth["mask"]
    asked = [words["target"] for words in examples.words]
    present = mask_readings(bundle, examples, asked, on_batch)
    absent = mask_readings(bundle, examples, absent_names(examples, random.Random(seed)), on_batch)
    rows = list[MaskRow]()
    for most in COUNTS:
        (ious, sure), (alone, sure_alone) = (
            _chosen(*present, most, truth, helped) for helped in (True, False)
        )
        _, unsure = _chosen(*absent, most, truth, True)
        _, unsure_alone = _chosen(*absent, most, truth, False)
        rows.append(MaskRow(
            most, mean(ious), _wrong(ious), _wrong(alone), area_under_curve(sure, unsure),
            area_under_curve(sure_alone, unsure_alone),
        ))  # fmt: skip
    return rows


def _wrong(ious: Sequence[float]) -> float:
    return mean([float(value < FOUND) for value in ious])


def _chosen(
    masks: list[list], witnesses: list[list], most: int, truth: Tensor, helped: bool
) -> tuple[list[float], list[float]]:
    """IoU and confidence of the best of the first masks of each room."""
    ious, sure = list[float](), list[float]()
    for row, (each, others) in enumerate(zip(masks, witnesses, strict=True)):
        scores = agreements(each[:most], others if helped else ())
        best = max(range(most), key=lambda i: scores[i])
        ious.append(metrics.mask_iou(each[best].mask[None], truth[row : row + 1]))
        sure.append(scores[best] if bool(each[best].mask.any()) else 0.0)
    return ious, sure


def study_tasks(
    bundle: Bundle, count: int, seed: int, on_batch: OnBatch, most: int = 4
) -> dict[str, tuple[str, float, float, float]]:
    """For each of CHOSEN_TASKS over count rooms: its score of the first answer, of the chosen one
    of `most`, and of the one with the best score of all, which no choice can beat."""
    found: dict[str, tuple[str, float, float, float]] = {}
    for task, name in CHOSEN_TASKS.items():
        examples = as_trained(examples_of(task, count, SQUARE, seed, False), bundle.taught)
        values = list[list[float]]()
        chosen = list[int]()
        for row in range(count):
            best = best_of(
                bundle, task, examples.instructions[row], examples.words[row],
                examples.inputs[row : row + 1], most, seed=1000 * row,
            )  # fmt: skip
            one = _row(examples, row)
            values.append([SCORERS[task](each.painted_01, one)[name] for each in best.candidates])
            chosen.append(best.chosen)
            on_batch(most)
        picked = [each[i] for each, i in zip(values, chosen, strict=True)]
        top = mean([max(each) for each in values])
        found[task] = (name, mean([each[0] for each in values]), mean(picked), top)
    return found


def _row(examples: Examples, row: int) -> Examples:
    """One of the examples."""
    part = slice(row, row + 1)
    truth = {name: value[part] for name, value in examples.truth.items()}
    return Examples(
        examples.tasks[part], examples.inputs[part], examples.targets[part],
        examples.instructions[part], truth, examples.words[part],
    )  # fmt: skip


def best_tables(
    rows: Sequence[MaskRow], tasks: dict[str, tuple[str, float, float, float]], most: int = 4
) -> str:
    """Markdown: masks by the number of answers, then other tasks."""
    lines = [
        "| masks chosen of | mean IoU | wrong | wrong, masks alone | AUC | AUC, masks alone |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        values = (row.iou, row.wrong, row.wrong_alone, row.auc, row.auc_alone)
        lines.append(f"| {row.count} | {' | '.join(f'{value:.3f}' for value in values)} |")
    lines += [
        "", f"| task | scored by | score | first | best of {most} | highest of {most} |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for task, (name, *values) in tasks.items():
        shown = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {task} | {way_of(task)} | {name} | {shown} |")
    return "\n".join(lines)
