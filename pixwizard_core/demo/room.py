"""The demonstration's room: a scene of the demo world that training never saw, asked for every kind
of task.
"""

from __future__ import annotations

import torch

from ..world.examples import Examples, make_examples
from ..world.scenes import sample_scenes

# Which drawing it is: the seed, how many scenes are drawn from it, and which of them.
SEED, SCENES, CHOSEN = 7_100_000, 24, 0
HEIGHT, WIDTH = 224, 288
# The seed behind the choices of a task's example (which object, which hole, which noise).
CHOICES = {"mask": 1, "highlight": 1, "box": 1, "recolour": 1, "remove": 1}


def room_example(task: str) -> Examples:
    """One example of a task in this room, (1, 3, 224, 288), always the same."""
    scenes = sample_scenes(SCENES, torch.Generator().manual_seed(SEED))[CHOSEN : CHOSEN + 1]
    generator = torch.Generator().manual_seed(CHOICES.get(task, 0))
    return make_examples([task], scenes, HEIGHT, WIDTH, generator, "cpu")
