"""What a node says of its run beside the result: lines on its view, and warnings in the log.

A note is {"say": key in locales/*/main.json, under pixwizard.notes, "warns": bool, and the values
that the text takes}. A node that can have notes always gives the list, so that old ones go away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

KEY = "pixwizard_notes"  # UI output that web/notes.js reads
MOST = 16  # notes of one run; the log has all of them

Note = dict[str, Any]


def note(say: str, **values: Any) -> Note:
    """A plain line."""
    return {"say": say, "warns": False, **values}


def warning(text: str, say: str, **values: Any) -> Note:
    """A line that warns. text: the same in English, for the log."""
    logging.warning("PixWizard: %s", text)
    return {"say": say, "warns": True, **values}


def shown(notes: Iterable[Note]) -> dict[str, list[Note]]:
    """The notes as part of a node's UI output."""
    return {KEY: list(notes)[:MOST]}


def of_empty_masks(masks: Tensor) -> list[Note]:
    """Warnings of masks (B, H, W), selected where above 0, that select nothing."""
    empty = (~(masks > 0).flatten(1).any(1)).nonzero()[:, 0] + 1
    if not len(empty):
        return []
    if len(empty) == len(masks):
        text = "the mask is empty: nothing will change"
        return [warning(text, "empty_mask")]
    numbers = ", ".join(map(str, empty.tolist()))
    text = f"the mask of picture {numbers} is empty: nothing will change there"
    return [warning(text, "empty_masks", numbers=numbers)]


def of_nothing_found(counts: Sequence[int]) -> list[Note]:
    """What to say of pictures in which nothing was found. counts: what was found in each."""
    empty = [number for number, count in enumerate(counts, 1) if not count]
    if not empty:
        return []
    if len(empty) == len(counts):
        return [note("nothing")]
    return [note("nothing_in", numbers=", ".join(map(str, empty)))]
