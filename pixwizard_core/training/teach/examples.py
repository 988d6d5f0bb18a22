"""Examples to learn from: pictures as bytes wherever they are, words, and sets of examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...data.shard_reading import StoredBytes


class Picture(Protocol):
    """The bytes of a picture's file, and its name for messages."""

    @property
    def name(self) -> str: ...

    def read(self) -> bytes:
        """The bytes. Raises PixWizardError when they cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class MadePicture:
    """A picture that was made in memory. data: the bytes of its file."""

    name: str
    data: bytes

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class Example:
    """input: a picture, or None for text to image. instructions: at least one; a step takes one.
    mask: white where the loss counts. task: an id of the table, or "". where: list and row."""

    input: Picture | None
    target: Picture
    instructions: tuple[str, ...]
    task: str = ""
    mask: Picture | None = None
    where: str = ""

    @property
    def pictures(self) -> list[Picture]:
        """Its pictures: input, target and mask, as far as there are any."""
        return [one for one in (self.input, self.target, self.mask) if one is not None]


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """Examples of one list or folder. repeats: how often each is shown in an epoch. weight: share
    of the steps beside other sets, 0 for one that goes by its number of examples."""

    name: str
    examples: tuple[Example, ...]
    repeats: float = 1.0
    weight: float = 0.0


def stored(picture: Picture) -> StoredBytes | None:
    """The file that a picture is in, None for one made in memory."""
    return picture if isinstance(picture, StoredBytes) else None
