"""What a model was taught: its tasks and the sentences it was asked in, from its file's header."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, cast

from .config import PRESETS, ModelConfig
from .errors import CheckpointError
from .json_text import read_json
from .task_table.forms import form_rows, forms_of, released_tasks

# Entries in the header of a transformer's file.
TASKS_KEY = "tasks"  # ids of tasks, with commas between them
FORMS_KEY = "forms"  # JSON: task id -> list of trained forms, as trained_forms.csv has them
PHOTOGRAPHS_KEY = "photographs"  # ids of the tasks that were also trained on photographs


@dataclass(frozen=True)
class Taught:
    """tasks: ids, None if unknown. forms: the trained forms by task id. photographs: the tasks that
    were trained on photographs as well as on rendered rooms, None if unknown."""

    tasks: frozenset[str] | None = None
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    photographs: frozenset[str] | None = None

    def knows(self, task_id: str) -> bool:
        """Whether a task was taught; True if unknown, and for the user's own words."""
        return self.tasks is None or task_id in self.tasks or not is_listed(task_id)

    def on_photographs(self, task_id: str) -> bool:
        """Whether a task is known to have been trained on photographs as well."""
        return self.photographs is not None and task_id in self.photographs

    def form(self, task_id: str) -> str | None:
        """The first form of the table that the model was trained on, or None."""
        own = self.forms.get(task_id, ())
        return next((form for form in forms_of(task_id) if form in own), None)


def with_tasks(taught: Taught, tasks: Collection[str]) -> Taught:
    """The same with further tasks. A model whose tasks are unknown stays as it is."""
    if taught.tasks is None or not tasks:
        return taught
    return replace(taught, tasks=taught.tasks | frozenset(tasks))


UNKNOWN = Taught()  # a model whose header does not say


@cache
def is_listed(task_id: str) -> bool:
    """Whether the table of trained forms has a line for this task."""
    return any(row.task == task_id for row in form_rows())


@cache
def released() -> Taught:
    """What the released model was taught."""
    tasks = released_tasks()
    return Taught(tasks, {task: forms_of(task) for task in tasks if forms_of(task)}, tasks)


def taught_by(header: Mapping[str, str], config: ModelConfig, source: str) -> Taught:
    """What a transformer was taught, from the header of its file.

    A file of the released layout without such a header is the released model; any other gives
    UNKNOWN. source: the file's name, for errors. Raises CheckpointError for a damaged header.
    """
    if TASKS_KEY not in header and FORMS_KEY not in header:
        return released() if config in PRESETS.values() else UNKNOWN
    forms = _forms(header[FORMS_KEY], source) if FORMS_KEY in header else {}
    tasks = _ids(header[TASKS_KEY]) if TASKS_KEY in header else frozenset(forms)
    photographs = _ids(header[PHOTOGRAPHS_KEY]) if PHOTOGRAPHS_KEY in header else None
    return Taught(tasks, forms, photographs)


def taught_header(
    tasks: Iterable[str],
    forms: Mapping[str, Collection[str]] | None = None,
    photographs: Iterable[str] | None = None,
) -> dict[str, str]:
    """The header entries that taught_by() reads back."""
    header = {TASKS_KEY: ",".join(dict.fromkeys(tasks))}
    if forms:
        header[FORMS_KEY] = json.dumps({task: list(known) for task, known in forms.items()})
    if photographs is not None:
        header[PHOTOGRAPHS_KEY] = ",".join(dict.fromkeys(photographs))
    return header


def _ids(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _forms(text: str, source: str) -> dict[str, tuple[str, ...]]:
    values = read_json(text, f"{source}: the header entry {FORMS_KEY} is", CheckpointError)
    forms: dict[str, Any] = {"": None}
    if isinstance(values, dict):
        forms = cast(dict[str, Any], values)
    if not all(is_texts(one) for one in forms.values()):
        raise CheckpointError(
            f"{source}: the header entry {FORMS_KEY} must give each task a list of sentences; "
            "export the model again"
        )
    return {task: tuple(known) for task, known in forms.items()}


def is_texts(value: Any) -> bool:
    """Whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(isinstance(one, str) for one in cast(list[Any], value))
