"""How a task is worded on the command line, and which tasks a model knows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from ..errors import PixWizardError
from ..tasks import FIELDS, SEED_MARK, TASKS, TRAINED, Task, find_task, not_taught, read_phrasing
from ..taught import Taught, released
from ..weights.lora_use import LoraUse

SHOWN = 5  # trained sentences in a message
# Field of an instruction -> help of its option.
FIELD_HELP = {
    "target": "object to find or change, such as 'the red ball'",
    "question": "question whose answer is to be highlighted",
    "caption": "description of the picture that you want",
    "colour": "colour of a highlight or box, or the new colour of an object",
}


def add_field_options(group, **spellings: Sequence[str]) -> None:
    """Add an option for each field of an instruction. spellings: other names of an option."""
    for name, text in FIELD_HELP.items():
        group.add_argument(f"--{name}", *spellings.get(name, ()), default="", help=text)


def add_phrasing_option(group) -> None:
    """Add --phrasing, for each command that words a task."""
    group.add_argument(
        "--phrasing", metavar="P", default="",
        help=f"wording of the instruction: {TRAINED} (as in the model's training), the number of a "
        f"wording, or {SEED_MARK}N to pick one by seed (default: {TRAINED})",
    )  # fmt: skip


def warn_of_untaught(taught: Taught, tasks: Iterable[str]) -> list[str]:
    """Warn on stderr of tasks that the model was not taught. Returns the same lines."""
    lines = [note for task in dict.fromkeys(tasks) if (note := not_taught(task, taught))]
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
    return lines


def tell_unused(arguments: argparse.Namespace, tasks: Iterable[str]) -> None:
    """Say on stderr which fields of an instruction are given and used by none of these tasks."""
    asked = ", ".join(named := dict.fromkeys(tasks))
    used = {field for task in named for field in find_task(task).fields}
    for name in FIELDS if named else ():
        if getattr(arguments, name) and name not in used:
            print(f"--{name} changes nothing: {asked} has no use for it", file=sys.stderr)


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


def lora_lines(use: LoraUse) -> list[str]:
    """What a LoRA can be asked, by its header, for a list of tasks."""
    from ..weights.lora_header import header_of, word_lines

    return word_lines(use.name, header_of(use.path))


def only_words(uses: Iterable[LoraUse]) -> str:
    """The one sentence that LoRA files were trained on, which needs not be repeated; said on
    stderr. Raises PixWizardError, listing them, when there are several or none."""
    from ..weights.lora_header import header_of

    headers = [header_of(use.path) for use in uses]
    words = list(dict.fromkeys(sentence for header in headers for sentence in header.words))
    tasks = [task for header in headers for task in header.tasks]
    if len(words) == 1 and not tasks and all(header.count <= 1 for header in headers):
        print(f"instruction (of the LoRA): {words[0]}", file=sys.stderr)
        return words[0]
    known = [f"--task {task}" for task in tasks] + [f"--instruction {one!r}" for one in words]
    said = "; trained: " + ", ".join(known[:SHOWN]) if known else "; the LoRA names no words"
    more = f" and {len(known) - SHOWN} more (--tasks lists them)" if len(known) > SHOWN else ""
    raise PixWizardError(
        f"say what to do: --task NAME (see --tasks) or --instruction TEXT{said}{more}"
    )
