"""The words of a request: from the two fields of the short node to the fields of a task."""

from __future__ import annotations

from ...pixwizard_core.errors import InstructionError
from ...pixwizard_core.presets import AUTO
from ...pixwizard_core.tasks import COLOURS, FIRST_COLOUR, find_task

# Field of a task: what to write, with an example.
WANTED = {
    "target": "what to find or change, for example: the red ball",
    "caption": "the picture or the change that you want, for example: a snowy garden",
    "question": "a question, for example: which thing here can roll?",
}
MARKS = ("highlight", "box")  # decoders of answers whose colour only marks what was found
OTHER_FIELD = "caption"  # of a task that takes a target too, it is what comes in its place


def fields_of(task: str, words: str, new_words: str, colour: str) -> dict[str, str]:
    """The fields that Instruction takes. Raises InstructionError that names the input of the short
    node that is empty."""
    row, first = find_task(task), first_field(task)
    needed = set(row.fields) - set(row.optional)
    given = {"caption": "", "target": "", "question": "", "colour": colour}
    if first:
        given[first] = words
    if takes_two(task):
        given[OTHER_FIELD] = new_words
    inputs = {first: "words"} | ({OTHER_FIELD: "new_words"} if takes_two(task) else {})
    for field, name in inputs.items():
        if field in needed and not given[field].strip():
            raise InstructionError(f"task {task!r} needs {name}: {WANTED[field]}")
    return given


def takes_colour(task: str) -> bool:
    return "colour" in find_task(task).fields


def colour_for(task: str, words: str, colour: str) -> str:
    """The colour to ask for. auto: the first that the words do not name, since marks of an object's
    own colour are hard to tell from it. Raises InstructionError for auto where the colour is what
    the user wants."""
    if colour != AUTO or not takes_colour(task):
        return FIRST_COLOUR if colour == AUTO else colour
    if find_task(task).decoder not in MARKS:
        raise InstructionError(
            f"task {task!r} needs the new colour; set colour to one of {', '.join(COLOURS)}"
        )
    named = words.lower().split()
    return next((name for name in COLOURS if name not in named), FIRST_COLOUR)


def first_field(task: str) -> str:
    """The field that words fill, "" for a task without words."""
    fields = find_task(task).fields
    return next((name for name in ("target", "question", "caption") if name in fields), "")


def takes_two(task: str) -> bool:
    """Whether a task takes what to change and what comes in its place."""
    return {"target", OTHER_FIELD} <= set(find_task(task).fields)
