"""Scores of a bundle on held-out scenes of the demo world, task by task.

Each task is read from the painted pictures by the same decoders that users have, and scored against
the world's exact truth. Beside each score stand a trivial answer's (what is worth beating) and the
autoencoder's ceiling (the right answer, encoded and decoded).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..bundle import MODEL_FILE
from ..canvas.images import to_image_01, to_pixels
from ..generate import SampleSettings
from ..pipeline import Bundle, Request, run
from ..presets import AUTO, with_preset
from ..tasks import Fields, instruction
from ..taught import Taught, taught_by
from ..weights.checkpoint import open_checkpoint
from ..world.examples import WORLD_TASKS, Examples
from ..world.held_out import (
    HELD_OUT_SEED,
    SQUARE,
    WIDE,
    check_photograph_tasks,
    check_tasks,
    examples_of,
    first,
    photographs_of,
)
from .baselines import trivial_answer
from .scorers import SCORERS, Scores, mean

PHRASINGS = {"trained": False, "seen": False, "held_out": True}  # name -> never in training

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoringPlan:
    """What is scored for a task. count: scenes of 128 x 128; wide: scenes of other shapes, 0 skips
    them; ceiling: scenes that also go through the autoencoder alone. phrasings: "trained",
    the form that the model's header lists; "seen", any sentence of its training; "held_out", ones
    that training never uses. The wide scenes have the first of them. settings: for all tasks, None
    takes what the bundle has for each; on them come a preset and then single overrides. half:
    compute in bfloat16 where it is safe, which is faster on many CPUs. photographs: score on
    photographs that were never trained on, in the place of scenes."""

    count: int = 96
    wide: int = 32
    ceiling: int = 96
    phrasings: tuple[str, ...] = ("trained",)
    settings: SampleSettings | None = None
    preset: str = AUTO
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = HELD_OUT_SEED
    batch: int = 32
    half: bool = False
    photographs: bool = False

    def settings_of(self, bundle: Bundle, task: str) -> SampleSettings:
        """Settings that a task is painted with."""
        own = self.settings or bundle.settings_of(task)
        return replace(with_preset(own, self.preset), **self.overrides)

    @property
    def pictures(self) -> int:
        """Pictures painted for one task."""
        return self.count * len(self.phrasings) + self.wide


@dataclass(frozen=True)
class TaskScore:
    """Scores of one task by who answered: "trained", "seen" and "held_out" are the model with each
    kind of sentence, "wide" the model on other picture shapes, "trivial" an answer that costs
    nothing, "ceiling" the right answer through the autoencoder."""

    task: str
    steps: int
    count: int
    answers: dict[str, Scores] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self.answers["trivial"])


def trained_tasks(folder: str | Path) -> list[str]:
    """The tasks that the model in a bundle's folder has learned: all, unless its file says which.

    Raises CheckpointError when there is no such file.
    """
    file = open_checkpoint(Path(folder) / MODEL_FILE)
    taught = taught_by(file.metadata, file.config, MODEL_FILE)
    return [task for task in WORLD_TASKS if taught.knows(task)]


def paint(
    bundle: Bundle,
    examples: Examples,
    settings: SampleSettings,
    batch: int,
    on_batch: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """The bundle's answers (n, 3, H, W) to all examples, each with its own seed."""
    parts = []
    for start in range(0, len(examples), batch):
        rows = slice(start, start + batch)
        request = Request(
            examples.inputs[rows], examples.instructions[rows], seeds=start, settings=settings
        )
        parts.append(run(bundle, request).image_01)
        on_batch(len(parts[-1]))
    return torch.cat(parts)


@torch.no_grad()
def round_trip(bundle: Bundle, pictures: Tensor) -> Tensor:
    """(n, 3, H, W) in 0..1 through the autoencoder and back."""
    parts = [
        to_image_01(bundle.vae.decode(bundle.vae.encode(to_pixels(part).to(bundle.device))))
        for part in pictures.split(32)
    ]
    return torch.cat(parts).clamp(0, 1).float().cpu()


@contextmanager
def precision(half: bool, device: torch.device) -> Iterator[None]:
    """bfloat16 where autocast allows it, or the types as they are."""
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def score_task(
    bundle: Bundle,
    task: str,
    plan: ScoringPlan,
    on_batch: Callable[[int], None] = lambda count: None,
) -> TaskScore:
    """Score one task as planned. on_batch(count) is called after each batch of painted pictures."""
    settings = plan.settings_of(bundle, task)
    scorer, answers = SCORERS[task], {}

    def answer(examples: Examples) -> Scores:
        with precision(plan.half, bundle.device):
            painted = paint(bundle, examples, settings, plan.batch, on_batch)
        return scorer(painted.float(), examples)

    def made(name: str, count: int, size: tuple[int, int]) -> Examples:
        make = photographs_of if plan.photographs else examples_of
        examples = make(task, count, size, plan.seed, PHRASINGS[name])
        return as_trained(examples, bundle.taught) if name == "trained" else examples

    for name in plan.phrasings:
        examples = made(name, plan.count, SQUARE)
        answers[name] = answer(examples)
    if plan.wide:
        half = max(2, plan.wide // len(WIDE))
        answers["wide"] = average([answer(made(plan.phrasings[0], half, size)) for size in WIDE])
    answers["trivial"] = scorer(trivial_answer(task, examples), examples)
    some = first(examples, plan.ceiling)
    with precision(plan.half, bundle.device):
        rebuilt = round_trip(bundle, some.targets)
    answers["ceiling"] = scorer(rebuilt, some)
    return TaskScore(task, settings.steps, plan.count, answers)


def as_trained(examples: Examples, taught: Taught) -> Examples:
    """The same examples, asked for as a model was in training."""
    sentences = [
        instruction(task, **cast(Fields, words), taught=taught)
        for task, words in zip(examples.tasks, examples.words, strict=True)
    ]
    return replace(examples, instructions=sentences)


def average(several: Sequence[Scores]) -> Scores:
    """Each score's mean over sets of equal size."""
    return {name: mean([scores[name] for scores in several]) for name in several[0]}


def score_world(
    bundle: Bundle,
    tasks: Sequence[str],
    plan: ScoringPlan,
    *,
    on_task: Callable[[TaskScore], None] = lambda score: None,
    on_progress: OnProgress = lambda done, total: None,
) -> list[TaskScore]:
    """Score tasks one after another. on_task is called after each, on_progress after each batch
    with pictures painted and to paint. Raises PixWizardError for an unknown task."""
    tasks = check_photograph_tasks(tasks) if plan.photographs else check_tasks(tasks)
    total, done, results = plan.pictures * len(tasks), 0, []

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        on_progress(min(done, total), total)

    for task in tasks:
        results.append(score_task(bundle, task, plan, on_batch))
        on_task(results[-1])
    return results
