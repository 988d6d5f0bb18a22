"""Scenes and photographs that training never sees, as examples for scoring."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from ..errors import PixWizardError
from ..tasks import TASKS, instruction
from .examples import WORLD_TASKS, Examples, make_examples
from .photograph_tasks import PHOTOGRAPH_TASKS, show
from .photographs import HOLD_OUT, pieces
from .scenes import sample_scenes

HELD_OUT_SEED = 2**31  # far above training: run s draws its scenes from seed s million upwards
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
    """count examples of a task at (height, width) in px; the scenes are the same for both kinds of
    phrasing and do not depend on which other tasks are scored."""
    generator = torch.Generator().manual_seed(seed + list(WORLD_TASKS).index(task))
    scenes = sample_scenes(count, generator)
    return make_examples([task] * count, scenes, *size, generator, "cpu", held_out)


def check_photograph_tasks(tasks: Sequence[str]) -> list[str]:
    """The tasks themselves. Raises PixWizardError for one without truth from photographs."""
    unknown = [task for task in tasks if task not in PHOTOGRAPH_TASKS]
    if unknown:
        raise PixWizardError(
            f"photographs hold no truth for task {unknown[0]!r}; they score: "
            f"{', '.join(PHOTOGRAPH_TASKS)}"
        )
    return list(tasks)


@torch.no_grad()
def photographs_of(
    task: str, count: int, size: tuple[int, int], seed: int, held_out: bool
) -> Examples:
    """Like examples_of(), on photographs that training never sees. truth has "rgb", "mask" (the
    hole), "edges" and, since they are unknown for a photograph, "colour" and "object" -1, "caption"
    and "target" empty."""
    generator = torch.Generator().manual_seed(seed + list(WORLD_TASKS).index(task))
    given = pieces(count, *size, generator, use=HOLD_OUT)
    shown = show(task, given, generator)
    nothing = torch.zeros_like(given[:, 0], dtype=torch.bool)
    unknown = torch.full((count,), -1, dtype=torch.int64, device="cpu")
    rng, row = random.Random(seed), TASKS[task]
    phrasings = [rng.choice(row.held_out if held_out else row.seen) for _ in range(count)]
    truth = {
        "rgb": given,
        "mask": nothing if shown.mask is None else shown.mask,
        "edges": nothing if shown.edges is None else shown.edges,
        "colour": unknown,
        "object": unknown,
        "caption": [""] * count,
        "target": [""] * count,
        "kind": [task] * count,
    }
    sentences = [instruction(task, phrasing=number) for number in phrasings]
    return Examples([task] * count, shown.inputs, shown.targets, sentences, truth, [{}] * count)


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
