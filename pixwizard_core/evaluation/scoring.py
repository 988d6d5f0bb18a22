"""Scores of a bundle on held-out scenes of the demo world, task by task.

Each task is decoded from the painted pictures with the users' decoders and scored against the
world's exact truth. For comparison, each score comes with that of a trivial answer (a lower bound)
and the autoencoder's ceiling (the correct answer, encoded and decoded).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..bundle import MODEL_FILE
from ..canvas.images import to_image_01, to_pixels
from ..generate import SampleSettings
from ..pipeline import Bundle, EncodedPictures, Request, run
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
Known = dict[int, tuple[Tensor, EncodedPictures]]  # by a batch's start: its inputs, encoded


@dataclass(frozen=True)
class ScoringPlan:
    """What to score for a task. count: scenes of 128 x 128 px; wide: scenes of other shapes, 0
    skips them; ceiling: scenes that also pass through the autoencoder alone. phrasings: "trained",
    the form in the model's header; "seen", any sentence of its training; "held_out", sentences that
    training never uses. The wide scenes use the first of them. settings: for all tasks, None takes
    the bundle's for each; a preset and then single overrides are applied on top. half: compute in
    bfloat16 where it is safe, which is faster on many CPUs. photographs: score on photographs held
    out from training instead of scenes."""

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
        """Settings used to paint a task."""
        own = self.settings or bundle.settings_of(task)
        return replace(with_preset(own, self.preset), **self.overrides)

    @property
    def pictures(self) -> int:
        """Pictures painted for one task."""
        return self.count * len(self.phrasings) + self.wide


@dataclass(frozen=True)
class TaskScore:
    """Scores of one task by source of the answer: "trained", "seen" and "held_out" are the model
    with each kind of sentence, "wide" the model on other picture shapes, "trivial" an answer made
    without a model, "ceiling" the correct answer passed through the autoencoder."""

    task: str
    steps: int
    count: int
    answers: dict[str, Scores] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self.answers["trivial"])


def trained_tasks(folder: str | Path) -> list[str]:
    """The tasks learned by the model in a bundle's folder: all, unless its file lists them.

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
    known: Known | None = None,
) -> Tensor:
    """The bundle's answers (n, 3, H, W) to all examples, each with its own seed. known: filled
    here; inputs that it holds are not encoded again."""
    known = {} if known is None else known
    parts: list[Tensor] = []
    for start in range(0, len(examples), batch):
        rows = slice(start, start + batch)
        inputs = examples.inputs[rows]
        before, encoded = known.get(start, (None, None))
        if before is None or not torch.equal(before, inputs):
            encoded = None
        request = Request(
            inputs,
            examples.instructions[rows],
            seeds=start,
            settings=settings,
            encoded=encoded,
        )
        result = run(bundle, request)
        known[start] = inputs, result.encoded
        parts.append(result.image_01)
        on_batch(len(result.image_01))
    return torch.cat(parts)


@torch.no_grad()
def round_trip(bundle: Bundle, pictures: Tensor) -> Tensor:
    """Encode and decode (n, 3, H, W) in 0..1 with the autoencoder."""
    parts = [
        to_image_01(bundle.vae.decode(bundle.vae.encode(to_pixels(part).to(bundle.device))))
        for part in pictures.split(32)
    ]
    return torch.cat(parts).clamp(0, 1).float().cpu()


@contextmanager
def precision(half: bool, device: torch.device) -> Iterator[None]:
    """Compute in bfloat16 where autocast allows it, or leave the dtypes unchanged."""
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        yield


def score_task(
    bundle: Bundle,
    task: str,
    plan: ScoringPlan,
    on_batch: Callable[[int], None] = lambda count: None,
) -> TaskScore:
    """Score one task by the plan. on_batch(count) is called after each painted batch."""
    settings = plan.settings_of(bundle, task)
    scorer, answers = SCORERS[task], {}

    known: Known = {}  # of the square scenes, which are the same for each kind of sentence

    def answer(examples: Examples, known: Known | None = None) -> Scores:
        with precision(plan.half, bundle.device):
            painted = paint(bundle, examples, settings, plan.batch, on_batch, known)
        return scorer(painted.float(), examples)

    drawn = cache(photographs_of if plan.photographs else examples_of)

    def made(name: str, count: int, size: tuple[int, int]) -> Examples:
        examples = drawn(task, count, size, plan.seed, PHRASINGS[name])
        return as_trained(examples, bundle.taught) if name == "trained" else examples

    for name in plan.phrasings:
        examples = made(name, plan.count, SQUARE)
        answers[name] = answer(examples, known)
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
    """The same examples with the sentences of the model's training."""
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
