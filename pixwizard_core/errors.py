"""Errors a user can act on. Each message says what was found, what is needed and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_MESSAGE = 1000  # characters; names in a file may be of any number and length


class PixWizardError(Exception):
    """Base of every error that user input or a user's file can cause.

    Its text is always one printable line of at most LONGEST_MESSAGE characters.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class CanvasError(PixWizardError):
    """A picture, mask or size that cannot be placed on a canvas."""


class CheckpointError(PixWizardError):
    """A weight file that is missing, damaged, of another model, or unsafe to open."""


class EncoderError(PixWizardError):
    """A text, vision or VAE encoder that is missing or of the wrong kind, or overflows."""


class MissingPartsError(CheckpointError):
    """Missing parts of the released model. Its text is a checklist, one line for each part.

    rows: the same for programs, a row for each part: released.checklist.rows_of.
    """

    def __init__(self, lines: Sequence[str], rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__("\n".join(lines))
        self.lines = [one_line(line) for line in lines]
        self.rows = tuple(rows)

    def __str__(self) -> str:
        return "\n".join(self.lines)


class DownloadError(PixWizardError):
    """A requested file that cannot be downloaded."""


class SamplingError(PixWizardError):
    """Settings or numbers with which a sampling run cannot continue."""


class MetricError(PixWizardError):
    """Arrays that a measure cannot compare."""


class DecodeError(PixWizardError):
    """A picture that cannot be read as the result of the chosen task."""


class InstructionError(PixWizardError):
    """An instruction with an unknown task or a missing field."""


class PixWizardWarning(UserWarning):
    """Something that works otherwise than a user may expect. The command line prints its text as a
    line of its own."""


def one_line(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Text as one printable line; a long one is shortened in the middle."""
    text = "".join(_printable(c) for c in _clipped(text, longest))
    return _clipped(text, longest)


def reason_of(error: BaseException, longest: int = LONGEST_MESSAGE) -> str:
    """An error's text as one printable line, or its type's name if it has no text."""
    return one_line(str(error).strip(), longest) or type(error).__name__


def kind_and_reason(error: BaseException, longest: int = LONGEST_MESSAGE) -> str:
    """An error's type and text as one printable line."""
    return one_line(f"{type(error).__name__}: {str(error).strip()}", longest)


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else ascii(character)[1:-1]


def _clipped(text: str, longest: int) -> str:
    half = longest // 2 - 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"
