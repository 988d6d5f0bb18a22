"""The demonstration: what the bundled model makes of a picture whose truth is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..answers import write_answer
from ..decode import Hints, decode, paint
from ..evaluation import metrics
from ..picture_files import save_picture
from ..pipeline import Bundle, Request, run
from ..tasks import TASKS, instruction
from .render import CLASSES
from .room import TARGET, Room, load_room
from .scoring import world_palette

SEED = 0
GAP_PX = 8
Scores = dict[str, float]
OnTask = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """One task of the demonstration. truth: Room -> picture of the right answer (1, 3, H, W)."""

    task: str
    score: Callable[[Tensor, Room], Scores]
    truth: Callable[[Room], Tensor]
    target: str = ""


def score_depth(answer_01: Tensor, room: Room) -> Scores:
    """Root mean square error and mean absolute error of near = 1, far = 0."""
    depth_01 = decode("depth", answer_01)
    return {
        "rmse": metrics.rmse(depth_01, room.depth_01),
        "l1": metrics.l1(depth_01, room.depth_01),
    }


def score_mask(answer_01: Tensor, room: Room) -> Scores:
    return {"iou": metrics.mask_iou(decode("mask", answer_01), room.mask)}


def score_segmentation(answer_01: Tensor, room: Room) -> Scores:
    palette = world_palette()
    labels = decode("segmentation", answer_01, Hints(palette=palette)).labels
    truth = room.classes + 1
    return {
        "accuracy": metrics.pixel_accuracy(labels, truth),
        "miou": metrics.mean_iou(labels, truth, len(CLASSES) + 1),
    }


def _grey(values: Tensor) -> Tensor:
    return values.float()[:, None].expand(-1, 3, -1, -1)


SHOWN = (
    Shown("depth", score_depth, lambda room: _grey(room.depth_01)),
    Shown("mask", score_mask, lambda room: _grey(room.mask), TARGET),
    Shown(
        "segmentation", score_segmentation, lambda room: paint(room.classes + 1, world_palette())
    ),
)


def show(bundle: Bundle, folder: Path, on_task: OnTask | None = None) -> dict[str, Any]:
    """Run the demonstration and write pictures, a contact sheet and report.json into folder.

    on_task(done, total) is called after each task. Returns the report: per task the instruction,
    seconds, scores, facts and files.
    """
    room = load_room()
    folder.mkdir(parents=True, exist_ok=True)
    save_picture(folder / "input.png", room.image_01[0])
    tasks, rows = {}, []
    for number, shown in enumerate(SHOWN, 1):
        sentence = instruction(shown.task, target=shown.target)
        settings = bundle.settings_of(shown.task)
        start = time.perf_counter()
        answer_01 = run(bundle, Request(room.image_01, sentence, SEED, settings)).image_01
        seconds = time.perf_counter() - start
        files, facts = write_answer(
            folder, shown.task, TASKS[shown.task].decoder, answer_01, Hints(palette=world_palette())
        )
        tasks[shown.task] = {
            "instruction": sentence,
            "seconds": round(seconds, 2),
            "steps": settings.steps,
            "scores": {k: round(v, 4) for k, v in shown.score(answer_01, room).items()},
            "facts": facts,
            "files": {what: path.name for what, path in files.items()},
        }
        rows.append([room.image_01, answer_01, shown.truth(room)])
        if on_task:
            on_task(number, len(SHOWN))
    save_picture(folder / "contact_sheet.png", contact_sheet(rows))
    report = {"picture": "input.png", "columns": ["input", "answer", "truth"], "tasks": tasks}
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def contact_sheet(rows: list[list[Tensor]]) -> Tensor:
    """Pictures (1, 3, H, W) of one size, in rows, with white gaps: (3, H', W')."""

    def join(parts: list[Tensor], dim: int) -> Tensor:
        shape = list(parts[0].shape)
        shape[dim] = GAP_PX
        gap = torch.ones(shape)
        spaced = [piece for part in parts for piece in (gap, part.cpu())] + [gap]
        return torch.cat(spaced, dim=dim)

    return join([join([picture[0] for picture in row], 2) for row in rows], 1)
