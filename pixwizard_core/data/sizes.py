"""Sizes of the targets of pairs, which the released list needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import CanvasError
from ..files.picture_files import picture_size
from .pairs import InstructionPair


def measured(pairs: Sequence[InstructionPair]) -> tuple[list[InstructionPair], list[str]]:
    """Pairs with the sizes of their targets, read where a list does not say them, and a line for
    each pair whose target cannot be read; those are left out."""
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
