"""Read the sizes of targets, which the released model's list format needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import CanvasError
from ..files.picture_files import picture_size
from .pairs import InstructionPair


def measured(pairs: Sequence[InstructionPair]) -> tuple[list[InstructionPair], list[str]]:
    """Return the pairs with the sizes of their targets in px, and one line for each pair that was
    left out because its target cannot be read. Only unknown sizes are read."""
    kept: list[InstructionPair] = []
    unread: list[str] = []
    for pair in pairs:
        if pair.width and pair.height:
            kept.append(pair)
            continue
        try:
            if not pair.target.is_file():
                raise CanvasError(f"there is no picture {pair.target}")
            width, height = picture_size(pair.target)
        except CanvasError as error:
            unread.append(f"{pair.where}: {error}")
        else:
            kept.append(replace(pair, width=width, height=height))
    return kept, unread
