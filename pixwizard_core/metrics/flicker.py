"""How much a video's answers change where the scene does not: arrays in, numbers out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .measures import NOTHING

MARGIN_PX = 2  # around what changes, where edge pixels blend both sides


def static_regions(frames_01: Tensor, margin_px: int = MARGIN_PX) -> Tensor:
    """Where each frame (T, 3, H, W) equals the next, at least margin_px away from changes:
    (T - 1, H, W) bool."""
    changed = (frames_01[1:] != frames_01[:-1]).any(1, keepdim=True).float()
    side = 2 * margin_px + 1
    return F.max_pool2d(changed, side, stride=1, padding=margin_px)[:, 0] == 0


def flicker(answers_01: Tensor, static: Tensor) -> float:
    """Mean absolute change of answers (T, 3, H, W) between frames within static (T - 1, H, W), in
    8-bit grey levels (0..255). NaN when nothing is static."""
    change = (answers_01[1:] - answers_01[:-1]).abs().mean(1)
    return float(255 * change[static].double().mean()) if bool(static.any()) else NOTHING
