"""How much a video's answers change where nothing in the scene does: arrays in, numbers out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .measures import NOTHING

MARGIN_PX = 2  # around what changes, where a picture's edges are mixed of both


def static_regions(frames_01: Tensor, margin_px: int = MARGIN_PX) -> Tensor:
    """Where each frame (T, 3, H, W) and the next are the same, away from changes: (T - 1, H, W)
    bool."""
    changed = (frames_01[1:] != frames_01[:-1]).any(1, keepdim=True).float()
    side = 2 * margin_px + 1
    return F.max_pool2d(changed, side, stride=1, padding=margin_px)[:, 0] == 0


def flicker(answers_01: Tensor, static: Tensor) -> float:
    """Mean absolute change of answers (T, 3, H, W) between frames within static (T - 1, H, W), in
    steps of 8-bit grey (0..255). NaN where nothing is static."""
    change = (answers_01[1:] - answers_01[:-1]).abs().mean(1)
    return float(255 * change[static].double().mean()) if bool(static.any()) else NOTHING
