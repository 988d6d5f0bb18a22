"""Write held-out scenes of the demo world to a folder: pictures, exact truth, items.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files.picture_files import replace_file, save_grey16, save_mask, save_picture
from .examples import Examples
from .held_out import HELD_OUT_SEED, SQUARE, check_tasks, examples_of
from .render import FAR, NEAR

MILLIMETRES = 1000.0
SIXTEEN_BIT = 65535


def write_world(
    folder: Path, tasks: Sequence[str], count: int, size: tuple[int, int] = SQUARE
) -> Path:
    """Write count scenes for each task, of (height, width) in px. Returns the folder.

    Tasks: depth, normal, segmentation, mask, and all restorations. The scenes are the same each
    time; existing files are kept. Raises PixWizardError for a task that the world does not have.
    """
    rows = []
    for task in check_tasks([task.strip() for task in tasks]):
        examples = examples_of(task, count, size, HELD_OUT_SEED, held_out=False)
        for number in range(count):
            rows.append(_write_one(folder, task, number, examples))
    text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    replace_file(folder / "items.jsonl", text.encode())
    return folder


def _write_one(folder: Path, task: str, number: int, examples: Examples) -> dict[str, Any]:
    (folder / task).mkdir(parents=True, exist_ok=True)
    picture, truth = f"{task}/{number:04}.png", f"{task}/{number:04}_truth.png"
    if not (folder / picture).is_file():
        save_picture(folder / picture, examples.inputs[number])
    told = TRUTHS.get(task, _picture)(folder / truth, number, examples)
    return {
        "path": picture,
        "task": task,
        "instruction": examples.instructions[number],
        "words": examples.words[number],
        "truth": {"file": truth, **told},
    }


def _depth(path: Path, number: int, examples: Examples) -> dict[str, Any]:
    metres: Tensor = examples.truth["depth_m"][number].clamp(0, SIXTEEN_BIT / MILLIMETRES)
    save_grey16(path, metres * MILLIMETRES / SIXTEEN_BIT)
    return {
        "protocol": "depth", "kind": "metres", "per_metre": MILLIMETRES, "min_m": 1e-3,
        "max_m": FAR + 1e-3, "range_m": [NEAR, FAR], "near": "white", "align": False,
    }  # fmt: skip


def _normal(path: Path, number: int, examples: Examples) -> dict[str, Any]:
    save_picture(path, (examples.truth["normals"][number] + 1) / 2)
    return {"protocol": "normal", "kind": "normals", "sign": [1, 1, 1]}


def _segmentation(path: Path, number: int, examples: Examples) -> dict[str, Any]:
    labels = examples.truth["classes"][number] + 1  # 0 means no class
    save_picture(path, labels.to(torch.float32) / 255)
    return {"protocol": "segmentation", "kind": "labels"}


def _mask(path: Path, number: int, examples: Examples) -> dict[str, Any]:
    save_mask(path, examples.truth["mask"][number])
    colour = examples.words[number].get("colour", "red")
    method = "hsv" if examples.tasks[number] == "highlight" else "mask"
    return {"protocol": "mask", "kind": "mask", "method": method, "colour": colour}


def _picture(path: Path, number: int, examples: Examples) -> dict[str, Any]:
    save_picture(path, examples.targets[number])
    return {"protocol": "picture", "kind": "picture"}


TRUTHS = {
    "depth": _depth,
    "normal": _normal,
    "segmentation": _segmentation,
    "mask": _mask,
    "highlight": _mask,
}
