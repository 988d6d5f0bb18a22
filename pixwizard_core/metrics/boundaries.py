"""How well an answer follows the outlines of the truth: arrays in, numbers out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .arrays import Array, labels
from .measures import NOTHING, edge_f1


def outline(masks: Tensor) -> Tensor:
    """The selected pixels of (B, H, W) bool that touch an unselected one, diagonals included. The
    picture's border is no outline."""
    outside = F.max_pool2d((~masks).float()[:, None], 3, stride=1, padding=1)[:, 0] > 0
    return masks & outside


def boundary_f1(prediction: Array, truth: Array, tolerance_px: int = 2) -> float:
    """F1 of the outlines of bool masks (B, H, W), averaged over pictures: a pixel of an outline is
    right when the other mask has one at most tolerance_px off in x and y. Two masks without
    an outline agree (1), one without counts 0. NaN for no pictures."""
    one, two = (outline(mask.bool()) for mask in labels(prediction, truth))
    each = [edge_f1(a[None], b[None], tolerance_px) for a, b in zip(one, two, strict=True)]
    agree = [1.0 if value != value else value for value in each]
    return sum(agree) / len(agree) if agree else NOTHING


def near_outlines(classes: Tensor, margin_px: int) -> Tensor:
    """(B, H, W) bool: pixels at most margin_px in x and y from one whose neighbour has another
    number. classes: (B, H, W) whole numbers below 2^24."""
    numbers = classes.float()[:, None]
    highest = F.max_pool2d(numbers, 3, stride=1, padding=1)
    lowest = -F.max_pool2d(-numbers, 3, stride=1, padding=1)
    change = (highest != lowest).float()
    side = 2 * margin_px + 1
    return F.max_pool2d(change, side, stride=1, padding=margin_px)[:, 0].to(torch.bool)
