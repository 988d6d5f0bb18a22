"""The demonstration: one room whose truth is known, asked for at least one task of every family."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..decode import Hints, tiny_world
from ..evaluation.score_report import UNITS, shown
from ..evaluation.scorers import SCORERS, colours_of
from ..files.answers import write_answer
from ..files.data_files import write_json
from ..files.picture_files import save_picture
from ..pipeline import Bundle, Request, run
from ..tasks import TASKS
from ..world.examples import Examples
from .room import room_example
from .sheet import contact_sheet

SEED = 0
# task -> the score that says most about a single picture
SHOWN = {
    "depth": "rmse",
    "normal": "angle",
    "segmentation": "miou",
    "mask": "iou",
    "highlight": "iou",
    "box": "iou",
    "recolour": "region_psnr",
    "remove": "region_psnr",
    "inpaint": "hole_psnr",
    "denoise": "gain",
    "from_depth": "f1",
    "text2image": "named",
}
OnTask = Callable[[int, int], None]


def show(bundle: Bundle, folder: Path, on_task: OnTask | None = None) -> dict[str, Any]:
    """Run the demonstration and write pictures, a contact sheet and report.json into folder.

    on_task(done, total) is called after each task. Returns the report: per task the instruction,
    seconds, scores, facts and files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks, cells = {}, []
    for number, (task, score) in enumerate(SHOWN.items(), 1):
        example = room_example(task)
        settings = bundle.settings_of(task)
        request = Request(example.inputs, example.instructions[0], SEED, settings)
        start = time.perf_counter()
        answer_01 = run(bundle, request).image_01
        seconds = time.perf_counter() - start
        scores = SCORERS[task](answer_01, example)
        save_picture(folder / f"{task}_input.png", example.inputs[0])
        files, facts = write_answer(folder, task, TASKS[task].decoder, answer_01, hints(example))
        tasks[task] = {
            "family": TASKS[task].family,
            "instruction": example.instructions[0],
            "seconds": round(seconds, 2),
            "steps": settings.steps,
            "score": score,
            "scores": {name: round(value, 4) for name, value in scores.items()},
            "facts": facts,
            "files": {
                "input": f"{task}_input.png",
                **{what: path.name for what, path in files.items()},
            },
        }
        pictures = [example.inputs[0], answer_01[0], example.targets[0]]
        heading = f"{TASKS[task].family} · {TASKS[task].title}"
        label = f"{LABELS.get(score, score)} {shown(scores[score])} {UNITS.get(score, '')}".strip()
        cells.append((pictures, heading, label))
        if on_task:
            on_task(number, len(SHOWN))
    save_picture(folder / "contact_sheet.png", contact_sheet(cells))
    report = {"columns": ["input", "answer", "truth"], "tasks": tasks}
    write_json(folder / "report.json", report)
    return report


LABELS = {
    "rmse": "RMSE",
    "angle": "mean angle",
    "miou": "mIoU",
    "iou": "IoU",
    "region_psnr": "in what changes",
    "hole_psnr": "in the hole",
    "gain": "gain",
    "f1": "edges F1",
    "named": "named colours shown",
}


def hints(example: Examples) -> Hints:
    """The hints that the decoders need for the answer to an example."""
    colour = colours_of(example)[0] if int(example.truth["colour"][0]) >= 0 else None
    return Hints(
        palette=tiny_world(), source_01=example.inputs, colour=colour or "red"
    )
