"""Scores of a bundle on held-out scenes of the demo world, task by task.

Each task is read from the painted pictures by the same decoders that users have, and scored against
the world's exact truth. Beside each score stand a trivial answer's (what is worth beating) and the
autoencoder's ceiling (the true answer, encoded and decoded).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..decode import (
    decode_boxes,
    decode_depth,
    decode_highlight,
    decode_mask,
    decode_normals,
    decode_segments,
)
from ..decode.palette import Palette
from ..evaluation import metrics
from ..generate import SampleSettings
from ..images import to_image_01, to_pixels
from ..pipeline import Bundle, Request, run
from ..tasks import COLOURS
from .examples import Examples, make_examples
from .render import CLASSES, PALETTE
from .scenes import COLOUR_NAMES as PAINT_NAMES
from .scenes import PAINTS, sample_scenes

HELD_OUT_SEED = 7_000_000  # no training run draws its scenes from here on
COLOUR_NAMES = tuple(COLOURS)
FOUND = 0.5  # IoU from which a referred object counts as found

Scores = dict[str, float]
Scorer = Callable[[Tensor, Examples], Scores]


def world_palette() -> Palette:
    """The demo world's classes as a palette; index 0 is the background, which no scene shows."""
    return Palette.from_mapping("demo world", PALETTE)


def score_depth(painted: Tensor, examples: Examples) -> Scores:
    return {"rmse": metrics.rmse(decode_depth(painted), examples.truth["depth_01"])}


def score_normals(painted: Tensor, examples: Examples) -> Scores:
    return {"angle": metrics.mean_angle_deg(decode_normals(painted), examples.truth["normals"])}


def score_segmentation(painted: Tensor, examples: Examples) -> Scores:
    labels = decode_segments(painted, world_palette()).labels
    truth = examples.truth["classes"] + 1
    return {
        "accuracy": metrics.pixel_accuracy(labels, truth),
        "miou": metrics.mean_iou(labels, truth, len(CLASSES) + 1),
    }


def _overlaps(masks: Tensor, truth: Tensor) -> Scores:
    each = [metrics.mask_iou(a[None], b[None]) for a, b in zip(masks, truth, strict=True)]
    return {
        "iou": sum(each) / len(each),
        "found": sum(value >= FOUND for value in each) / len(each),
        "ciou": metrics.cumulative_iou(masks, truth),
    }


def score_mask(painted: Tensor, examples: Examples) -> Scores:
    return _overlaps(decode_mask(painted), examples.truth["mask"])


def score_highlight(painted: Tensor, examples: Examples) -> Scores:
    masks = [
        decode_highlight(painted[i : i + 1], examples.inputs[i : i + 1], COLOUR_NAMES[colour])[0]
        for i, colour in enumerate(examples.truth["colour"].tolist())
    ]
    return _overlaps(torch.stack(masks), examples.truth["mask"])


def score_box(painted: Tensor, examples: Examples) -> Scores:
    best = []
    for i, colour in enumerate(examples.truth["colour"].tolist()):
        rows = slice(i, i + 1)
        found = decode_boxes(painted[rows], COLOUR_NAMES[colour], examples.inputs[rows])[0]
        best.append(found[0].xyxy_px if found else (0, 0, 0, 0))
    truth = examples.truth["box_xyxy_px"]
    each = [
        metrics.box_iou(torch.tensor([box]), row[None])
        for box, row in zip(best, truth, strict=True)
    ]
    return {"iou": sum(each) / len(each), "found": sum(v >= FOUND for v in each) / len(each)}


def score_edges(painted: Tensor, examples: Examples) -> Scores:
    grey, wanted = painted.mean(1), examples.targets.mean(1)
    dark_lines = wanted.mean() > 0.5
    lines = (grey < 0.5) if dark_lines else (grey > 0.5)
    truth = (wanted < 0.5) if dark_lines else (wanted > 0.5)
    return {"f1": metrics.edge_f1(lines, truth, 1)}


