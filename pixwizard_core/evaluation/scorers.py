"""How accurate painted answers are, task by task: each scorer takes answers (n, 3, H, W) in 0..1
and their examples, and returns numbers by name. The correct answer scores best; a copy of the input
gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import metrics
from ..decode import (
    decode_boxes,
    decode_depth,
    decode_highlight,
    decode_mask,
    decode_normals,
    decode_segments,
    tiny_world,
)
from ..decode.palette import Palette
from ..tasks import COLOURS
from ..world.edges import canny
from ..world.examples import Examples
from ..world.person import BONES
from ..world.render import CLASSES
from ..world.scenes import COLOUR_NAMES
from .shown_colours import has_patch, named_colours, nearest_paint, shows_colour

FOUND = 0.5  # IoU from which a referred object counts as found
LINE_TOLERANCE_PX = 2
SOFT_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6)
CHANGED = 0.03  # difference from which a pixel counts as edited, slightly above rounding
DULL_DB = 20.0  # restoration is also scored on inputs at most this good, which can gain most
BEST_DB = 60.0  # finer than 8 bits can show, so that equal pictures have a finite score

Scores = dict[str, float]
Scorer = Callable[[Tensor, Examples], Scores]


def bone_palette() -> Palette:
    """The bones of a skeleton picture as classes, on black."""
    return Palette.from_mapping("bones", {f"bone {i}": row[3] for i, row in enumerate(BONES)})


def mean(values: list[float]) -> float:
    """Average, ignoring NaN; NaN when no value is left."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def psnr(painted: Tensor, wanted: Tensor, region: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, at most BEST_DB; NaN for an empty region."""
    return min(metrics.psnr(painted, wanted, region), BEST_DB) if _any(region) else math.nan


def _any(region: Tensor | None) -> bool:
    return region is None or bool(region.any())


def score_depth(painted: Tensor, examples: Examples) -> Scores:
    """rmse: of decoded depth in 0..1."""
    return {"rmse": metrics.rmse(decode_depth(painted), examples.truth["depth_01"])}


def score_normals(painted: Tensor, examples: Examples) -> Scores:
    """angle: mean angle in degrees."""
    return {"angle": metrics.mean_angle_deg(decode_normals(painted), examples.truth["normals"])}


def score_segmentation(painted: Tensor, examples: Examples) -> Scores:
    """accuracy: share of pixels with the right class; miou: over all classes."""
    labels = decode_segments(painted, tiny_world()).labels
    truth = examples.truth["classes"] + 1
    return {
        "accuracy": metrics.pixel_accuracy(labels, truth),
        "miou": metrics.mean_iou(labels, truth, len(CLASSES) + 1),
    }


def score_overlap(masks: Tensor, truth: Tensor) -> Scores:
    """iou: mean over pictures; found: share with IoU of FOUND or more; ciou: over all pixels."""
    each = [metrics.mask_iou(a[None], b[None]) for a, b in zip(masks, truth, strict=True)]
    return {
        "iou": mean(each),
        "found": mean([float(value >= FOUND) for value in each]),
        "ciou": metrics.cumulative_iou(masks, truth),
    }


def score_mask(painted: Tensor, examples: Examples) -> Scores:
    """Overlap of the decoded mask with the named object; see score_overlap()."""
    return score_overlap(decode_mask(painted), examples.truth["mask"])


def colours_of(examples: Examples) -> list[str]:
    """The colour that each example asks for."""
    names = tuple(COLOURS)
    return [names[index] for index in examples.truth["colour"].tolist()]


def score_highlight(painted: Tensor, examples: Examples) -> Scores:
    """Overlap of the decoded tint with the named object; see score_overlap()."""
    masks = [
        decode_highlight(painted[i : i + 1], examples.inputs[i : i + 1], colour)[0]
        for i, colour in enumerate(colours_of(examples))
    ]
    return score_overlap(torch.stack(masks), examples.truth["mask"])


def score_box(painted: Tensor, examples: Examples) -> Scores:
    """iou: of the best box with the true one; found: share with IoU of FOUND or more."""
    each = []
    for i, colour in enumerate(colours_of(examples)):
        rows = slice(i, i + 1)
        found = decode_boxes(painted[rows], colour, examples.inputs[rows])[0]
        best = torch.tensor([found[0].xyxy_px if found else (0, 0, 0, 0)])
        each.append(metrics.box_iou(best, examples.truth["box_xyxy_px"][rows].cpu()))
    return {"iou": mean(each), "found": mean([float(value >= FOUND) for value in each])}


def lines_of(pictures: Tensor, dark: bool) -> Tensor:
    """Drawn lines (n, H, W) bool: the dark half of the greys, or the bright one."""
    grey = pictures.mean(1)
    return grey < 0.5 if dark else grey > 0.5


def score_lines(painted: Tensor, examples: Examples) -> Scores:
    """Score against the lines of the correct answer picture."""
    dark = bool(examples.targets.mean() > 0.5)
    wanted = lines_of(examples.targets, dark)
    return {"f1": metrics.edge_f1(lines_of(painted, dark), wanted, LINE_TOLERANCE_PX)}


def score_soft_lines(painted: Tensor, examples: Examples) -> Scores:
    """Score against the lines of the correct answer, at the single best threshold for all painted
    pictures, as is usual for soft edges (ODS)."""
    wanted = lines_of(examples.targets, dark=False)
    grey = painted.mean(1)
    return {
        "f1": max(metrics.edge_f1(grey > at, wanted, LINE_TOLERANCE_PX) for at in SOFT_THRESHOLDS)
    }


