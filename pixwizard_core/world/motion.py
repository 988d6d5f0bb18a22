"""Moving scenes of the demo world."""

from __future__ import annotations

import torch

from .render import Views, render
from .scenes import sample_scenes

MOTION_SEED = 2**31 + 2**20  # away from the scenes used for scoring
STEP_M = 0.12  # how far the first object moves to the right from frame to frame


def moving_scene(number: int, frames: int, height: int = 128, width: int = 128) -> Views:
    """A room in which one object slides to the right before a fixed camera: Views of all frames."""
    scenes = sample_scenes(1, torch.Generator().manual_seed(MOTION_SEED + number))
    first = torch.zeros(1, dtype=torch.long, device="cpu")
    start = float(scenes.x[0, 0]) - STEP_M * frames / 2
    parts = [
        render(scenes.with_objects(first, x=start + STEP_M * frame), height, width)
        for frame in range(frames)
    ]
    names = ("rgb", "depth_m", "depth_01", "normals", "classes", "instances")
    return Views(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})
