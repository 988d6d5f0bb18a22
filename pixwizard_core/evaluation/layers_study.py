"""How good cut-outs are on rooms: the shape of the layer, the background behind it, and how exactly
they stack to the picture."""

from __future__ import annotations

from collections.abc import Callable

from .. import metrics
from ..cutout import cut_out, stack
from ..metrics.boundaries import boundary_f1
from ..pipeline import Bundle
from ..world.held_out import examples_of
from .scorers import FOUND, Scores, mean, psnr

ENLARGED = 2  # the source's side over the model's
EIGHT_BIT = 255
OnBatch = Callable[[int], None]


def study_layers(
    bundle: Bundle, count: int, seed: int, on_batch: OnBatch = lambda count: None
) -> Scores:
    """Scores over count rooms with one named thing each, ENLARGED times as large as the model.

    found: share of things whose layer has an IoU of FOUND or more; the other scores are means over
    these. iou, boundary_f1: of the opaque half of the layer. behind_db: PSNR of the background in
    place of the thing, against the same room without it; kept_db: the same for the picture as it
    is. stacked_off: the largest error of the stacked layers outside rims, in 8-bit steps; rim_off:
    the mean error at rims, in 8-bit steps.
    """
    side = ENLARGED * min(bundle.centres)
    examples = examples_of("remove", count, (side, side), seed, False)
    rows = list[Scores]()
    for row in range(count):
        picture, truth = examples.inputs[row], examples.truth["mask"][row : row + 1]
        target = examples.words[row]["target"]
        found = cut_out(bundle, picture[None], [target], seed=row)
        on_batch(1)
        if not found.layers:
            continue
        alpha = found.layers[0].alpha
        opaque = (alpha > 0.5)[None]
        iou = metrics.mask_iou(opaque, truth)
        if iou < FOUND:
            continue
        off = (stack(found.background, found.layers) - picture).abs().amax(0) * EIGHT_BIT
        rim = (alpha > 0) & (alpha < 1)
        without = examples.targets[row]
        rows.append({
            "iou": iou,
            "boundary_f1": boundary_f1(opaque, truth),
            "behind_db": psnr(found.background, without, truth[0]),
            "kept_db": psnr(picture, without, truth[0]),
            "stacked_off": float(off[~rim].max()),
            "rim_off": float(off[rim].mean()) if bool(rim.any()) else 0.0,
        })  # fmt: skip
    names = list(rows[0]) if rows else []
    largest = {"stacked_off": max}
    return {
        "found": len(rows) / count,
        **{name: largest.get(name, mean)([one[name] for one in rows]) for name in names},
    }


def layers_table(scores: Scores, count: int) -> str:
    """Markdown: one row."""
    names = list(scores)
    return "\n".join([
        f"| rooms | {' | '.join(name.replace('_', ' ') for name in names)} |",
        f"|{'---|' * (len(names) + 1)}",
        f"| {count} | {' | '.join(f'{scores[name]:.3f}' for name in names)} |",
    ])  # fmt: skip