def score_restored(painted: Tensor, examples: Examples) -> Scores:
    rows = range(len(painted))
    psnr = [metrics.psnr(painted[i], examples.targets[i]) for i in rows]
    before = [metrics.psnr(examples.inputs[i], examples.targets[i]) for i in rows]
    gain = [after - at_first for after, at_first in zip(psnr, before, strict=True)]
    return {"psnr": sum(psnr) / len(psnr), "gain": sum(gain) / len(gain)}


def _changed(examples: Examples) -> Tensor:
    """Where the answer differs from the input: (n, H, W) bool, a little beyond rounding."""
    return (examples.targets - examples.inputs).abs().amax(1) > 0.03


def _region_psnr(painted: Tensor, examples: Examples, region: Tensor) -> float:
    scores = [
        metrics.psnr(painted[i], examples.targets[i], region[i])
        for i in range(len(painted))
        if region[i].any()
    ]
    return sum(scores) / len(scores) if scores else math.nan


def score_hole(painted: Tensor, examples: Examples) -> Scores:
    return {"hole_psnr": _region_psnr(painted, examples, examples.truth["mask"])}


def score_edit(painted: Tensor, examples: Examples) -> Scores:
    """closer: share of pictures whose changed part is nearer to the wanted one than the input's."""
    region, nearer = _changed(examples), []
    for i in range(len(painted)):
        if region[i].any():
            error = (painted[i] - examples.targets[i]).abs().mean(0)[region[i]].mean()
            before = (examples.inputs[i] - examples.targets[i]).abs().mean(0)[region[i]].mean()
            nearer.append(float(error < before))
    kept = ~region
    return {
        "closer": sum(nearer) / len(nearer) if nearer else math.nan,
        "region_psnr": _region_psnr(painted, examples, region),
        "kept_psnr": _region_psnr(painted, examples, kept),
    }


def score_recolour(painted: Tensor, examples: Examples) -> Scores:
    """correct: share of objects whose mean colour is nearest to the asked object colour."""
    paints = torch.tensor(PAINTS)
    paints = paints / paints.norm(dim=1, keepdim=True)  # shading scales a colour, not its direction
    right, count = 0, 0
    for i, mask in enumerate(examples.truth["mask"]):
        if not mask.any():
            continue
        mean = painted[i][:, mask].mean(1)
        target = examples.targets[i][:, mask].mean(1)
        guess, wanted = (int((paints @ (c / c.norm())).argmax()) for c in (mean, target))
        right, count = right + (guess == wanted), count + 1
    return {"correct": right / max(count, 1), **score_edit(painted, examples)}


def score_painted(painted: Tensor, examples: Examples) -> Scores:
    """For generation: how near in mean colour over a coarse grid, and how sharp, the result is."""
    coarse = [torch.nn.functional.adaptive_avg_pool2d(p, 8) for p in (painted, examples.targets)]
    return {"coarse_psnr": metrics.psnr(*coarse), "psnr": metrics.psnr(painted, examples.targets)}


def score_named_colours(painted: Tensor, examples: Examples) -> Scores:
    """named: share of the objects' colours in the caption that a clear patch of the picture has."""
    paints = dict(zip(PAINT_NAMES, torch.tensor(PAINTS), strict=True))
    hits = total = 0
    for picture, caption in zip(painted, examples.truth["caption"], strict=True):
        words = caption.replace(",", " ").split()
        for name in {word for word in words if word in paints}:
            pure = paints[name][:, None, None]
            cosine = torch.nn.functional.cosine_similarity(picture, pure, dim=0)
            spread = picture.amax(0) - picture.amin(0)
            vivid = spread > 0.25 if name != "white" else picture.amin(0) > 0.7
            hits += int(((cosine > 0.97) & vivid).sum() >= 40)
            total += 1
    return {"named": hits / max(total, 1)}


