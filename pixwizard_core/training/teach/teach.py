"""Teach a model pairs of one's own, from sources to a file: the order of everything.

Read and check all; encode what no earlier run has encoded, one encoder after another; train; save.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ...encoders.vae import LatentCoder
from ...errors import PixWizardError
from ...model import PixWizard
from ...weights.lora import LoraSettings, add_lora, matching, trainable
from .before import (
    Survey,
    bytes_to_encode,
    bytes_to_save,
    check_disk,
    check_out,
    check_settings,
    survey,
    try_to_write,
)
from .course import STATE_FILE, Course
from .encode import EMPTY, LATENT, TOKENS, WORDS, Digested, Encoding, KnownExample
from .examples import Example, ExampleSet
from .log import Log
from .order import mixed, shown_per_epoch, steps_of
from .parts import ModelParts
from .processes import ALONE, Group
from .result import result_file, save_result
from .settings import WORLD, Lesson, Source, TeachSettings
from .sources import built_validation, read_source
from .store import Store, weights_digest
from .watch import save_strip, strip, validation_loss
from .world_source import world_set

CACHE = "cache"
SAMPLES, SAVED = "samples", "saved"
Tell = Callable[[str], None]
OnPart = Callable[[str, int, int], None]  # what is done, how far, of how many


@dataclass(frozen=True)
class TeachOrder:
    """What to do. out: folder of results. cache: folder of what encoders give, which runs may
    share; None takes one below out. lora: a LoRA, or the whole model. resume: go on with the run in
    out. tell: takes a line for a person; on_part: told how far reading and encoding are. stop:
    asked after each step whether to end early; all is saved then."""

    lesson: Lesson
    parts: ModelParts
    out: Path
    cache: Path | None = None
    lora: bool = True
    resume: bool = False
    tell: Tell = lambda line: None
    on_part: OnPart = lambda what, done, total: None
    stop: Callable[[], bool] = lambda: False
    group: Group = ALONE
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class TeachResult:
    """path: of the file. steps: done, of all runs. stopped: whether it ended early. loss: mean of
    the last steps. held_out: the loss on held-out pairs before and at the end, if there are any."""

    path: Path
    steps: int
    stopped: bool
    loss: float
    held_out: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The sets that are trained on, and examples that are held out."""

    sets: list[ExampleSet]
    held: list[Example]
    notes: list[str] = field(default_factory=list[str])


def teach(order: TeachOrder) -> TeachResult:
    """Carry out an order.

    Raises PixWizardError, before anything is trained, for options, files, folders and disks with
    which the run could not end; and later when the loss is not finite or a file cannot be written.
    """
    settings, parts, out = order.lesson.settings, order.parts, order.out
    cache = order.cache or out / CACHE
    check_settings(settings, _ranks(parts) if order.lora else ())
    check_out(out, result_file(order.lora), order.resume)
    try_to_write(cache)
    taken = take(order.lesson, parts.centres)
    for note in taken.notes if order.group.first else ():
        order.tell(note)
    centres = settings.centres or parts.centres
    shown = shown_per_epoch(taken.sets, settings)
    examples = [example for one in taken.sets for example in one.examples]
    everything = survey([*examples, *taken.held], centres, _part(order, "reading"))
    steps = steps_of(shown, settings)
    encoding = _encode(order, everything, cache)
    known = [encoding.known(one) for one in everything.examples]
    store, empty = encoding.store, encoding.words_key(EMPTY)
    model = parts.model()
    base = weights_digest([model])
    trained = _trained(model, settings, order.lora)
    facts = facts_of(settings, everything.data, base, steps, order.lora)
    course = Course(
        model, trained, known[: len(examples)], shown, store, empty, settings, steps, order.group
    )
    if order.resume:
        course.go_on(out / STATE_FILE, facts)
        order.tell(f"goes on after step {course.step} of {steps}")
    elif order.group.first:
        order.tell(_about(order, examples, taken.held, everything, steps))
    vae = parts.vae() if settings.sample_every and order.group.first else None
    watcher = _Watcher(order, course, known[len(examples) :], known, vae)
    loss, stopped = _run(order, course, watcher, facts, examples)
    path = out / result_file(order.lora)
    return TeachResult(path, course.step, stopped, loss, watcher.before_and_after)


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


