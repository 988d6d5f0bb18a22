"""How much a model's answers to moving scenes flicker, depending on how frames start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from .. import metrics
from ..canvas import centres_for, plan
from ..decode import decode_depth, decode_normals, decode_segments, tiny_world
from ..fleet.forward import paint_frame
from ..generate import Start
from ..metrics.flicker import flicker, static_regions
from ..tasks import instruction
from ..world.motion import moving_scene
from ..world.render import Views
from .scorers import mean

FILM_TASKS = ("depth", "normal", "segmentation")
WAYS = {"independent": None, "shared noise": 0.0, "warm 0.3": 0.3, "warm 0.5": 0.5, "warm 0.7": 0.7}


def frame_error(task: str, answers_01: Tensor, views: Views) -> float:
    """Error of answers (T, 3, H, W): RMSE of depth, degrees of normals, share of wrong classes."""
    if task == "depth":
        return metrics.rmse(decode_depth(answers_01), views.depth_01)
    if task == "normal":
        return metrics.mean_angle_deg(decode_normals(answers_01), views.normals)
    labels = decode_segments(answers_01, tiny_world()).labels
    return 1 - metrics.pixel_accuracy(labels, views.classes + 1)


def measure(
    bundle,
    tasks: Sequence[str],
    scenes: int,
    frames: int,
    phrasing: Mapping[str, Any] = MappingProxyType({}),
) -> list[dict]:
    """Rows of task, instruction, steps, way, flicker (grey levels of 255) and error, the last two
    averaged over scenes. phrasing: from tasks.read_phrasing(); empty asks as the model was
    trained."""
    rows = []
    films = [moving_scene(number, frames) for number in range(scenes)]
    for task in tasks:
        sentence = instruction(task, **phrasing, taught=bundle.taught)
        for way, start in WAYS.items():
            found = [
                _one(bundle, task, sentence, film, start, number)
                for number, film in enumerate(films)
            ]
            flickers, errors = (list(column) for column in zip(*found, strict=True))
            steps = bundle.settings_of(task).steps
            told = {"task": task, "instruction": sentence, "steps": steps, "way": way}
            rows.append({**told, "flicker": mean(flickers), "error": mean(errors)})
    return rows


def _one(
    bundle, task: str, sentence: str, film: Views, start: float | None, number: int
) -> tuple[float, float]:
    answers = torch.cat(paint_film(bundle, task, sentence, film.rgb, start, number))
    return flicker(answers, static_regions(film.rgb)), frame_error(task, answers, film)


def paint_film(
    bundle, task: str, sentence: str, frames_01: Tensor, start: float | None, seed: int
) -> list[Tensor]:
    """Answers (1, 3, H, W) to the frames (T, 3, H, W) of a film, all with one sentence. start: None
    gives each frame its own noise; otherwise all share the noise, and start this far (0..1) towards
    the previous result."""
    settings = bundle.settings_of(task)
    canvas = plan(frames_01.shape[-1], frames_01.shape[-2], centres_for(None, bundle.centres))
    answers, before = [], None
    for number, frame in enumerate(frames_01):
        own = seed * 1000 + (number if start is None else 0)
        answer, latent = paint_frame(bundle, canvas, frame[None], sentence, own, settings, before)
        before = Start(start, latent) if start else None
        answers.append(answer)
    return answers
