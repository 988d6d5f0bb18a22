"""The tasks as data: the name, wordings and kind of answer picture of each.

One row is (id, title, family, fields, decoder, phrasings). Text in square brackets is left out when
the field inside it is empty; every other field is required. The last two phrasings of a row are
never used in training, so they measure whether an unseen wording is understood. Saved workflows
hold ids and numbers of phrasings: append rows, and never change sentences. The sentences that the
released model was trained on are in a separate list, trained_forms.csv.
"""

from __future__ import annotations

from typing import Any

from .answers import GROUND_ROWS, PERCEIVE_ROWS
from .changes import EDIT_ROWS, INPAINT_ROWS
from .families import CONTROL, EDIT, FAMILIES, GENERATE, GROUND, INPAINT, PERCEIVE, RESTORE
from .later import LATER_ROWS
from .paintings import CONTROL_ROWS, GENERATE_ROWS
from .restorations import RESTORE_ROWS

FIRST_ROWS = (
    *((row[0], row[1], PERCEIVE, *row[2:]) for row in PERCEIVE_ROWS),
    *((row[0], row[1], GROUND, *row[2:]) for row in GROUND_ROWS),
    *((row[0], row[1], EDIT, *row[2:]) for row in EDIT_ROWS),
    *((row[0], row[1], INPAINT, *row[2:]) for row in INPAINT_ROWS),
    *((row[0], row[1], RESTORE, (), "image", row[2]) for row in RESTORE_ROWS),
    *((row[0], row[1], CONTROL, ("caption",), "image", row[2]) for row in CONTROL_ROWS),
    *((row[0], row[1], GENERATE, *row[2:]) for row in GENERATE_ROWS),
)
ROWS: tuple[tuple[Any, ...], ...] = (*FIRST_ROWS, *LATER_ROWS)

__all__ = ["EDIT", "FAMILIES", "FIRST_ROWS", "ROWS"]
