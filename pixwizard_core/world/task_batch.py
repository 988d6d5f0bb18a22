"""Input and output of making a task's examples."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .phrases import Thing
from .render import Views
from .scenes import Scenes


@dataclass(frozen=True)
class Batch:
    """Scenes of one task with everything known about them. picks: (object number, phrase) per
    scene, for tasks that name an object.
    """

    scenes: Scenes
    views: Views
    things: list[list[Thing]]
    captions: list[str]
    picks: list[tuple[int, str]]
    generator: torch.Generator  # on the scenes' device
    rng: random.Random

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def objects(self) -> Tensor:
        """(n,) numbers of the named objects."""
        return torch.tensor(
            [k for k, _ in self.picks], device=self.scenes.device, dtype=torch.int64
        )

    @property
    def object_masks(self) -> Tensor:
        return self.views.instances == self.objects[:, None, None]

    def part(self, rows: list[int]) -> Batch:
        at = torch.tensor(rows, device=self.scenes.device, dtype=torch.int64)
        return replace(
            self,
            scenes=self.scenes[at],
            views=self.views[at],
            things=[self.things[i] for i in rows],
            captions=[self.captions[i] for i in rows],
            picks=[self.picks[i] for i in rows],
        )


@dataclass
class Pairs:
    """Input and answer pictures of one task. words: fields of the instruction per example; mask,
    edges: (n, H, W) bool; colour, objects: (n,) index, -1 for none; kinds: which edit each example
    is.
    """

    inputs: Tensor
    targets: Tensor
    words: list[dict[str, str]]
    mask: Tensor | None = None
    edges: Tensor | None = None
    colour: Tensor | None = None
    objects: Tensor | None = None
    kinds: list[str] | None = None
