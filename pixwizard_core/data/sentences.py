"""The instructions for a built pair: the trained form first, then other wordings."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..tasks import Fields, find_task, instruction
from .chance import whole


def sentences_for(
    task: str, words: Sequence[Fields], count: int, generator: torch.Generator
) -> tuple[str, ...]:
    """Write up to count different instructions for a task. The first is the trained form; the
    others are random wordings from those that training uses. words: values for the task's fields,
    used in turn; empty when the task needs none. Raises InstructionError when a required field has
    no value."""
    row = find_task(task)
    told: list[Fields] = list(words) or [{}]
    found = [instruction(task, **told[0])]
    seeds = list(range(len(row.seen)))
    while seeds and len(found) < count:
        seed = seeds.pop(whole(generator, 0, len(seeds) - 1))
        found.append(instruction(task, **told[len(found) % len(told)], seed=seed))
    return tuple(dict.fromkeys(found))
