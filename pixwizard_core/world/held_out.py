"""Scenes that training never sees, as examples to score by."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import PixWizardError
from .examples import WORLD_TASKS, Examples, make_examples
from .scenes import sample_scenes

HELD_OUT_SEED = 2**31  # training run s draws its scenes from seeds s million on, far below
SQUARE = (128, 128)
WIDE = ((96, 160), (160, 96))  # height, width


def check_tasks(tasks: Sequence[str]) -> list[str]:
    """The tasks themselves. Raises PixWizardError for one that the world cannot score."""
    unknown = [task for task in tasks if task not in WORLD_TASKS]
    if unknown:
        raise PixWizardError(
            f"the demo world has no task {unknown[0]!r}; it scores: {', '.join(WORLD_TASKS)}"
        )
    return list(tasks)


def examples_of(
    task: str, count: int, size: tuple[int, int], seed: int, held_out: bool
) -> Examples:
    """count examples of a task at (height, width); the scenes are the same for either phrasing and
    do not depend on which other tasks are scored."""
    generator = torch.Generator().manual_seed(seed + list(WORLD_TASKS).index(task))
    scenes = sample_scenes(count, generator)
    return make_examples([task] * count, scenes, *size, generator, "cpu", held_out)


def first(examples: Examples, count: int) -> Examples:
    """The first count of the examples."""
    truth = {name: value[:count] for name, value in examples.truth.items()}
    return Examples(
        examples.tasks[:count],
        examples.inputs[:count],
        examples.targets[:count],
        examples.instructions[:count],
        truth,
        examples.words[:count],
    )
