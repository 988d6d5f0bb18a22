"""Ask for one picture several times with different noise, and keep the answer that agrees best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ..canvas import Canvas, centres_for, plan
from ..canvas.images import ensure_rgb
from ..errors import InstructionError
from ..generate import SampleSettings
from ..pipeline import Bundle, EncodedPictures, answer, encode_pictures, settings_for
from ..seeds import later_seed
from ..tasks import FIRST_COLOUR, TASKS, Fields, instruction
from .agreement import Sighting
from .scores import (
    AGREEMENT,
    CONDITION,
    GROUNDING,
    INSIDE,
    OF_MAPS,
    WAYS,
    Evidence,
    scores_of,
    sighting_of,
    way_of,
)

WITNESSES = 2  # answers in each other form
MOST = 64

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the answers. painted_01: (1, 3, model). score: 0..1 by the way in WAYS."""

    seed: int
    painted_01: Tensor
    latent: Tensor
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class BestAnswer:
    """All answers and the best of them. way: of WAYS, what the scores mean. confidence: 0..1 that
    the named thing was found, None for tasks that look for none."""

    candidates: tuple[Candidate, ...]
    chosen: int
    way: str
    confidence: float | None
    canvas: Canvas

    @property
    def best(self) -> Candidate:
        return self.candidates[self.chosen]

    def report(self) -> dict[str, Any]:
        """For a report: the way, all seeds with their scores, the best seed and the confidence."""
        scores = {str(one.seed): round(one.score, 4) for one in self.candidates}
        told = {"scored_by": WAYS[self.way], "scores": scores, "best_seed": self.best.seed}
        if self.confidence is not None:
            told["confidence"] = round(self.confidence, 4)
        return told


@dataclass(frozen=True, slots=True)
class _Asking:
    """What all answers about one picture share."""

    bundle: Bundle
    canvas: Canvas
    fitted_01: Tensor
    words: Mapping[str, str]

    @property
    def colour(self) -> str:
        """Of highlights and boxes."""
        return self.words.get("colour") or FIRST_COLOUR

    def paint(
        self, encoded: EncodedPictures, sentence: str, seed: int, settings: SampleSettings
    ) -> tuple[Tensor, Tensor]:
        """A latent and its picture (1, 3, model)."""
        own = settings_for(self.canvas, self.bundle.centres, settings)
        return answer(self.bundle, encoded, [sentence], [seed], own)

    def ask(self, encoded: EncodedPictures, task: str, seed: int) -> Tensor:
        """The answer (1, 3, model) to another task with the same words, as the model was taught."""
        words = {**self.words, "colour": self.colour}
        given = cast(Fields, {name: words.get(name, "") for name in TASKS[task].fields})
        sentence = instruction(task, **given, taught=self.bundle.taught)
        return self.paint(encoded, sentence, seed, self.bundle.settings_of(task))[1]

    def sighting(self, task: str, painted_01: Tensor) -> Sighting:
        return sighting_of(task, painted_01, self.fitted_01, self.colour)


def check_count(count: int) -> None:
    """Raise InstructionError unless the best can be chosen of so many answers."""
    if not 1 <= count <= MOST:
        raise InstructionError(f"the best is chosen of 1 to {MOST} answers. Got: {count}")


@torch.no_grad()
def best_of(
    bundle: Bundle,
    task: str,
    sentence: str,
    words: Mapping[str, str],
    image_01: Tensor,
    count: int,
    *,
    seed: int = 0,
    settings: SampleSettings | None = None,
    fit: str = "stretch",
    centre: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> BestAnswer:
    """Ask count times, with the seeds from seed on, score the answers and choose the best.

    task: its id. sentence: the instruction. words: the task's fields, of which others are asked.
    image_01: (1, 1..4, H, W) in 0..1. settings, fit, centre: as in pipeline.Request.
    on_progress(done, total) is called after each answer, those asked again included. Raises
    InstructionError for a count out of range or a task that way_of() refuses, CanvasError for a
    picture that cannot be used.
    """
    check_count(count)
    way = way_of(task)
    image, _ = ensure_rgb(image_01)
    canvas = plan(image.shape[-1], image.shape[-2], centres_for(centre, bundle.centres), fit)
    asking = _Asking(bundle, canvas, canvas.fit_image(image), words)
    total, done = count + _further(bundle, task, words, way, count), 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    encoded = encode_pictures(bundle, asking.fitted_01)
    found = list[Candidate]()
    for number in range(count):
        own = later_seed(seed, number)
        latent, painted = asking.paint(encoded, sentence, own, settings or bundle.settings_of(task))
        found.append(Candidate(own, painted, latent))
        advance()
    evidence = _evidence(asking, encoded, task, found, advance)
    painted_01 = torch.cat([one.painted_01 for one in found])
    scores, confident = scores_of(task, painted_01, asking.fitted_01, evidence, asking.colour)
    scored = tuple(replace(one, score=score) for one, score in zip(found, scores, strict=True))
    chosen = max(range(count), key=lambda i: scores[i])
    return BestAnswer(scored, chosen, way, confident[chosen] if confident else None, canvas)


def _witnesses(bundle: Bundle, task: str, words: Mapping[str, str]) -> list[str]:
    """Each answer in another form that is asked for, by its task; none for a question, which only
    one form can ask."""
    if not words.get("target"):
        return []
    return [
        form for form in GROUNDING if form != task and bundle.taught.knows(form)
        for _ in range(WITNESSES)
    ]  # fmt: skip


def _further(bundle: Bundle, task: str, words: Mapping[str, str], way: str, count: int) -> int:
    """How many answers scoring asks for beside the candidates."""
    if way == AGREEMENT:
        return len(_witnesses(bundle, task, words))
    return {CONDITION: count, INSIDE: 1}[way]


def _evidence(
    asking: _Asking, encoded: EncodedPictures, task: str, found: list[Candidate],
    advance: Callable[[], None],
) -> Evidence:  # fmt: skip
    """Ask what the scores of a task go by."""
    way, seed = way_of(task), found[0].seed

    def asked(encoded: EncodedPictures, other: str, number: int = 0) -> Tensor:
        painted = asking.ask(encoded, other, later_seed(seed, number))
        advance()
        return painted

    if way == AGREEMENT:
        forms = enumerate(_witnesses(asking.bundle, task, asking.words))
        return Evidence(
            tuple(asking.sighting(form, asked(encoded, form, number)) for number, form in forms)
        )
    if way == CONDITION:
        again = [
            asked(encode_pictures(asking.bundle, one.painted_01), OF_MAPS[task]) for one in found
        ]
        return Evidence(maps_01=torch.cat(again))
    return Evidence((asking.sighting("mask", asked(encoded, "mask")),))  # where the change belongs