RESTORE = ("denoise", "derain", "dehaze", "deblur", "desnow", "deshadow", "lowlight", "demoire")
SCORERS: dict[str, Scorer] = {
    "depth": score_depth,
    "normal": score_normals,
    "segmentation": score_segmentation,
    "mask": score_mask,
    "highlight": score_highlight,
    "box": score_box,
    **dict.fromkeys(("canny", "lineart", "hed", "sketch"), score_edges),
    **dict.fromkeys((*RESTORE, "watermark", "superres"), score_restored),
    **dict.fromkeys(("inpaint", "outpaint"), score_hole),
    "recolour": score_recolour,
    **dict.fromkeys(("remove", "add", "replace", "background", "style", "edit"), score_edit),
    "text2image": score_named_colours,
}


@dataclass(frozen=True)
class TaskScore:
    """Scores of one task: the model's, a trivial answer's, and the autoencoder's ceiling."""

    task: str
    count: int
    model: Scores
    trivial: Scores
    ceiling: Scores


@torch.no_grad()
def round_trip(bundle: Bundle, pictures: Tensor) -> Tensor:
    """(n, 3, H, W) in 0..1 through the autoencoder and back."""
    parts = [
        to_image_01(bundle.vae.decode(bundle.vae.encode(to_pixels(part).to(bundle.device))))
        for part in pictures.split(32)
    ]
    return torch.cat(parts).clamp(0, 1).cpu()


def trivial_answer(task: str, examples: Examples) -> Tensor:
    """What costs nothing: the mean answer where a map is asked for, else the input itself."""
    if task in ("depth", "normal", "segmentation", "mask", "canny", "lineart", "hed", "sketch"):
        return examples.targets.mean(0, keepdim=True).expand_as(examples.targets)
    if task == "text2image":
        return examples.targets.roll(1, 0)  # a good picture of another caption
    return examples.inputs


def paint(bundle: Bundle, examples: Examples, settings: SampleSettings, batch: int) -> Tensor:
    """The bundle's answers (n, 3, H, W) to all examples, each with its own seed."""
    parts = []
    for start in range(0, len(examples), batch):
        rows = slice(start, start + batch)
        request = Request(
            examples.inputs[rows], examples.instructions[rows], seeds=start, settings=settings
        )
        parts.append(run(bundle, request).image_01)
    return torch.cat(parts)


def score_world(
    bundle: Bundle,
    tasks: Sequence[str],
    *,
    count: int = 96,
    settings: SampleSettings | None = None,
    held_out: bool = False,
    seed: int = HELD_OUT_SEED,
    batch: int = 32,
    on_task: Callable[[TaskScore], None] = lambda score: None,
) -> list[TaskScore]:
    """Score tasks on count scenes each. held_out: with phrasings that training never used."""
    results = []
    for number, task in enumerate(tasks):
        generator = torch.Generator().manual_seed(seed + number)
        scenes = sample_scenes(count, generator)
        examples = make_examples([task] * count, scenes, 128, 128, generator, "cpu", held_out)
        scorer = SCORERS[task]
        used = settings or bundle.settings_of(task)
        result = TaskScore(
            task,
            count,
            scorer(paint(bundle, examples, used, batch), examples),
            scorer(trivial_answer(task, examples), examples),
            scorer(round_trip(bundle, examples.targets), examples),
        )
        on_task(result)
        results.append(result)
    return results


def table(results: Sequence[TaskScore]) -> str:
    """Markdown: a row for each task and score."""
    lines = ["| task | score | model | trivial | ceiling |", "|---|---|---|---|---|"]
    for result in results:
        for name, value in result.model.items():
            lines.append(
                f"| {result.task} | {name} | {value:.3f} | {result.trivial[name]:.3f} "
                f"| {result.ceiling[name]:.3f} |"
            )
    return "\n".join(lines)