def _encode(order: TeachOrder, everything: Survey, cache: Path) -> Encoding:
    """Fill the store, one encoder after another; each leaves memory before the next is loaded."""
    settings, parts = order.lesson.settings, order.parts
    store, device = Store(cache), torch.device(order.device)
    encoding = Encoding(store, {}, settings.fit, settings.mask_outside)
    mine = everything.examples[order.group.rank :: order.group.count]
    item = 4 if parts.small else 2
    check_disk(
        {
            cache: bytes_to_encode(everything.examples, parts.config, item),
            order.out: bytes_to_save(_numbers(parts, settings, order.lora), settings),
        }
    )
    text = parts.check_text(parts.text())
    encoding.names[WORDS] = weights_digest([text])
    with torch.no_grad():
        encoding.fill_words(mine, text, _part(order, "encoding words"))
    del text
    vision = parts.check_vision(parts.vision())
    vae = parts.vae()
    encoding.names[TOKENS] = weights_digest([vision])
    encoding.names[LATENT] = weights_digest([_network(vae)])
    with torch.no_grad():
        encoding.fill_pictures(mine, vision, vae, device, _part(order, "encoding pictures"))
    del vision, vae
    order.group.wait()
    return encoding


def _network(vae: LatentCoder) -> torch.nn.Module:
    network = getattr(vae, "model", None) or getattr(vae, "vae", None)
    if not isinstance(network, torch.nn.Module):
        raise ValueError("the autoencoder has no network whose weights could name its results")
    return network


def _trained(model: PixWizard, settings: TeachSettings, lora: bool) -> list[Tensor]:
    """Make the model ready: the weights that move."""
    if not lora:
        return list(model.requires_grad_(True).parameters())
    add_lora(model, LoraSettings(settings.rank, settings.alpha or None, seed=settings.seed))
    return trainable(model)


def _ranks(parts: ModelParts) -> list[int]:
    """The largest rank of each layer that a LoRA changes."""
    model = PixWizard(parts.config, device="meta")
    names = matching(model, LoraSettings().targets)
    return [min(model.get_parameter(f"{name}.weight").shape) for name in names]


def _numbers(parts: ModelParts, settings: TeachSettings, lora: bool) -> int:
    """How many weights move."""
    model = PixWizard(parts.config, device="meta")
    if not lora:
        return sum(prod(one.shape) for one in model.parameters())
    add_lora(model, LoraSettings(settings.rank))
    return sum(prod(one.shape) for one in trainable(model))


UNTIED = ("look_at", "validate_every", "sample_every", "save_every", "at_once", "checkpointing")


def facts_of(
    settings: TeachSettings, data: str, base: str, steps: int, lora: bool
) -> dict[str, str]:
    """What a run is about: it can only be resumed with the same. Settings that do not change what
    is learned are not among them."""
    values = {name: str(value) for name, value in vars(settings).items() if name not in UNTIED}
    kind = "a LoRA" if lora else "a whole model"
    return {**values, "steps": str(steps), "data": data, "base": base, "kind": kind}


def _part(order: TeachOrder, what: str) -> Callable[[int, int], None]:
    return lambda done, total: order.on_part(what, done, total)


def _about(
    order: TeachOrder,
    examples: Sequence[Example],
    held: Sequence[Example],
    everything: Survey,
    steps: int,
) -> str:
    sizes: dict[tuple[int, int], int] = {}
    for one in everything.examples[: len(examples)]:
        sizes[tuple(one.size)] = sizes.get(tuple(one.size), 0) + 1
    listed = ", ".join(f"{n} of {w} x {h} px" for (w, h), n in sorted(sizes.items()))
    kind = f"LoRA of rank {order.lesson.settings.rank}" if order.lora else "whole model"
    return (
        f"{len(examples)} pairs ({listed}), {len(held)} held out; {kind} of {order.parts.name}, "
        f"{steps} steps of {order.lesson.settings.batch}"
    )


