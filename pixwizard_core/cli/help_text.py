"""How the commands phrase their help."""

from __future__ import annotations


def sentence(phrase: str) -> str:
    """A phrase of the list of commands as a sentence, for the command's own help."""
    return f"{phrase[0].upper()}{phrase[1:]}."
