"""Small pairs and an untrained model to teach, for tests of training on one's own pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.training.teach.ordered import TeachOrder
from pixwizard_core.training.teach.parts import ModelParts, parts_of
from pixwizard_core.training.teach.settings import Lesson, Source, TeachSettings
from tests.support.tiny import tiny_bundle

QUICK = TeachSettings(steps=2, batch=2, rank=2, warmup=1, rate=1e-2)


def picture(path: Path, value: float, size: tuple[int, int] = (32, 32)) -> Path:
    """Write a picture of smooth colours; size: width and height in px."""
    width, height = size
    ramp = torch.linspace(0, 0.4, width).expand(3, height, width) + value * 0.5
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, ramp)
    return path


def pair_folder(folder: Path, count: int = 4, size: tuple[int, int] = (32, 32)) -> Path:
    """input/ and target/ with count pictures each."""
    for number in range(count):
        picture(folder / "input" / f"{number}.png", number / count, size)
        picture(folder / "target" / f"{number}.png", 1 - number / count, size)
    return folder


def listed(path: Path, rows: Iterable[dict]) -> Path:
    """A JSONL list."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def small_parts(seed: int = 0) -> ModelParts:
    """Untrained encoders around a two-layer transformer, for pictures of about 32 px."""
    bundle = tiny_bundle(seed)
    return parts_of(replace(bundle, centres=(32,)), "a small model")


def order(out: Path, *sources: Path | Source, **changes) -> TeachOrder:
    """An order to teach a small model these sources. changes: of the order, or of its settings."""
    own = {name: changes.pop(name) for name in list(changes) if hasattr(QUICK, name)}
    if changes.get("lora") is False:
        own.setdefault("rank", TeachSettings().rank)  # a whole model has none
    held = tuple(as_source(one) for one in changes.pop("held_out", ()))
    lesson = Lesson(tuple(map(as_source, sources)), held, replace(QUICK, **own))
    return TeachOrder(lesson, changes.pop("parts", None) or small_parts(), out, **changes)


def as_source(source: Path | Source) -> Source:
    """A source of its path; a folder of pairs asks for the same of all."""
    if isinstance(source, Source):
        return source
    words = "Swap it." if (source / "input").is_dir() else ""
    return Source(str(source), instruction=words)