def score_pose(painted: Tensor, examples: Examples) -> Scores:
    """f1: bones as lines; limbs: share of bones found in the right place and colour."""
    labels = decode_segments(painted, bone_palette()).labels
    truth = decode_segments(examples.targets, bone_palette()).labels
    limbs = []
    for ours, theirs in zip(labels, truth, strict=True):
        for bone in theirs.unique().tolist():
            if bone:
                pair = ((ours == bone)[None], (theirs == bone)[None])
                limbs.append(float(metrics.edge_f1(*pair, LINE_TOLERANCE_PX) >= FOUND))
    return {
        "f1": metrics.edge_f1(labels > 0, truth > 0, LINE_TOLERANCE_PX),
        "limbs": mean(limbs),
    }


def score_restored(painted: Tensor, examples: Examples) -> Scores:
    """gain: dB gained over the input; gain_20db: the same for inputs of at most 20 dB."""
    rows = range(len(painted))
    after = [psnr(painted[i], examples.targets[i]) for i in rows]
    before = [psnr(examples.inputs[i], examples.targets[i]) for i in rows]
    gains = [b - a for a, b in zip(before, after, strict=True)]
    dull = [gain for gain, at_first in zip(gains, before, strict=True) if at_first <= DULL_DB]
    return {"psnr": mean(after), "gain": mean(gains), "gain_20db": mean(dull)}


def _region_psnr(painted: Tensor, examples: Examples, regions: Tensor) -> float:
    triples = zip(painted, examples.targets, regions, strict=True)
    return mean([psnr(ours, wanted, region) for ours, wanted, region in triples])


def score_hole(painted: Tensor, examples: Examples) -> Scores:
    """hole_psnr, kept_psnr: in dB, inside and outside the hole."""
    hole = examples.truth["mask"]
    return {
        "hole_psnr": _region_psnr(painted, examples, hole),
        "kept_psnr": _region_psnr(painted, examples, ~hole),
    }


def score_edit(painted: Tensor, examples: Examples) -> Scores:
    """closer: share of pictures whose changed part is closer to the wanted one than the input's."""
    region = (examples.targets - examples.inputs).abs().amax(1) > CHANGED
    error, before = (
        [float((p - t).abs().mean(0)[r].mean()) for p, t, r in zip(*triple, strict=True)]
        for triple in (
            (painted, examples.targets, region),
            (examples.inputs, examples.targets, region),
        )
    )
    closer = [
        math.nan if math.isnan(b) else float(a < b) for a, b in zip(error, before, strict=True)
    ]
    return {
        "closer": mean(closer),
        "region_psnr": _region_psnr(painted, examples, region),
        "kept_psnr": _region_psnr(painted, examples, ~region),
    }


def score_recolour(painted: Tensor, examples: Examples) -> Scores:
    """correct: share of objects whose mean colour is nearest to the requested object colour."""
    correct = [
        float(nearest_paint(picture[:, mask].mean(1)) == wanted)
        for picture, mask, wanted in zip(
            painted, examples.truth["mask"], examples.truth["colour"].tolist(), strict=True
        )
        if mask.any()
    ]
    return {"correct": mean(correct), **score_edit(painted, examples)}


def score_added(painted: Tensor, examples: Examples) -> Scores:
    """appeared: share of pictures with a new patch of the requested colour anywhere."""
    hits = []
    for picture, given, words in zip(
        painted, examples.inputs, examples.truth["target"], strict=True
    ):
        new = (picture - given).abs().amax(0) > 0.15
        for name in named_colours(words):
            hits.append(float(has_patch(shows_colour(picture, name) & new)))
    return {"appeared": mean(hits), **score_edit(painted, examples)}


def score_named_colours(painted: Tensor, examples: Examples) -> Scores:
    """named: share of the caption's object colours that the picture shows; all: share of pictures
    that show every one of them; extra: share of the other object colours that are also shown.
    """
    named, complete, extra = [], [], []
    for picture, caption in zip(painted, examples.truth["caption"], strict=True):
        wanted = named_colours(caption)
        shown = {name: float(has_patch(shows_colour(picture, name))) for name in COLOUR_NAMES}
        named += [shown[name] for name in wanted]
        extra += [value for name, value in shown.items() if name not in wanted]
        complete.append(min((shown[name] for name in wanted), default=math.nan))
    return {"named": mean(named), "all": mean(complete), "extra": mean(extra)}


def score_controlled(painted: Tensor, examples: Examples) -> Scores:
    """Score the colours against the caption, and edges (f1) against the real picture."""
    lines = metrics.edge_f1(canny(painted), canny(examples.targets), LINE_TOLERANCE_PX)
    return {"f1": lines, **score_named_colours(painted, examples)}


RESTORED = (
    *("denoise", "derain", "dehaze", "deblur", "desnow", "deshadow", "lowlight", "demoire"),
    *("watermark", "superres", "reflection", "restore", "restore_captioned", "recolour_photo"),
)
LINES = ("canny", "hed", "sketch", "lineart")
MAPS = ("depth", "normal", "segmentation", *LINES, "pose")
SCORERS: dict[str, Scorer] = {
    "depth": score_depth,
    "normal": score_normals,
    "segmentation": score_segmentation,
    **dict.fromkeys(LINES, score_lines),
    "hed": score_soft_lines,
    "pose": score_pose,
    "mask": score_mask,
    "highlight": score_highlight,
    "box": score_box,
    "recolour": score_recolour,
    "add": score_added,
    **dict.fromkeys(("remove", "replace", "background", "style", "edit"), score_edit),
    **dict.fromkeys(("inpaint", "outpaint"), score_hole),
    **dict.fromkeys(RESTORED, score_restored),
    **{f"from_{kind}": score_controlled for kind in (*MAPS, "any")},
    "text2image": score_named_colours,
}
