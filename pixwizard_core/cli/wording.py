"""How a task is worded on the command line, and which tasks a model knows."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..tasks import SEED_MARK, TASKS, TRAINED, Task, find_task, not_taught, read_phrasing
from ..taught import Taught, released


def add_phrasing_option(group) -> None:
    """Add --phrasing, for each command that words a task."""
    group.add_argument(
        "--phrasing", metavar="P", default="",
        help=f"{TRAINED} (default: as the model was asked in training), a number, or {SEED_MARK}N",
    )  # fmt: skip


def warn_of_untaught(taught: Taught, tasks: Iterable[str]) -> list[str]:
    """Warn on stderr of tasks that the model was not taught. Returns the same lines."""
    lines = [note for task in dict.fromkeys(tasks) if (note := not_taught(task, taught))]
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
    return lines


def wordings_of(tasks: Iterable[str], taught: Taught, phrasing: str) -> dict[str, str]:
    """How each of these tasks is asked: the sentence with its {fields}, or a note that a seed picks
    it. Rows of a list may override it."""
    chosen = read_phrasing(phrasing or TRAINED)
    number = chosen.get("phrasing", TRAINED)

    def said(task: Task) -> str:
        if "seed" in chosen:
            return f"the phrasing that {phrasing} picks"
        return task.trained(taught) if number == TRAINED else task.phrasings[int(number)]

    return {name: said(find_task(name)) for name in dict.fromkeys(tasks)}


def task_lines(taught: Taught) -> list[str]:
    """The tasks with their fields; under each its trained forms, and what `trained` sends to the
    model if that is none of them."""
    lines = []
    for task in TASKS.values():
        fields = " ".join(f"--{name}" for name in task.fields)
        mark = "" if taught.knows(task.id) else "  (not taught to this model)"
        lines.append(f"{task.id:<19} {task.family:<9} {task.title:<34} {fields}{mark}".rstrip())
        lines += [f"    trained  {form}" for form in task.forms]
        sent = task.trained(taught)
        if sent != task.trained(released()) or not task.forms:
            lines.append(f"    sent     {sent}")
    return lines
