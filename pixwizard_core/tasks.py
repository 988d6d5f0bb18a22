"""What can be asked of the model, in one table shared by nodes, page, command line and training.

A task has several phrasings because the model understands free text; none of them is special.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InstructionError
from .task_table import EDIT, ROWS

HELD_OUT_COUNT = 2  # the last phrasings of each row; training never shows them
FREE_TEXT = "custom"

# Colours a highlight or a box may be asked for in; RGB 0..255, far apart so that decoding can tell
# them.
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

VOWELS = tuple("aeiou")
_OPTIONAL_PART = re.compile(r"\[([^\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) \{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to ask for.

    fields: the words the phrasings take, of "caption" (the wanted picture), "colour", "target"
    (what to ground or edit). optional: those of them that may stay empty. held_out: indices of
    phrasings never trained. decoder: what the answer picture holds, a key of decode.DECODERS or a
    kind that stays a picture.
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
    def trained(self) -> tuple[int, ...]:
        """Indices of the phrasings that training uses."""
        return tuple(i for i in range(len(self.phrasings)) if i not in self.held_out)


def _task(id: str, title: str, family: str, fields: tuple, decoder: str, phrasings: tuple) -> Task:
    bracketed = " ".join(part for text in phrasings for part in _OPTIONAL_PART.findall(text))
    optional = tuple(f for f in fields if f in _FIELD.findall(bracketed))
    held_out = tuple(range(len(phrasings) - HELD_OUT_COUNT, len(phrasings)))
    return Task(id, title, family, phrasings, held_out, fields, decoder, optional)


TASKS: dict[str, Task] = {row[0]: _task(*row) for row in ROWS}
CUSTOM = Task(FREE_TEXT, "Free text", EDIT, ("{caption}",), (), ("caption",))


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
    phrasing: int = 0,
    seed: int | None = None,
) -> str:
    """The sentence that asks for a task.

    phrasing: index into the task's phrasings. seed, when given, picks among the trained phrasings
    instead (seed modulo their number, so consecutive seeds walk through all). Fields that the task
    does not use are ignored. Raises InstructionError for an unknown task, a phrasing out of range
    or a missing field.
    """
    task = find_task(task_id)
    given = {"caption": _clean(caption), "colour": _word(colour), "target": _word(target)}
    missing = [f for f in task.fields if not given[f] and f not in task.optional]
    if missing:
        raise InstructionError(
            f"task {task_id!r} needs {' and '.join(missing)}; it takes {', '.join(task.fields)}. "
            f"Fill in {missing[0]}, for example {_EXAMPLES[missing[0]]!r}"
        )
    if seed is not None:
        phrasing = task.trained[seed % len(task.trained)]
    if not 0 <= phrasing < len(task.phrasings):
        raise InstructionError(
            f"phrasing {phrasing} of task {task_id!r} does not exist; it has 0 to "
            f"{len(task.phrasings) - 1}"
        )
    return _fill(task.phrasings[phrasing], given)


_EXAMPLES = {"caption": "a red ball on a wooden floor", "colour": "red", "target": "the red ball"}


def _clean(text: str) -> str:
    return " ".join(str(text or "").split())  # an API may send null


def _word(text: str) -> str:
    return _clean(text).rstrip(" .")  # it ends up inside a sentence that has its own full stop


def _fill(template: str, given: dict[str, str]) -> str:
    def keep_or_drop(part: re.Match) -> str:
        inner = part.group(1)
        return inner if all(given[f] for f in _FIELD.findall(inner)) else ""

    shown = _OPTIONAL_PART.sub(keep_or_drop, template)
    if shown != template and not _FIELD.search(shown):
        shown += "."
    return fill_fields(shown, given)


def fill_fields(text: str, words: dict[str, str]) -> str:
    """Text with its {fields} filled in; "a" right before one becomes "an" where its words ask for
    it, by their first letter."""

    def article(found: re.Match) -> str:
        vowel = words[found[2]].lower().startswith(VOWELS)
        return f"{found[1]}n {{{found[2]}}}" if vowel else found[0]

    return _FIELD.sub(lambda found: words[found[1]], _ARTICLE.sub(article, text))
