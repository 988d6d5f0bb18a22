"""How visible the seams between tiles are: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .arrays import Array, floats


class Seams(NamedTuple):
    """Steps of the error from one line of pixels to the next, each a mean over the line, in the
    unit of the pictures. mean, worst: where tiles meet; inside_mean, inside_worst: elsewhere."""

    mean: float
    worst: float
    inside_mean: float
    inside_worst: float


def seam_steps(picture: Array, truth: Array, columns: Sequence[int], rows: Sequence[int]) -> Seams:
    """Steps of picture - truth, both (C, H, W), across vertical and horizontal lines.

    columns, rows: the pixels that begin behind a line where tiles meet. The error is looked at, and
    not the picture, so that outlines of things count as no seam. NaN where there are no such lines.
    """
    one, two = floats(picture, truth)
    error = one - two
    across = error.diff(dim=2).abs().mean((0, 1))  # entry i lies before column i + 1
    down = error.diff(dim=1).abs().mean((0, 2))
    met, others = [], []
    for steps, places in ((across, columns), (down, rows)):
        seam = torch.zeros(len(steps), dtype=torch.bool, device=steps.device)
        seam[[place - 1 for place in places]] = True
        met.append(steps[seam])
        others.append(steps[~seam])
    return Seams(*_summed(torch.cat(met)), *_summed(torch.cat(others)))


def _summed(steps: torch.Tensor) -> tuple[float, float]:
    """Mean and largest."""
    if not len(steps):
        return float("nan"), float("nan")
    return float(steps.mean()), float(steps.max())
