"""What sharp answers gain: rooms rendered larger than the model works, with their exact truth.

Each answer is painted once and brought to the source's size in several ways. Answers that found the
wrong object are left out, since no outline can be right there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .. import metrics
from ..canvas import Canvas
from ..canvas.resample import resample
from ..decode import (
    SHARPENED,
    Hints,
    at_source_size,
    decode,
    decode_depth,
    decode_normals,
    decode_segments,
    tiny_world,
)
from ..metrics.boundaries import boundary_f1, near_outlines
from ..pipeline import Bundle, Request, run
from ..world.examples import Examples
from ..world.held_out import HELD_OUT_SEED, examples_of
from .scorers import FOUND, Scores, colours_of, mean
from .scoring import as_trained

ENLARGED = 4  # the source's side over the model's
NEAR_PX = 4  # a model pixel: how near an outline counts as near it
TOLERANCE_PX = 2
BATCH = 8
WAYS = ("bilinear", "plain", "guided filter", "sharp")
GUIDED_WINDOW, GUIDED_EPS = 17, 1e-3  # of kornia's guided_blur, in px of the source

OnBatch = Callable[[int], None]


@dataclass(frozen=True)
class SharpRow:
    """One kind of answer brought to the source's size in one way. count: pictures scored."""

    task: str
    way: str
    count: int
    scores: Scores


def study(
    bundle: Bundle, count: int, seed: int = HELD_OUT_SEED, on_batch: OnBatch = lambda count: None
) -> list[SharpRow]:
    """Rows of every task and way, over count rooms ENLARGED times as large as the model works."""
    side = ENLARGED * min(bundle.centres)
    rows: list[SharpRow] = []
    for task in SHARPENED:
        examples = as_trained(examples_of(task, count, (side, side), seed, False), bundle.taught)
        found: dict[str, list[Scores]] = {way: [] for way in WAYS}
        for start in range(0, count, BATCH):
            part = slice(start, start + BATCH)
            result = run(bundle, Request(
                examples.inputs[part], examples.instructions[part], seeds=start,
                settings=bundle.settings_of(task),
            ))  # fmt: skip
            for i, answer in enumerate(result.model_image_01):
                _add(found, task, answer[None], examples, start + i, result.canvas)
            on_batch(len(result.model_image_01))
        rows += [_row(task, way, each) for way, each in found.items()]
    return rows


def _add(
    found: dict[str, list[Scores]], task: str, answer: Tensor, examples: Examples, row: int,
    canvas: Canvas,
) -> None:  # fmt: skip
    """The scores of one answer in every way, unless it shows another object."""
    source = examples.inputs[row : row + 1]
    colour = colours_of(examples)[row] if task == "highlight" else "red"
    shown = {
        "plain": at_source_size(task, answer, source, canvas, colour),
        "bilinear": resample(answer, canvas.source.height, canvas.source.width, "triangle"),
        "guided filter": _guided_filter(answer, source, canvas),
        "sharp": at_source_size(task, answer, source, canvas, colour, sharp=True),
    }
    scores = {way: score(task, shown[way], examples, row, colour) for way in WAYS}
    if scores["plain"].get("iou", 1.0) >= FOUND:
        for way in WAYS:
            found[way].append(scores[way])


def _guided_filter(answer: Tensor, source: Tensor, canvas: Canvas) -> Tensor:
    """For comparison: kornia's guided filter over the enlarged answer, in 0..1."""
    from kornia.filters import guided_blur

    large = resample(answer, canvas.source.height, canvas.source.width, "triangle")
    return guided_blur(source, large, GUIDED_WINDOW, GUIDED_EPS, "replicate").clamp(0, 1)


def score(task: str, image_01: Tensor, examples: Examples, row: int, colour: str) -> Scores:
    """The scores of one picture (1, 3, H, W) of the source's size: over all of it, and near
    outlines."""
    truth = {name: examples.truth[name][row : row + 1] for name in ("mask", "classes", "instances")}
    near = near_outlines(truth["instances"], NEAR_PX)
    if task == "depth":
        depth, wanted = decode_depth(image_01), examples.truth["depth_01"][row : row + 1]
        return {
            "rmse": metrics.rmse(depth, wanted), "rmse near": metrics.rmse(depth, wanted, near)
        }  # fmt: skip
    if task == "normal":
        normals, wanted = decode_normals(image_01), examples.truth["normals"][row : row + 1]
        return {
            "angle": metrics.mean_angle_deg(normals, wanted),
            "angle near": metrics.mean_angle_deg(normals, wanted, near),
        }
    if task == "segmentation":
        right = decode_segments(image_01, tiny_world()).labels == truth["classes"] + 1
        near = near_outlines(truth["classes"], NEAR_PX)
        return {
            "accuracy": float(right.float().mean()),
            "accuracy near": float(right[near].float().mean()),
        }
    hints = Hints(examples.inputs[row : row + 1], colour)
    mask = decode(task, image_01, hints)
    return {
        "iou": metrics.mask_iou(mask, truth["mask"]),
        "boundary f1": boundary_f1(mask, truth["mask"], TOLERANCE_PX),
    }


def _row(task: str, way: str, each: list[Scores]) -> SharpRow:
    names = list(each[0]) if each else []
    return SharpRow(task, way, len(each), {n: mean([one[n] for one in each]) for n in names})


def sharp_table(rows: list[SharpRow]) -> str:
    """Markdown: a row for each task and score, a column for each way."""
    lines = [f"| task | pictures | score | {' | '.join(WAYS)} |", f"|{'---|' * (3 + len(WAYS))}"]
    for task in dict.fromkeys(row.task for row in rows):
        ways = {row.way: row for row in rows if row.task == task}
        for name in ways[WAYS[0]].scores:
            values = " | ".join(f"{ways[way].scores[name]:.3f}" for way in WAYS)
            lines.append(f"| {task} | {ways[WAYS[0]].count} | {name} | {values} |")
    return "\n".join(lines)
