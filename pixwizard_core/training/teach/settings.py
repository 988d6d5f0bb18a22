"""How a model is taught a person's own pairs: every number of a run, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ...canvas import FITS
from ...canvas.buckets import bucket_table
from ...errors import PixWizardError
from ..settings_file import checked, read_table

SCHEDULES = ("cosine", "linear", "constant")
OPTIMISERS = ("adamw", "adamw8bit")
PRECISIONS = ("auto", "float32", "bfloat16")
BASE_PRECISIONS = ("auto", "fp8")
FOR_LORA = ("rank", "alpha", "base_precision")  # settings without effect on a whole model
WORLD = "world"  # the path of a source that is the demo world
SHARES = ("drop_text", "drop_image", "drop_both", "text2image")


@dataclass(frozen=True)
class Source:
    """Where pairs come from. path: a folder of pairs, of `data build` or of shards, a list, a META
    file, a shard, or "world" for examples of the demo world. repeats: how often each pair is shown
    in an epoch. weight: its share of the steps beside the other sources; 0 goes by the number of
    pairs, and then all sources must. instruction, task, inputs, targets: for folders of pairs, as
    `data list` has them. root: where the paths of a list start from. tasks, scenes: of the demo
    world, with commas, and examples of each task."""

    path: str
    repeats: float = 1.0
    weight: float = 0.0
    instruction: str = ""
    task: str = ""
    inputs: str = ""
    targets: str = ""
    root: str = ""
    tasks: str = ""
    scenes: int = 64

    def __post_init__(self) -> None:
        if not self.path:
            raise PixWizardError("a source needs a path")
        if not (math.isfinite(self.repeats) and self.repeats > 0):
            raise _wrong("repeats", "a number above 0", self.repeats)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise _wrong("weight", "a share of the steps, 0 or more", self.weight)
        if self.scenes < 1:
            raise _wrong("scenes", "a number of examples, at least 1", self.scenes)


@dataclass(frozen=True)
class TeachSettings:
    """Settings of one run.

    steps: updates; epochs: passes over all pairs instead, when above 0. batch: examples of an
    update, over all processes. at_once: examples that pass through the model together, 0 for as
    many as fit the batch; fewer take less memory and give the same result. rate: learning rate.
    schedule: how it falls after warmup steps. optimiser: adamw8bit needs bitsandbytes. ema: decay
    of the averaged weights that are saved, 0 for none. checkpointing: compute each block twice to
    keep its activations out of memory. precision: of the arithmetic; auto is bfloat16 on a GPU and
    the weights' own on a CPU.
    drop_text, drop_image, drop_both: shares of examples that lose words, picture, or both, so that
    guidance works. time_mean, time_spread: times are a logistic of this normal distribution; spread
    0 draws them evenly, as the released model was trained. mask_outside: weight of the loss where a
    pair's mask is black. focus: extra weight of places where target and input differ.
    centres: sides in px of the squares whose areas are trained at; none takes the model's own.
    fit: how pictures are fitted to their bucket. balance_to: sets with fewer pairs are repeated to
    about this number. text2image: share of the examples that have no input, 0 keeps the sources'.
    rank, alpha: of a LoRA; alpha 0 takes the rank. base_precision: of the frozen weights below a
    LoRA; auto keeps the model's, fp8 takes half the memory. validation: share of the pairs held out
    where no source is named for it. look_at: pairs that validation and sample pictures use, at
    most.
    validate_every, sample_every, save_every: steps between; 0 for never, and only at the end.
    """

    steps: int = 300
    epochs: float = 0.0
    batch: int = 4
    at_once: int = 0
    rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 20
    optimiser: str = "adamw"
    weight_decay: float = 0.0
    clip_gradients: float = 1.0
    ema: float = 0.0
    checkpointing: bool = False
    precision: str = "auto"
    drop_text: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05
    time_mean: float = 0.0
    time_spread: float = 0.0
    mask_outside: float = 0.0
    focus: float = 0.0
    centres: tuple[int, ...] = ()
    fit: str = "stretch"
    balance_to: int = 0
    text2image: float = 0.0
    rank: int = 16
    alpha: float = 0.0
    base_precision: str = "auto"
    validation: float = 0.0
    look_at: int = 8
    validate_every: int = 0
    sample_every: int = 0
    save_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_choices()
        for centre in self.centres:
            if type(centre) is not int:
                raise _wrong("centres", "a list of whole numbers of px", self.centres)
            bucket_table(centre)  # raises for one that cannot be used
        if self.drop_text + self.drop_image + self.drop_both > 1:
            raise PixWizardError("drop_text, drop_image and drop_both are shares, together up to 1")
        if self.drop_text + self.drop_both >= 1:
            raise PixWizardError("drop_text and drop_both leave no example with its words")
        if self.at_once > self.batch:
            raise PixWizardError(f"at_once is at most the batch, {self.batch}. Got: {self.at_once}")

    def _check_numbers(self) -> None:
        for name, least in (
            ("steps", 1), ("batch", 1), ("at_once", 0), ("warmup", 0), ("rank", 1), ("look_at", 1),
            ("validate_every", 0), ("sample_every", 0), ("save_every", 0), ("balance_to", 0),
        ):  # fmt: skip
            if (value := getattr(self, name)) < least:
                raise _wrong(name, f"a whole number, at least {least}", value)
        for name in ("epochs", "weight_decay", "mask_outside", "focus", "alpha", "time_spread"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise _wrong(name, "a number, 0 or more", value)
        for name in ("rate", "clip_gradients"):
            if not (math.isfinite(value := getattr(self, name)) and value > 0):
                raise _wrong(name, "a number above 0", value)
        if not math.isfinite(self.time_mean):
            raise _wrong("time_mean", "a number", self.time_mean)
        for name in (*SHARES, "validation", "ema"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise _wrong(name, "a share from 0 to below 1", value)

    def _check_choices(self) -> None:
        for name, choices in (
            ("schedule", SCHEDULES), ("optimiser", OPTIMISERS), ("precision", PRECISIONS),
            ("fit", FITS), ("base_precision", BASE_PRECISIONS),
        ):  # fmt: skip
            if (value := getattr(self, name)) not in choices:
                raise _wrong(name, f"one of {', '.join(choices)}", value)


def usual(small: bool, lora: bool) -> TeachSettings:
    """Settings that suit a model, where nothing else is said. small: the bundled model's times
    lean to noise, as it was trained, and it learns faster; the released one's are even."""
    if small:
        leaning = TeachSettings(time_mean=-0.4, time_spread=1.2)
        return leaning if lora else replace(leaning, rate=2e-4, ema=0.99)
    if lora:
        return TeachSettings(rate=1e-4)
    return TeachSettings(rate=5e-5, clip_gradients=2.0, ema=0.9999)


