"""Read all sources of a lesson, and hold out what is not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from ...errors import PixWizardError
from .encode import Digested
from .examples import Example, ExampleSet
from .order import mixed
from .settings import WORLD, Lesson, Source, TeachSettings
from .sources import built_validation, read_source
from .world_source import world_set


@dataclass(frozen=True, slots=True)
class Taken:
    """The sets that are trained on, and examples that are held out."""

    sets: list[ExampleSet]
    held: list[Example]
    notes: list[str] = field(default_factory=list[str])


def take(lesson: Lesson, centres: Sequence[int]) -> Taken:
    """Read all sources, and hold out what the settings say. Raises PixWizardError for a source that
    cannot be used, and when nothing is left to train on."""
    settings, notes = lesson.settings, []
    if not lesson.sources:
        raise PixWizardError("there is nothing to train on; name a folder or a list of pairs")
    if lesson.held_out and settings.validation:
        raise PixWizardError("validation is a share of the sources; leave it out beside held_out")
    sets, told = _read(lesson.sources, settings, centres)
    notes += told
    held_sources = lesson.held_out
    if not held_sources and not settings.validation:
        held_sources = tuple(one for s in lesson.sources if (one := built_validation(s)))
        notes += [f"held out: {one.path}" for one in held_sources]
    held_sets, told = _read(held_sources, settings, centres)
    held = [example for one in held_sets for example in one.examples]
    notes += told
    if settings.validation:
        sets, held = _hold_out(sets, settings)
    if (settings.validate_every or settings.sample_every) and not held:
        notes.append("no pairs are held out, so sample pictures show pairs of training")
    if settings.validate_every and not held:
        raise PixWizardError(
            "validate_every needs pairs that are not trained on; name them with --held-out, or a "
            "share of the sources with --validation"
        )
    return Taken(sets, held[: settings.look_at], notes)


def _read(
    sources: Sequence[Source], settings: TeachSettings, centres: Sequence[int]
) -> tuple[list[ExampleSet], list[str]]:
    sets: list[ExampleSet] = []
    notes: list[str] = []
    for source in sources:
        if source.path == WORLD:
            side = min(settings.centres or centres)
            sets.append(world_set(source, side, settings.seed))
            continue
        found, told = read_source(source, settings.seed)
        sets += found
        notes += told
    return sets, notes


def _hold_out(
    sets: Sequence[ExampleSet], settings: TeachSettings
) -> tuple[list[ExampleSet], list[Example]]:
    """Split a share of each set off, by chance of the seed; at least one pair of each stays."""
    kept: list[ExampleSet] = []
    held: list[Example] = []
    for one in sets:
        count = min(len(one.examples) - 1, round(len(one.examples) * settings.validation))
        generator = torch.Generator().manual_seed(mixed(settings.seed, "held out", one.name))
        chosen = set(torch.randperm(len(one.examples), generator=generator)[:count].tolist())
        held += [example for i, example in enumerate(one.examples) if i in chosen]
        rest = tuple(example for i, example in enumerate(one.examples) if i not in chosen)
        kept.append(replace(one, examples=rest))
    if not held:
        raise PixWizardError(
            f"validation {settings.validation:g} holds out no pair of so few; raise it, or name "
            "held-out pairs"
        )
    return kept, held


def leaking(trained: Sequence[Digested], held: Sequence[Digested]) -> int:
    """How many held-out pairs have a target that is also trained on, byte for byte."""
    targets = {one.target for one in trained}
    return sum(one.target in targets for one in held)
