"""Examples of the demo world as a source, made in memory for a seed."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from ...errors import PixWizardError
from ...files.picture_files import as_pil
from ...world.examples import WORLD_TASKS, make_examples
from ...world.held_out import check_tasks
from ...world.scenes import sample_scenes
from .examples import Example, ExampleSet, MadePicture
from .settings import Source

AT_ONCE = 16  # scenes rendered together


def world_set(source: Source, side: int, seed: int) -> ExampleSet:
    """source.scenes examples of each of its tasks (all, if it names none), side x side px.

    Raises PixWizardError for a task that the world cannot show.
    """
    named = [name.strip() for name in source.tasks.split(",") if name.strip()]
    if source.tasks and not named:
        raise PixWizardError(f"tasks are ids with commas between them. Got: {source.tasks!r}")
    examples: list[Example] = []
    for number, task in enumerate(check_tasks(named or list(WORLD_TASKS))):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        for start in range(0, source.scenes, AT_ONCE):
            count = min(AT_ONCE, source.scenes - start)
            scenes = sample_scenes(count, generator)
            made = make_examples([task] * count, scenes, side, side, generator, "cpu")
            for row in range(count):
                where = f"world, {task} {start + row}"
                examples.append(
                    Example(
                        _picture(made.inputs[row], f"{where}, input"),
                        _picture(made.targets[row], f"{where}, target"),
                        (made.instructions[row],), task, None, where,
                    )
                )  # fmt: skip
    return ExampleSet("world", tuple(examples), source.repeats, source.weight)


def _picture(image_01: Tensor, name: str) -> MadePicture:
    buffer = io.BytesIO()
    as_pil(image_01).save(buffer, format="PNG")
    return MadePicture(name, buffer.getvalue())
