"""Teach a model pairs of one's own, from sources to a file: the order of everything.

Read and check all; encode what no earlier run has encoded, one encoder after another; train; save.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor

from ...canvas import Size
from ...model import PixWizard
from ...weights.fp8_frozen import freeze_in_fp8
from ...weights.lora import LoraSettings, add_lora, matching, trainable
from .before import Survey, bytes_to_save, check_out, check_settings, survey, try_to_write
from .course import STATE_FILE, Course
from .encode import EMPTY
from .examples import Example
from .filling import fill
from .order import shown_per_epoch, steps_of
from .ordered import TeachOrder, TeachResult
from .parts import ModelParts
from .result import result_file
from .running import Watcher, run_course
from .settings import TeachSettings
from .sharding import check_sharding, shard
from .store import weights_digest
from .taking import leaking, take

CACHE = "cache"
# Settings that do not change what is learned, so a run may go on with others.
UNTIED = ("look_at", "validate_every", "sample_every", "save_every", "at_once", "checkpointing")

# Settings that states of earlier releases do not name, with what they were then.
LATER = {"base_precision": "auto"}


def teach(order: TeachOrder) -> TeachResult:
    """Carry out an order.

    Raises PixWizardError, before anything is trained, for options, files, folders and disks with
    which the run could not end; and later when the loss is not finite or a file cannot be written.
    """
    settings, parts, out = order.lesson.settings, order.parts, order.out
    cache = order.cache or out / CACHE
    check_settings(settings, _ranks(parts) if order.lora else (), order.device)
    if order.group.sharded:
        check_sharding(order.group.count, settings)
    check_out(out, result_file(order.lora), order.resume)
    try_to_write(cache)
    taken = take(order.lesson, parts.centres)
    for note in taken.notes if order.group.first else ():
        order.tell(note)
    centres = settings.centres or parts.centres
    shown = shown_per_epoch(taken.sets, settings)
    examples = [example for one in taken.sets for example in one.examples]
    everything = survey([*examples, *taken.held], centres, order.part("reading"))
    if leaks := leaking(everything.examples[: len(examples)], everything.examples[len(examples) :]):
        order.tell(f"{leaks} of the held-out pairs show a target that is also trained on")
    steps = steps_of(shown, settings)
    encoding = fill(order, everything, cache, _to_save(order))
    known = [encoding.known(one) for one in everything.examples]
    store, empty = encoding.store, encoding.words_key(EMPTY)
    model = parts.model()
    base = weights_digest([model])
    trained = _trained(model, order)
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
    watcher = Watcher(order, course, known[len(examples) :], known, vae)
    loss, stopped = run_course(order, course, watcher, facts, examples)
    path = out / result_file(order.lora)
    return TeachResult(path, course.step, stopped, loss, watcher.before_and_after)


def _trained(model: PixWizard, order: TeachOrder) -> list[Tensor]:
    """Make the model ready: the weights that move."""
    settings = order.lesson.settings
    if order.lora:
        if settings.base_precision == "fp8":
            freeze_in_fp8(model)
        add_lora(model, LoraSettings(settings.rank, settings.alpha or None, seed=settings.seed))
    else:
        model.requires_grad_(True)
    if order.group.sharded:
        shard(model, order.device)
    return trainable(model) if order.lora else list(model.parameters())


def _ranks(parts: ModelParts) -> list[int]:
    """The largest rank of each layer that a LoRA changes."""
    model = PixWizard(parts.config, device="meta")
    names = matching(model, LoraSettings().targets)
    return [min(model.get_parameter(f"{name}.weight").shape) for name in names]


def _to_save(order: TeachOrder) -> int:
    """Bytes of states and results."""
    settings = order.lesson.settings
    return bytes_to_save(_numbers(order.parts, settings, order.lora), settings)


def _numbers(parts: ModelParts, settings: TeachSettings, lora: bool) -> int:
    """How many weights move."""
    model = PixWizard(parts.config, device="meta")
    if not lora:
        return sum(prod(one.shape) for one in model.parameters())
    add_lora(model, LoraSettings(settings.rank))
    return sum(prod(one.shape) for one in trainable(model))


def facts_of(
    settings: TeachSettings, data: str, base: str, steps: int, lora: bool
) -> dict[str, str]:
    """What a run is about: it can only be resumed with the same. Settings that do not change what
    is learned are not among them."""
    values = {
        name: str(value)
        for name, value in vars(settings).items()
        if name not in UNTIED and LATER.get(name) != value
    }
    kind = "a LoRA" if lora else "a whole model"
    return {**values, "steps": str(steps), "data": data, "base": base, "kind": kind}


def _about(
    order: TeachOrder,
    examples: Sequence[Example],
    held: Sequence[Example],
    everything: Survey,
    steps: int,
) -> str:
    sizes: dict[Size, int] = {}
    for one in everything.examples[: len(examples)]:
        sizes[one.size] = sizes.get(one.size, 0) + 1
    listed = ", ".join(f"{n} of {w} x {h} px" for (w, h), n in sorted(sizes.items()))
    kind = f"LoRA of rank {order.lesson.settings.rank}" if order.lora else "whole model"
    group = order.group
    split = " with split weights" if group.sharded else ""
    shared = f", shared by {group.count} processes{split}" if group.count > 1 else ""
    return (
        f"{len(examples)} pairs ({listed}), {len(held)} held out; {kind} of {order.parts.name}, "
        f"{steps} steps of {order.lesson.settings.batch}{shared}"
    )
