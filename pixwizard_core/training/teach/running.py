"""The steps of a run one after another, with what is due between them: looks, lines, states."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from ...encoders.vae import LatentCoder
from .course import STATE_FILE, Course
from .encode import KnownExample
from .examples import Example
from .log import Log
from .ordered import TeachOrder
from .result import result_weights, save_result
from .watch import save_strip, strip, validation_loss

SAMPLES, SAVED = "samples", "saved"


class Watcher:
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
        group = self.order.group
        if not group.first and not group.sharded:  # split weights need all processes
            return
        if self.held and (last or step == 0 or _every(settings.validate_every, step)):
            with self.course.averaged():
                loss = validation_loss(
                    self.course.model, self.held, self.course.store, self.course.empty, settings,
                    group.sharded,
                )  # fmt: skip
            first = self.before_and_after[0] if self.before_and_after else loss
            self.before_and_after = (first, loss)
            if group.first:
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


def run_course(
    order: TeachOrder,
    course: Course,
    watcher: Watcher,
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
                    _save(order, course, folder, facts, examples)
        watcher.due(log, last=True)
        _save(order, course, order.out, facts, examples)
    return sum(recent) / max(1, len(recent)), stopped


def _save(
    order: TeachOrder,
    course: Course,
    folder: Path,
    facts: dict[str, str],
    examples: Sequence[Example],
) -> None:
    """The state, and the result of so far in folder, which the first process writes while the
    others wait."""
    began, group = time.monotonic(), order.group
    if group.first or group.sharded:
        course.save(order.out / STATE_FILE, facts)
        with course.averaged():
            weights = result_weights(course.model, order.lora, order.parts.small, group.first)
        if group.first:
            path = save_result(
                weights, folder, order.parts, examples, order.lesson.settings, facts, course.step,
                order.lora,
            )  # fmt: skip
            order.tell(f"step {course.step}: {path} ({time.monotonic() - began:.1f} s)")
    group.wait()
