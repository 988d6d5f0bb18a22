"""LoRA files as users name them: on the command line FILE or FILE:STRENGTH, in Python a value."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ..errors import PixWizardError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DRIVE = re.compile(r"[A-Za-z]")


@dataclass(frozen=True, slots=True)
class LoraUse:
    """A LoRA file and how much of it to add: 1 as trained, 0 nothing, below 0 subtracts it."""

    path: str
    strength: float = 1.0

    @property
    def name(self) -> str:
        return Path(self.path).name

    def __str__(self) -> str:
        return f"{self.name} {self.strength:g}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What one LoRA does to a model. layers: names of those it changes. guessed: the file does not
    say its strength, so alpha is taken to equal the rank."""

    use: LoraUse
    layers: tuple[str, ...]
    guessed: bool

    @property
    def line(self) -> str:
        """For a person: the file, how many layers it changes, and what to know of it."""
        said = "; the file says no alpha, so its rank is taken for it" if self.guessed else ""
        at = f"strength {self.use.strength:g}{said}"
        if not self.layers:
            return f"{self.use.path}: changes nothing, {at}"
        return f"{self.use.path}: changes {len(self.layers)} layers, {at}"


OneLora = str | Path | tuple[str | Path, float] | LoraUse
GivenLoras = OneLora | Sequence[OneLora]


def parse_use(text: str) -> tuple[str, float | None]:
    """(path, strength or None) of FILE or FILE:STRENGTH. A colon within a path, such as that of a
    drive, stays in it, and a file of exactly this name is taken as it is.

    Raises PixWizardError for a strength that is no number, and for no file.
    """
    if text and _is_file(text):
        return text, None
    head, colon, tail = text.rpartition(":")
    if not colon or _DRIVE.fullmatch(head) or set(tail) & set("/\\"):
        path, strength = text, None
    elif _NUMBER.fullmatch(tail.strip()) and math.isfinite(float(tail)):
        path, strength = head, float(tail)
    else:
        raise PixWizardError(
            f"a LoRA is FILE or FILE:STRENGTH with a number such as 0.8. Got: {text}"
        )
    if not path:
        raise PixWizardError(f"a LoRA is FILE or FILE:STRENGTH, and no file is named. Got: {text}")
    return path, strength


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def uses_of(given: GivenLoras | None) -> tuple[LoraUse, ...]:
    """The LoRA files of a path, a pair (path, strength), a LoraUse, or a list of these; none for
    None. Raises PixWizardError for anything else."""
    if given is None:
        return ()
    if isinstance(given, (str, Path, LoraUse)) or _pair(given):
        return (_one(given),)
    if isinstance(given, (list, tuple)):
        return tuple(_one(one) for one in cast("Sequence[object]", given))
    raise _not_a_lora(given)


def _pair(given: object) -> tuple[str | Path, object] | None:
    """(path, number) if it is given; two paths are a list of two files."""
    values = cast("tuple[object, ...]", given) if isinstance(given, tuple) else ()
    if len(values) != 2:
        return None
    path, strength = values
    if isinstance(path, (str, Path)) and not isinstance(strength, (str, Path, tuple, LoraUse)):
        return path, strength
    return None


def _one(given: object) -> LoraUse:
    if isinstance(given, LoraUse):
        return given
    if isinstance(given, (str, Path)):
        return LoraUse(str(given))
    pair = _pair(given)
    if pair is None:
        raise _not_a_lora(given)
    path, strength = pair
    number = strength if isinstance(strength, (int, float)) else math.nan
    if isinstance(strength, bool) or not math.isfinite(number):
        raise PixWizardError(f"the strength of {Path(path).name} must be a number. Got: {strength}")
    return LoraUse(str(path), float(number))


def _not_a_lora(given: object) -> PixWizardError:
    return PixWizardError(
        "lora takes a path, (path, strength), or a list of these. "
        f"Got: {type(given).__name__} {given!r:.80}"
    )
