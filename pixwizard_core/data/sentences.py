"""The sentences that ask for a built pair: the trained form first, then other wordings."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..tasks import find_task, instruction
from .chance import whole


def sentences_for(
    task: str, captions: Sequence[str], count: int, generator: torch.Generator
) -> tuple[str, ...]:
    """Up to count different sentences. The first is the trained form; the others are wordings of
    the table that training uses, drawn without repeats. A task without a caption in its fields
    ignores captions; several captions take turns.
    """
    row = find_task(task)
    told = list(captions) if "caption" in row.fields and captions else [""]
    found = [instruction(task, caption=told[0])]
    seeds = list(range(len(row.seen)))
    while seeds and len(found) < count:
        seed = seeds.pop(whole(generator, 0, len(seeds) - 1))
        caption = told[len(found) % len(told)]
        found.append(instruction(task, caption=caption, seed=seed))
    return tuple(dict.fromkeys(found))
