"""The tasks of the model, in one table shared by nodes, page, command line and training.

A task is asked for in a form that the model was trained on, or by a numbered phrasing of the table.
The numbers and sentences of phrasings never change, since saved workflows hold them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypedDict

from .errors import InstructionError
from .task_table import EDIT, FIRST_ROWS, ROWS
from .task_table.forms import forms_of
from .taught import Taught, released

HELD_OUT_COUNT = 2  # the last phrasings of each row; training never shows them
FREE_TEXT = "custom"
TRAINED = "trained"  # the phrasing without a number: as the model was asked in training
SEED_MARK = "seed:"  # before a seed that picks the phrasing

# Colours for highlights and boxes; RGB 0..255, far apart so that decoding can distinguish them.
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "purple": (160, 32, 240),
    "orange": (255, 128, 0),
    "cyan": (0, 255, 255),
    "white": (255, 255, 255),
}
FIRST_COLOUR = next(iter(COLOURS))  # of marks whose colour no one chose

VOWELS = tuple("aeiou")
_OPTIONAL_PART = re.compile(r"\[([^\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")
_STOPPED_FIELD = re.compile(r"\{(\w+)\}\.")
_ARTICLE = re.compile(r"\b([Aa]) \{(\w+)\}")


class Fields(TypedDict, total=False):
    """The words for a task's fields, by field."""

    caption: str
    colour: str
    target: str
    question: str


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to ask for.

    fields: the words the phrasings take, of "caption" (the wanted picture), "colour", "target"
    (what to ground or edit), "question" (whose answer to ground). optional: those of them that may
    stay empty. held_out: indices of phrasings never trained. decoder: what the answer picture
    holds, a key of decode.DECODERS or a kind that stays a picture.
    """

    id: str
    title: str
    family: str
    phrasings: tuple[str, ...]
    held_out: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    decoder: str = "image"
    optional: tuple[str, ...] = ()

    @property
    def seen(self) -> tuple[int, ...]:
        """Indices of the phrasings that training uses."""
        return tuple(i for i in range(len(self.phrasings)) if i not in self.held_out)

    @property
    def forms(self) -> tuple[str, ...]:
        """The trained forms, in which the released model was asked, the preferred one first. Empty
        for a task without any."""
        return forms_of(self.id)

    def trained(self, taught: Taught | None = None) -> str:
        """The sentence, with {fields}, that a model was asked in: its first trained form, else the
        first phrasing. taught: None for the released model."""
        return (taught or released()).form(self.id) or self.phrasings[0]


Names = tuple[str, ...]


def _task(id: str, title: str, family: str, fields: Names, decoder: str, phrasings: Names) -> Task:
    bracketed = " ".join(part for text in phrasings for part in _OPTIONAL_PART.findall(text))
    optional = tuple(f for f in fields if f in _FIELD.findall(bracketed))
    held_out = tuple(range(len(phrasings) - HELD_OUT_COUNT, len(phrasings)))
    return Task(id, title, family, phrasings, held_out, fields, decoder, optional)


TASKS: dict[str, Task] = {row[0]: _task(*row) for row in ROWS}
CUSTOM = Task(FREE_TEXT, "Free text", EDIT, ("{caption}",), (), ("caption",))
# Every id in the order of nodes: later tasks follow the free text, so that no position changes.
TASK_IDS = tuple(
    [row[0] for row in FIRST_ROWS] + [FREE_TEXT] + [row[0] for row in ROWS[len(FIRST_ROWS) :]]
)
FIELDS = tuple(dict.fromkeys(f for task in TASKS.values() for f in task.fields))


def find_task(task_id: str) -> Task:
    """The task of this id, or the free-text one for "custom". Raises InstructionError for any other
    id."""
    if task_id == FREE_TEXT:
        return CUSTOM
    if task_id not in TASKS:
        raise InstructionError(
            f"unknown task {task_id!r}; choose one of: {', '.join(TASKS)}, or {FREE_TEXT} for your "
            "own words"
        )
    return TASKS[task_id]


def instruction(
    task_id: str,
    *,
    caption: str = "",
    colour: str = "",
    target: str = "",
    question: str = "",
    phrasing: int | str = TRAINED,
    seed: int | None = None,
    taught: Taught | None = None,
) -> str:
    """The sentence that asks for a task.

    phrasing: "trained", or an index into the task's phrasings. seed: if given, picks among those
    that training uses instead (seed modulo their number, so consecutive seeds go through all).
    taught: what the model was taught, which decides the trained form; None for the released model.
    Fields that the task does not use are ignored. Raises InstructionError for an unknown task, a
    phrasing out of range or a missing field.
    """
    task = find_task(task_id)
    given = {
        "caption": _clean(caption), "colour": _word(colour), "target": _word(target),
        "question": _clean(question),
    }  # fmt: skip
    missing = [f for f in task.fields if not given[f] and f not in task.optional]
    if missing:
        raise InstructionError(
            f"task {task_id!r} needs {' and '.join(missing)}; it takes {', '.join(task.fields)}. "
            f"Fill in {missing[0]}, for example {_EXAMPLES[missing[0]]!r}"
        )
    if seed is not None:
        phrasing = task.seen[seed % len(task.seen)]
    if phrasing == TRAINED:
        return _fill(task.trained(taught), given)
    if not isinstance(phrasing, int) or not 0 <= phrasing < len(task.phrasings):
        raise InstructionError(
            f"phrasing {phrasing} of task {task_id!r} does not exist; it has 0 to "
            f"{len(task.phrasings) - 1}, or {TRAINED!r} for the form that the model was trained on"
        )
    return _fill(task.phrasings[phrasing], given)


def not_taught(task_id: str, taught: Taught) -> str:
    """A warning if a model was not taught this task, else ""."""
    if taught.knows(task_id):
        return ""
    return (
        f"this model was not taught task {task_id!r} ({find_task(task_id).title}), so its answer "
        "is a guess"
    )


def read_phrasing(text: str) -> dict[str, Any]:
    """Parse "trained", a number or "seed:N" into arguments of instruction(). Raises
    InstructionError for anything else."""
    plain = text.strip().casefold()
    if plain == TRAINED:
        return {"phrasing": TRAINED}
    number = plain.removeprefix(SEED_MARK)
    if number.isdecimal() and number.isascii():
        return {"seed" if plain.startswith(SEED_MARK) else "phrasing": int(number)}
    raise InstructionError(
        f"a phrasing is {TRAINED!r}, a number from 0, or {SEED_MARK}N. Got: {text!r:.40}"
    )


_EXAMPLES = {
    "caption": "a red ball on a wooden floor",
    "colour": "red",
    "target": "the red ball",
    "question": "Which thing here can roll?",
}


def _clean(text: str) -> str:
    return " ".join(str(text or "").split())  # an API may send null


def _word(text: str) -> str:
    return _clean(text).rstrip(" .")  # it ends up inside a sentence that has its own full stop


def _fill(template: str, given: dict[str, str]) -> str:
    def keep_or_drop(part: re.Match[str]) -> str:
        inner = part.group(1)
        return inner if all(given[f] for f in _FIELD.findall(inner)) else ""

    for f in _STOPPED_FIELD.findall(template):  # "{caption}." has a full stop of its own
        given = {**given, f: _word(given[f])}
    shown = _OPTIONAL_PART.sub(keep_or_drop, template)
    if shown != template and not _FIELD.search(shown):
        shown += "."
    return fill_fields(shown, given)


def fill_fields(text: str, words: dict[str, str]) -> str:
    """Fill in the {fields} of a text; "a" right before a field becomes "an" if the first letter of
    its words requires it."""

    def article(found: re.Match[str]) -> str:
        vowel = words[found[2]].lower().startswith(VOWELS)
        return f"{found[1]}n {{{found[2]}}}" if vowel else found[0]

    return _FIELD.sub(lambda found: words[found[1]], _ARTICLE.sub(article, text))