@dataclass(frozen=True)
class Lesson:
    """What a settings file holds: sources of pairs, sources to validate on, and settings."""

    sources: tuple[Source, ...] = ()
    held_out: tuple[Source, ...] = ()
    settings: TeachSettings = field(default_factory=TeachSettings)

    def with_values(self, values: Mapping[str, Any], where: str) -> Lesson:
        """A copy with some values changed; "sources" and "held_out" are lists of tables. Raises
        PixWizardError, beginning with where, for an unknown name or a value that cannot be."""
        rest = dict(values)
        lists: dict[str, tuple[Source, ...]] = {}
        for name in ("sources", "held_out"):
            if name in rest:
                lists[name] = _sources(rest.pop(name), f"{where}, [[{name}]]")
        usual = self.settings
        try:
            changed = replace(usual, **checked(usual, rest, where))
        except PixWizardError as error:
            text = str(error)
            raise PixWizardError(text if text.startswith(where) else f"{where}: {text}") from None
        return replace(self, settings=changed, **lists)


def read_lesson(path: str | Path, usual: TeachSettings) -> Lesson:
    """A settings file on top of usual settings. Paths in it start from its own folder. Raises
    PixWizardError naming file and value."""
    path = Path(path)
    lesson = Lesson(settings=usual).with_values(read_table(path), path.name)
    return replace(
        lesson,
        sources=tuple(_from(path.parent, one) for one in lesson.sources),
        held_out=tuple(_from(path.parent, one) for one in lesson.held_out),
    )


def _from(folder: Path, source: Source) -> Source:
    if source.path == WORLD:
        return source
    root = str(folder / source.root) if source.root else ""
    return replace(source, path=str(folder / source.path), root=root)


def _sources(given: Any, where: str) -> tuple[Source, ...]:
    if not isinstance(given, list):
        raise PixWizardError(f"{where} is a list of tables with a path. Got: {given!r:.60}")
    found: list[Source] = []
    for number, one in enumerate(cast("list[Any]", given), 1):
        place = f"{where} {number}"
        if not isinstance(one, dict) or not isinstance(cast(Any, one).get("path"), str):
            raise PixWizardError(f"{place} needs a path. Got: {one!r:.60}")
        try:
            found.append(Source(**checked(Source("x"), cast("dict[str, Any]", one), place)))
        except PixWizardError as error:
            text = str(error)
            raise PixWizardError(text if text.startswith(place) else f"{place}: {text}") from None
    return tuple(found)


def _wrong(name: str, wanted: str, value: object) -> PixWizardError:
    return PixWizardError(f"{name} is {wanted}. Got: {value!r:.60}")
