"""Variations that the sampler study compares: each changes a task's own settings in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..errors import PixWizardError
from ..generate import REFERENCE_STEPS, SampleSettings
from ..presets import SPEEDS, with_speed

STEPS = (1, 2, 4, 8, 16, 32)
# Solvers at eight evaluations of the model, except dopri5, which chooses its own.
SOLVER_STEPS = {"euler": 8, "midpoint": 4, "heun": 4, "rk4": 2, "dopri5": 1}
SHIFTS, SHIFTED_STEPS = (0.5, 2.0, 4.0), 8
INTERVALS = ((0.0, 0.5), (0.2, 0.8), (0.5, 1.0))
TEXT_SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
IMAGE_SCALES = (1.0, 1.5, 2.0, 3.0)
KEPT_SHARES = (1 / 9, 2 / 9, 4 / 9, 1.0)  # of all image tokens; 4/9 is the released model's 256
GUIDED = 3.0  # text scale of the guided variations, which need a second branch
OWN, REFERENCE, GUIDED_REFERENCE = "own settings", "reference", "guided, reference"
LEVELS = ("speed", "guided")  # the kinds about levels of speed
KINDS = (*LEVELS, "steps", "solver", "shift", "interval", "words", "w_text", "w_image", "tokens")

Change = Callable[[SampleSettings], SampleSettings]


@dataclass(frozen=True)
class Variation:
    """One way to sample. kind: one of KINDS, or "own" for no change. base: label of the variation
    to compare with, its own label for "own". other_words: give each picture another picture's
    instruction."""

    kind: str
    label: str
    base: str
    change: Change
    other_words: bool = False


def variations(kinds: Sequence[str] = KINDS, image_tokens: int = 576) -> list[Variation]:
    """All variations of these kinds, preceded by the task's own settings and their bases.

    image_tokens: how many a picture has. Raises PixWizardError for an unknown kind.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise PixWizardError(f"no kind {unknown[0]!r} of settings; choose from: {', '.join(KINDS)}")
    found = [Variation("own", OWN, OWN, lambda settings: settings)]
    if {"speed", "steps", "solver", "shift"} & set(kinds):
        found.append(_set("speed", REFERENCE, REFERENCE, **_reference()))
    if {"guided", "interval"} & set(kinds):
        found.append(
            _set("guided", GUIDED_REFERENCE, GUIDED_REFERENCE, **_reference(), w_text=GUIDED)
        )
    for kind in kinds:
        found += _of_kind(kind, image_tokens)
    return found


def _of_kind(kind: str, image_tokens: int) -> list[Variation]:
    """The variations of one kind."""
    levels = [name for name in SPEEDS if name != REFERENCE]
    if kind == "speed":
        return [Variation(kind, name, REFERENCE, partial(with_speed, name=name)) for name in levels]
    if kind == "guided":
        return [_guided_level(name) for name in levels]
    if kind == "steps":
        return [_set(kind, f"{n} steps", REFERENCE, steps=n) for n in STEPS]
    if kind == "solver":
        labels = {n: n if n == "dopri5" else f"{n}, {k} steps" for n, k in SOLVER_STEPS.items()}
        return [
            _set(kind, labels[name], REFERENCE, solver=name, steps=steps)
            for name, steps in SOLVER_STEPS.items()
        ]
    if kind == "shift":
        label = f"{SHIFTED_STEPS} steps, shift"
        return [
            _set(kind, f"{label} {shift:g}", REFERENCE, steps=SHIFTED_STEPS, shift=shift)
            for shift in SHIFTS
        ]
    if kind == "interval":
        guided = {**_reference(), "w_text": GUIDED}
        return [
            _set(kind, f"guided in {a:g}–{b:g}", GUIDED_REFERENCE, **guided, interval=(a, b))
            for a, b in INTERVALS
        ]
    if kind == "words":
        label = "another picture's words"
        return [Variation(kind, label, OWN, lambda settings: settings, other_words=True)]
    if kind == "w_text":
        return [_set(kind, f"w_text {scale:g}", OWN, w_text=scale) for scale in TEXT_SCALES]
    if kind == "w_image":
        return [_set(kind, f"w_image {scale:g}", OWN, w_image=scale) for scale in IMAGE_SCALES]
    drawn = [_set(kind, f"{name} selection", OWN, tokens=name) for name in ("topk", "gumbel")]
    counts = [round(share * image_tokens) for share in KEPT_SHARES]
    return drawn + [_set(kind, f"{n} of {image_tokens} tokens kept", OWN, kept=n) for n in counts]


def _reference() -> dict[str, Any]:
    """The reference's sampler settings; keeps a task's guidance."""
    return {"steps": REFERENCE_STEPS, "solver": "euler", "shift": 1.0}


def _set(kind: str, label: str, base: str, **values: Any) -> Variation:
    return Variation(kind, label, base, lambda settings: replace(settings, **values))


def _guided_level(name: str) -> Variation:
    def change(settings: SampleSettings) -> SampleSettings:
        return replace(with_speed(settings, name), w_text=GUIDED)

    return Variation("guided", f"guided, {name}", GUIDED_REFERENCE, change)