class _Watcher:
    """Validation and sample pictures of a run, when they are due."""

    def __init__(
        self,
        order: TeachOrder,
        course: Course,
        held: Sequence[KnownExample],
        known: Sequence[KnownExample],
        vae: LatentCoder | None,
    ) -> None:
        settings = order.lesson.settings
        self.order, self.course, self.held, self.vae = order, course, held, vae
        self.shown = (held or known)[: settings.look_at]
        self.before_and_after: tuple[float, float] | None = None

    def due(self, log: Log, last: bool = False) -> None:
        """Look, where the settings say so for this step; at the first and the last one always."""
        settings, step = self.order.lesson.settings, self.course.step
        if not self.order.group.first:
            return
        if self.held and (last or step == 0 or _every(settings.validate_every, step)):
            with self.course.averaged():
                loss = validation_loss(
                    self.course.model, self.held, self.course.store, self.course.empty, settings
                )
            first = self.before_and_after[0] if self.before_and_after else loss
            self.before_and_after = (first, loss)
            log.note(step, "held_out_loss", loss)
        if self.vae is not None and (last or step == 0 or _every(settings.sample_every, step)):
            parts = self.order.parts
            with self.course.averaged():
                rows = strip(
                    self.course.model, self.vae, self.shown, self.course.store, self.course.empty,
                    parts.settings, parts.centres, settings.precision,
                )  # fmt: skip
            folder = self.order.out / SAMPLES
            folder.mkdir(exist_ok=True)
            save_strip(folder / f"step_{step:06d}.png", rows)


def _every(steps: int, step: int) -> bool:
    return bool(steps) and step % steps == 0


def _run(
    order: TeachOrder,
    course: Course,
    watcher: _Watcher,
    facts: dict[str, str],
    examples: Sequence[Example],
) -> tuple[float, bool]:
    """Train to the end or until told to stop; everything is saved then. Returns the mean loss of
    the last steps, and whether it was stopped."""
    settings, group, recent = order.lesson.settings, order.group, list[float]()
    stopped = False
    with Log(order.out, course.steps, order.tell, course.step, group.first) as log:
        watcher.due(log)
        group.wait()
        while course.step < course.steps and not stopped:
            loss, _ = course.advance()
            recent = [*recent[-19:], loss]
            log.step(course.step, loss, course.optimiser.param_groups[0]["lr"])
            asked = torch.tensor(float(order.stop()), device=course.device)
            stopped = bool(group.add(asked) > 0) and course.step < course.steps
            if course.step < course.steps and not stopped:
                watcher.due(log)
                if _every(settings.save_every, course.step):
                    folder = order.out / SAVED / f"step_{course.step:06d}"
                    group.in_turn(
                        lambda folder=folder: _save(order, course, folder, facts, examples)
                    )
        watcher.due(log, last=True)
        group.in_turn(lambda: _save(order, course, order.out, facts, examples))
    return sum(recent) / max(1, len(recent)), stopped


def _save(
    order: TeachOrder,
    course: Course,
    folder: Path,
    facts: dict[str, str],
    examples: Sequence[Example],
) -> None:
    """The state, and the result of so far in folder."""
    began = time.monotonic()
    course.save(order.out / STATE_FILE, facts)
    with course.averaged():
        path = save_result(
            course.model, folder, order.parts, examples, order.lesson.settings, facts, course.step,
            order.lora,
        )  # fmt: skip
    order.tell(f"step {course.step}: {path} ({time.monotonic() - began:.1f} s)")


__all__ = ["Digested", "TeachOrder", "TeachResult", "teach"]
