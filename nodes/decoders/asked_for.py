"""What a decoder takes from the question that its picture answers, and what it says of it."""

from __future__ import annotations

from ...pixwizard_core.tasks import COLOURS, find_task
from ..shared.inputs import PALETTES
from ..shared.notes import Note, note, warning
from ..shared.question import ANSWERS, Question, about_input

FIRST_COLOUR = next(iter(COLOURS))
USES = {
    "colour": " The colour comes from it while this node has its default.",
    "palette": " The palette comes from it while this node has its default and Instruction knows "
    "the model.",
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


def colour_of(asked: Question | None, colour: str) -> tuple[str, list[Note]]:
    """The colour to look for, and what to say of it. The node's own counts unless it is the
    default."""
    wanted = colour if asked is None else asked.words.get("colour", colour)
    if wanted == colour or wanted not in COLOURS:
        return colour, []
    if colour == FIRST_COLOUR:
        return wanted, [note("colour", colour=wanted)]
    text = f"{wanted} was asked for, and this node looks for {colour}"
    return colour, [warning(text, "other_colour", colour=wanted, own=colour)]


def palette_by(asked: Question | None, palette: str, text: str = "") -> tuple[str, list[Note]]:
    """The name of the palette to read with, and what to say of it. The node's own counts unless it
    is the default; text, the user's own classes, always counts."""
    wanted = None if asked is None else asked.palette
    if wanted in (None, palette) or text.strip():
        return palette, []
    if palette == PALETTES[0]:
        return wanted, [note("palette", palette=wanted)]
    said = f"the model paints the classes of {wanted}, and this node reads those of {palette}"
    return palette, [warning(said, "other_palette", palette=wanted, own=palette)]
