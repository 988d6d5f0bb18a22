"""What every layout gives, and the messages that layouts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...errors import PixWizardError
from ...files.contents import contents
from ..photos import SourcePhoto

OTHER_SPLIT = "of another split than training"


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """The photographs of a dataset, with maps. notes: lines for a person about what was assumed."""

    photos: list[SourcePhoto]
    notes: list[str] = field(default_factory=list[str])


def not_there(source: Path, wanted: str) -> PixWizardError:
    """The error for a source of another layout. wanted: what was looked for."""
    there = contents(source) if source.is_dir() else "a file"
    return PixWizardError(f"{source} is laid out otherwise: looked for {wanted}. Found: {there}")
