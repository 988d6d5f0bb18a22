"""Training samples as tensors: encoded examples, and the samples that sentences make of them.

A sample holds only what a step needs: the input picture (for the image encoder), the latents of
input and target, and the token ids of a few equivalent instructions. Samples of rooms and samples
of photographs are kept separate, so that training decides how often it sees each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..encoders.text import TextEncoder, Tokenizers
from ..tasks import TASKS

TASK_IDS = tuple(TASKS)
ROOMS, PHOTOGRAPHS = "rooms", "photographs"


class Group(NamedTuple):
    """Samples that one step can draw together: of one size, and all rooms or all photographs."""

    height: int
    width: int
    source: str = ROOMS


@dataclass
class EncodedExamples:
    """Encoded examples of one picture size, without sentences yet.

    pictures: (n, 3, H, W) uint8; source, target: (n, 4, h, w) float16 latents; task: (n,) index
    into TASK_IDS; words: the fields of each instruction.
    """

    pictures: Tensor
    source: Tensor
    target: Tensor
    task: Tensor
    words: list[dict[str, str]]

    @classmethod
    def cat(cls, parts: list[EncodedExamples]) -> EncodedExamples:
        names = ("pictures", "source", "target", "task")
        joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
        return cls(**joined, words=[words for part in parts for words in part.words])


@dataclass
class Samples:
    """Samples of one picture size, each with V instructions. pictures: (n, 3, H, W) uint8; source,
    target: (n, 4, h, w) float16 latents; ids, clip_ids: (n, V, T) int32, right-padded; lengths:
    (n, V) tokens in use; task: (n,) index into TASK_IDS."""

    pictures: Tensor
    source: Tensor
    target: Tensor
    ids: Tensor
    lengths: Tensor
    clip_ids: Tensor
    task: Tensor

    def __len__(self) -> int:
        return len(self.task)

    def to(self, device) -> Samples:
        return Samples(**{name: value.to(device) for name, value in vars(self).items()})

    @classmethod
    def cat(cls, parts: list[Samples]) -> Samples:
        width = max(part.ids.shape[-1] for part in parts)

        def widen(ids: Tensor) -> Tensor:
            return torch.nn.functional.pad(ids, (0, width - ids.shape[-1]))

        joined = {}
        for name in vars(parts[0]):
            values = [getattr(part, name) for part in parts]
            joined[name] = torch.cat([widen(v) for v in values] if name == "ids" else values)
        return cls(**joined)


def asked(
    drawn: EncodedExamples, sentences: list[list[str]], text: Tokenizers | TextEncoder
) -> Samples:
    """Make samples of examples and their sentences, the same number for each example."""
    count, each = len(sentences), len(sentences[0])
    ids, mask, clip_ids, _ = text.tokenize([s for some in sentences for s in some])
    return Samples(
        pictures=drawn.pictures,
        source=drawn.source,
        target=drawn.target,
        ids=ids.view(count, each, -1).int(),
        lengths=mask.sum(1).view(count, each).int(),
        clip_ids=clip_ids.view(count, each, -1).int(),
        task=drawn.task,
    )
