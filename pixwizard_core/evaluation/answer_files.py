"""An answer on disk and what to compare it with, opened on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CanvasError, PixWizardError
from ..files.picture_files import open_picture, open_raw
from ..fleet.index import Record
from .networks.squares import resized


@dataclass(frozen=True)
class AnswerFiles:
    """name, key: of the answer's record. answer, source: files. truth: of its item; see Item."""

    name: str
    key: str
    answer_file: Path
    source_file: Path
    truth: dict[str, Any]

    @cached_property
    def answer(self) -> Tensor:
        """(1, 3, H, W) in 0..1. If the truth names a hole, everything outside it comes from the
        true picture."""
        picture = open_picture(self.answer_file)
        if "hole" not in self.truth:
            return picture
        hole = open_picture(self.truth["hole"]) > 0.5
        return torch.where(hole, self._of_size(picture, self.true), self.true)

    @cached_property
    def source(self) -> Tensor:
        """The input picture, (1, 3, H, W) in 0..1."""
        return open_picture(self.source_file)

    @cached_property
    def true(self) -> Tensor:
        """The true picture, (1, 3, H, W) in 0..1. Raises PixWizardError if there is none."""
        if not self.has("file"):
            raise PixWizardError(f"{self.name} has no true picture")
        return open_picture(self.truth["file"])

    @cached_property
    def depth(self) -> Tensor:
        """The input depth map, (H, W)."""
        values = open_raw(self.truth["depth"])
        return values if values.ndim == 2 else values[..., :3].float().mean(-1)

    def has(self, what: str) -> bool:
        """Whether the truth has an entry: file, caption, source_caption, depth, hole."""
        return bool(self.truth.get(what))

    @property
    def unreadable(self) -> str:
        """Why one of its files cannot be opened; "" if all can."""
        try:
            _ = self.answer, self.source
            _ = self.true if self.has("file") else None
            _ = self.depth if self.has("depth") else None
        except CanvasError as error:
            return str(error)
        return ""

    def as_large_as(self, other: Tensor) -> Tensor:
        """The answer resized to another picture's size, by bicubic filter."""
        return self._of_size(self.answer, other)

    @staticmethod
    def _of_size(picture: Tensor, other: Tensor) -> Tensor:
        height, width = other.shape[-2:]
        return resized(picture, width, height)


def answers_of(
    records: list[Record], truths: dict[str, dict[str, Any]], out: Path
) -> list[AnswerFiles]:
    """The answers of records that have a picture, sorted by name. truths: by name."""
    return [
        AnswerFiles(record["name"], record["key"], out / record["files"]["answer"],
              Path(record["path"]), truths[record["name"]])
        for record in sorted(records, key=lambda record: record["name"])
        if "answer" in record["files"] and record["name"] in truths
    ]  # fmt: skip
