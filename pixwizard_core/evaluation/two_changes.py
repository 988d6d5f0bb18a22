"""Rooms in which two things change their colour, with the exact picture after both changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..tasks import instruction
from ..taught import Taught
from ..world.phrases import Thing, things
from ..world.render import render
from ..world.scenes import COLOUR_NAMES, sample_scenes

DRAWN_FOR_EACH = 6  # rooms drawn for one that shows two things with names of their own


@dataclass(frozen=True)
class TwoChanges:
    """n rooms. inputs, targets: (n, 3, H, W) in 0..1, before and after. masks: (n, 2, H, W) bool,
    both things. colours: (n, 2), the new ones, by their place in COLOUR_NAMES. sentences: for each
    room one sentence for each thing."""

    inputs: Tensor
    targets: Tensor
    masks: Tensor
    colours: Tensor
    sentences: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.sentences)


@torch.no_grad()
def two_changes(count: int, seed: int, side: int, taught: Taught) -> TwoChanges:
    """count rooms of side x side px, with the sentences of the model's training. Raises ValueError
    when the drawn rooms hold too few pairs of things with names of their own."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    drawn = sample_scenes(DRAWN_FOR_EACH * count, generator)
    seen = things(drawn, render(drawn, side, side))
    pairs = [(row, pair) for row, found in enumerate(seen) if (pair := _pair(found, rng))][:count]
    if len(pairs) < count:
        raise ValueError(f"only {len(pairs)} of {len(drawn)} rooms show two things to name")
    scenes = drawn[[row for row, _ in pairs]]
    before = render(scenes, side, side)
    objects = torch.tensor([[thing.k for thing in pair] for _, pair in pairs])
    colours = torch.tensor([_new_colours(pair, rng) for _, pair in pairs])
    after = scenes
    for which in range(2):
        after = after.recolour(objects[:, which], colours[:, which])
    sentences = [
        tuple(
            instruction(
                "recolour", target=f"the {thing.colour} {thing.shape}", colour=COLOUR_NAMES[colour],
                taught=taught,
            )
            for thing, colour in zip(pair, new, strict=True)
        )
        for (_, pair), new in zip(pairs, colours.tolist(), strict=True)
    ]  # fmt: skip
    masks = before.instances[:, None] == objects[:, :, None, None]
    return TwoChanges(
        before.rgb, render(after, side, side).rgb, masks, colours,
        [(first, second) for first, second in sentences],
    )  # fmt: skip


def _pair(found: Sequence[Thing], rng: random.Random) -> tuple[Thing, Thing] | None:
    """Two things that a colour and a shape name alone."""
    names = [(thing.colour, thing.shape) for thing in found]
    alone = [thing for thing, name in zip(found, names, strict=True) if names.count(name) == 1]
    if len(alone) < 2:
        return None
    first, second = rng.sample(alone, 2)
    return first, second


def _new_colours(pair: tuple[Thing, Thing], rng: random.Random) -> list[int]:
    """Another colour for each of both, not the same for both."""
    first = rng.choice([name for name in COLOUR_NAMES if name != pair[0].colour])
    second = rng.choice([name for name in COLOUR_NAMES if name not in (pair[1].colour, first)])
    return [COLOUR_NAMES.index(first), COLOUR_NAMES.index(second)]
