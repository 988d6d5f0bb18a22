"""The sentences that the released model was trained on, from trained_forms.csv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("trained_forms.csv")
NOT_TRAINED = "none"  # the source of a task that the released model does not know


@dataclass(frozen=True, slots=True)
class FormRow:
    """One line of the table. form: a sentence with {fields}, as in a task's phrasings, or "" for a
    task without a form. source: where it is documented: "released" for the released training, a
    section of the paper, or "none"."""

    task: str
    form: str
    source: str
    note: str


@cache
def form_rows() -> tuple[FormRow, ...]:
    """All lines, in the order in which a model's form is searched."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(FormRow(**row) for row in csv.DictReader(file))


@cache
def forms_of(task_id: str) -> tuple[str, ...]:
    """The trained forms of a task, the first of which is preferred; none for an unknown id."""
    return tuple(row.form for row in form_rows() if row.task == task_id and row.form)


@cache
def released_tasks() -> frozenset[str]:
    """Ids of the tasks that the released model was trained on."""
    return frozenset(row.task for row in form_rows() if row.source != NOT_TRAINED)
