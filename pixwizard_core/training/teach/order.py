"""Which examples each step shows: decided by the seed alone, so that a run can go on anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

import torch

from ...canvas import Size
from ...errors import PixWizardError
from .examples import ExampleSet
from .settings import TeachSettings


def shown_per_epoch(sets: Sequence[ExampleSet], settings: TeachSettings) -> list[float]:
    """How often each example of the sets, one set after another, is shown in an epoch.

    Raises PixWizardError for weights that only some sets have, and for a share of text to image
    where there is none, or nothing else.
    """
    totals: list[float] = []
    for one in sets:
        total = len(one.examples) * one.repeats
        totals.append(max(total, float(settings.balance_to)))
    if any(one.weight for one in sets):
        if bare := [one.name for one in sets if not one.weight]:
            raise PixWizardError(
                f"{bare[0]} has no weight and other sources have one; give all of them a weight"
            )
        whole, weights = sum(totals), sum(one.weight for one in sets)
        totals = [whole * one.weight / weights for one in sets]
    counts = [
        total / len(one.examples)
        for one, total in zip(sets, totals, strict=True)
        for _ in one.examples
    ]
    return _with_text2image(counts, sets, settings.text2image) if settings.text2image else counts


def _with_text2image(counts: list[float], sets: Sequence[ExampleSet], share: float) -> list[float]:
    blank = [
        one.input is None or one.task == "text2image" for some in sets for one in some.examples
    ]
    painted = sum(count for count, without in zip(counts, blank, strict=True) if without)
    others = sum(counts) - painted
    if not painted or others <= 0:
        what = "no pair without an input" if not painted else "only pairs without an input"
        raise PixWizardError(f"text2image is {share:g}, but there are {what} among the sources")
    factor = others * share / (1 - share) / painted
    return [count * factor if bare else count for count, bare in zip(counts, blank, strict=True)]


def steps_of(counts: Sequence[float], settings: TeachSettings) -> int:
    """The steps of a run: those of the settings, or as many as its epochs take, at least 1."""
    if not settings.epochs:
        return settings.steps
    return max(1, round(sum(counts) * settings.epochs / settings.batch))


def batches(
    counts: Sequence[float], sizes: Sequence[Size], batch: int, seed: int
) -> Iterator[list[int]]:
    """Numbers of examples, batch of them for each step, without end.

    counts: how often each is shown in an epoch; of a broken number the rest is drawn anew each
    time. sizes: of each example. A step has one size as far as that goes; what is left of an epoch
    shares steps of several sizes, and the last few begin the next epoch, so that none is dropped.
    """
    often = torch.tensor(counts, dtype=torch.float64)
    carried: list[int] = []
    epoch = 0
    while True:
        generator = torch.Generator().manual_seed(mixed(seed, "epoch", epoch))
        draws = torch.rand(len(often), generator=generator, dtype=torch.float64)
        times = often.floor() + (draws < often - often.floor())
        listed = torch.repeat_interleave(torch.arange(len(often)), times.long())
        order = carried + listed[torch.randperm(len(listed), generator=generator)].tolist()
        whole, carried = _one_size_each(order, sizes, batch)
        for place in torch.randperm(len(whole), generator=generator).tolist():
            yield whole[place]
        epoch += 1


def _one_size_each(
    order: Sequence[int], sizes: Sequence[Size], batch: int
) -> tuple[list[list[int]], list[int]]:
    """Batches of one size, then of several; and the examples that are too few for another one."""
    waiting: dict[Size, list[int]] = {}
    whole: list[list[int]] = []
    for number in order:
        same = waiting.setdefault(sizes[number], [])
        same.append(number)
        if len(same) == batch:
            whole.append(waiting.pop(sizes[number]))
    rest = [number for same in waiting.values() for number in same]
    while len(rest) >= batch:
        whole.append(rest[:batch])
        rest = rest[batch:]
    return whole, rest


def mixed(*facts: int | str) -> int:
    """A seed that depends on all facts."""
    said = hashlib.sha256(json.dumps(facts).encode()).digest()
    return int.from_bytes(said[:8], "little") >> 1
