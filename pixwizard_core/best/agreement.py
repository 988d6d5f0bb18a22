"""How well several answers about one picture agree: tensors in, numbers from 0 to 1 out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .. import metrics
from ..decode.masks import mask_boxes

LINE_REACH = 1 / 64  # of the shorter side: how far apart two lines may be and still agree


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where one answer sees a thing. mask: (H, W) bool. rectangle: whether it is a box, which says
    nothing of the shape inside."""

    mask: Tensor
    rectangle: bool = False


def overlap(one: Sighting, other: Sighting) -> float:
    """IoU of two sightings: of their boxes if either is a box, else of their masks. Two that found
    nothing agree (1); one that did and one that did not disagree (0)."""
    if not one.rectangle and not other.rectangle:
        return metrics.mask_iou(one.mask[None], other.mask[None])
    found = bool(one.mask.any()), bool(other.mask.any())
    if not all(found):
        return float(found[0] == found[1])
    first, second = (mask_boxes(each.mask[None]).float() for each in (one, other))
    return metrics.box_iou(first, second)


def agreements(candidates: Sequence[Sighting], witnesses: Sequence[Sighting] = ()) -> list[float]:
    """For each candidate, its mean overlap with all other candidates and with the witnesses; 1 for
    a candidate that has nothing to be compared with."""
    found = list[float]()
    for i, one in enumerate(candidates):
        others = [other for j, other in enumerate(candidates) if j != i] + list(witnesses)
        each = [overlap(one, other) for other in others]
        found.append(sum(each) / len(each) if each else 1.0)
    return found


def inside_share(before_01: Tensor, after_01: Tensor, mask: Tensor) -> float:
    """Share of all change between two pictures (3, H, W) that lies inside a mask (H, W) bool; 0 if
    nothing changed."""
    change = (after_01 - before_01).abs().mean(0).double()
    total = float(change.sum())
    return float(change[mask].sum()) / total if total > 0 else 0.0


def same_map(kind: str, one_01: Tensor, other_01: Tensor) -> float:
    """How alike two painted maps (3, H, W) in 0..1 of one kind (Task.decoder) are: for lines, the
    F1 of their pixels within LINE_REACH of the shorter side; else 1 minus the mean difference."""
    if kind not in ("edge", "pose"):
        return 1.0 - float((one_01.float() - other_01.float()).abs().mean())
    greys = [picture.float().mean(0) for picture in (one_01, other_01)]
    dark = float(greys[1].mean()) > 0.5  # lines on light paper
    level = 0.5 if kind == "edge" else 0.1
    lines = [((1 - grey) if dark else grey) > level for grey in greys]
    reach = max(1, round(min(one_01.shape[-2:]) * LINE_REACH))
    value = metrics.edge_f1(lines[0][None], lines[1][None], reach)
    return 1.0 if value != value else value
