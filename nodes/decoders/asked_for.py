"""What a decoder takes from the question that its picture answers, and what it says of it."""

from __future__ import annotations

from typing import Any

from ...pixwizard_core.tasks import COLOURS, FIRST_COLOUR, find_task
from ..shared import auto
from ..shared.inputs import AUTO, PALETTES
from ..shared.notes import Note, note, shown, warning
from ..shared.question import ANSWERS, Question, about_input, model_shown

USES = {
    "colour": f" The colour comes from it while this node has {AUTO} or {FIRST_COLOUR}.",
    "palette": f" The palette comes from it while this node has {AUTO} or its first one, and "
    "Instruction knows the model.",
}


def about(uses: str = ""):
    """The last input of a decoder. uses: the input whose default the question replaces."""
    return about_input(
        "From Instruction: what this picture answers. If the answer is of "
        "another kind than this node reads, the node says so." + USES.get(uses, "")
    )


def compared(asked: Question | None, *reads: str) -> list[Note]:
    """What to say of a question whose answer is read as one of these kinds: nothing when it fits, a
    warning when it is another, and that nobody knows when there is none."""
    if asked is None or asked.kind is None:
        return [note("unknown")]
    if asked.kind in reads:
        return []
    title = find_task(asked.task).title
    text = (
        f"this picture answers {asked.task!r} ({title}) and holds {ANSWERS[asked.kind]}, not "
        f"{ANSWERS[reads[0]]}; take another decoder, or Decode Answer"
    )
    return [warning(text, "mismatch", task=asked.task, holds=asked.kind, kind=reads[0])]


def as_ui(asked: Question | None, said: list[Note]) -> dict[str, list[Any]]:
    """The part of a decoder's UI output that does not depend on the answer: notes, and what the
    model is where Instruction knows it."""
    model = None if asked is None else asked.model
    return shown(said) | model_shown(model)


def colour_of(asked: Question | None, colour: str) -> tuple[str, list[Note], auto.Shown]:
    """The colour to look for, what to say of it, and what auto meant. The node's own counts unless
    it is auto or the default."""
    wanted = None if asked is None else asked.words.get("colour")
    wanted = wanted if wanted in COLOURS else None
    if colour == AUTO:
        chosen = wanted or FIRST_COLOUR
        return chosen, [], auto.meant("colour", AUTO, colour=chosen)
    if wanted in (None, colour):
        return colour, [], {}
    if colour == FIRST_COLOUR:
        return wanted, [note("colour", colour=wanted)], {}
    text = f"{wanted} was asked for, and this node looks for {colour}"
    return colour, [warning(text, "other_colour", colour=wanted, own=colour)], {}


def palette_by(
    asked: Question | None, palette: str, text: str = ""
) -> tuple[str, list[Note], auto.Shown]:
    """The name of the palette to read with, what to say of it, and what auto meant. The node's own
    counts unless it is auto or the default; text, the user's own classes, always counts."""
    wanted = None if asked is None else asked.palette
    if text.strip():
        return PALETTES[0] if palette == AUTO else palette, [], {}
    if palette == AUTO:
        chosen = wanted or PALETTES[0]
        said = [] if wanted else [note("palette_guessed", palette=chosen)]
        return chosen, said, auto.meant("palette", AUTO, palette=chosen)
    if wanted in (None, palette):
        return palette, [], {}
    if palette == PALETTES[0]:
        return wanted, [note("palette", palette=wanted)], {}
    text = f"the model paints the classes of {wanted}, and this node reads those of {palette}"
    return palette, [warning(text, "other_palette", palette=wanted, own=palette)], {}
