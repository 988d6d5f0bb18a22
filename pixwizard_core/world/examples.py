"""Training and test examples of the tasks: input picture, instruction, answer picture, and exact
truth to score by.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from typing import cast

import torch
from torch import Tensor

from ..tasks import TASKS, Fields, instruction
from .example_tasks import MAKERS, NAMING
from .mixture import device_generator
from .phrases import captions, pick_object, things
from .pictures import box_of
from .render import render
from .scenes import Scenes
from .task_batch import Batch, Pairs

# task -> (share in training, its factor during the first stage, which favours tasks that are
# learned slowly)
WORLD_TASKS: dict[str, tuple[float, float]] = {
    "depth": (3.0, 1.0),
    "normal": (3.0, 1.0),
    "segmentation": (4.0, 1.5),
    "canny": (2.0, 1.0),
    "hed": (1.0, 1.0),
    "sketch": (1.0, 1.0),
    "lineart": (1.5, 1.0),
    "pose": (1.0, 1.0),
    "mask": (6.0, 2.0),
    "highlight": (5.0, 2.0),
    "box": (4.0, 2.0),
    "edit": (2.0, 1.0),
    "recolour": (4.0, 2.0),
    "remove": (4.0, 1.5),
    "add": (2.0, 1.0),
    "replace": (2.0, 1.0),
    "background": (1.5, 1.0),
    "style": (1.0, 1.0),
    "inpaint": (4.0, 1.0),
    "outpaint": (1.5, 1.0),
    "denoise": (1.5, 1.0),
    "derain": (1.5, 1.0),
    "dehaze": (1.0, 1.0),
    "deblur": (1.0, 1.0),
    "desnow": (1.0, 1.0),
    "deshadow": (1.0, 1.0),
    "lowlight": (1.0, 1.0),
    "demoire": (1.0, 1.0),
    "watermark": (1.0, 1.0),
    "superres": (1.5, 1.0),
    "from_canny": (0.7, 1.0),
    "from_hed": (0.7, 1.0),
    "from_depth": (1.0, 1.0),
    "from_sketch": (0.7, 1.0),
    "from_segmentation": (1.0, 1.0),
    "from_normal": (0.7, 1.0),
    "from_lineart": (0.7, 1.0),
    "from_pose": (0.5, 1.0),
    "text2image": (4.0, 1.5),
    "reflection": (1.0, 1.0),
    "restore": (1.5, 1.0),
    "restore_captioned": (0.7, 1.0),
    "recolour_photo": (1.0, 1.0),
    "from_any": (0.7, 1.0),
}
POSE_TASKS = ("pose", "from_pose")


@dataclass(frozen=True)
class Examples:
    """n examples. inputs, targets: (n, 3, H, W) 0..1.

    truth, all of the scene as it is before an edit (for "add": after it), on the pictures' device:
      rgb (n,3,H,W), depth_m, depth_01 (n,H,W), normals (n,3,H,W), classes, instances (n,H,W) int64;
      mask (n,H,W) bool: the named object, the hole, or what an edit changes; empty for other tasks;
      edges (n,H,W) bool: the one-pixel lines of edge tasks; box_xyxy_px (n,4) int64: tight box of
      the mask, exclusive ends; object (n,) number of the named object or -1; colour (n,) index into
      COLOURS of the asked colour or -1; caption, target, kind (the task, or which edit it is):
      lists of str. words: the fields of each instruction, from which others can be made.
    """

    tasks: list[str]
    inputs: Tensor
    targets: Tensor
    instructions: list[str]
    truth: dict
    words: list[dict[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tasks)


@torch.no_grad()
def make_examples(
    task_ids: list[str],
    scenes: Scenes,
    height: int,
    width: int,
    generator: torch.Generator,
    device,
    held_out: bool = False,
) -> Examples:
    """Make one example of task_ids[i] from scene i, each at height x width px.

    generator: a CPU generator that decides all choices. held_out: use only the phrasings that
    training never sees, instead of only those it does. For tasks that name an object, a scene in
    which no object can be named is replaced by another one of the batch. Raises ValueError for a
    task the world cannot show, when lengths differ, or when no scene has an object to name.
    """
    if len(task_ids) != len(scenes):
        raise ValueError(
            f"need one task per scene. Got: {len(task_ids)} tasks, {len(scenes)} scenes"
        )
    unknown = sorted(set(task_ids) - set(MAKERS))
    if unknown:
        raise ValueError(
            f"the world cannot show: {', '.join(unknown)}; it can: {', '.join(MAKERS)}"
        )
    scenes = scenes.with_people(
        torch.tensor(
            [task_id in POSE_TASKS for task_id in task_ids], dtype=torch.bool, device="cpu"
        )
    )
    rng = random.Random(
        int(torch.randint(0, 2**62, (), generator=generator, dtype=torch.int64, device="cpu"))
    )
    whole = _look(
        scenes.to(device), task_ids, height, width, device_generator(generator, device), rng
    )
    result = _empty(task_ids, whole)
    for task_id in dict.fromkeys(task_ids):
        rows = [i for i, chosen in enumerate(task_ids) if chosen == task_id]
        part = whole.part(rows)
        _store(result, rows, part, MAKERS[task_id](part), task_id, held_out)
    result.truth["box_xyxy_px"] = box_of(result.truth["mask"])
    return result


def _look(
    scenes: Scenes,
    task_ids: list[str],
    height: int,
    width: int,
    generator: torch.Generator,
    rng: random.Random,
) -> Batch:
    """Render the scenes, describe them and choose the object each instruction will name."""
    views = render(scenes, height, width)
    found = things(scenes, views)
    picks = [pick_object(seen, rng) for seen in found]
    order = list(range(len(scenes)))
    nameable = [i for i in order if picks[i]]
    for i in order:
        if picks[i] is None and task_ids[i] in NAMING:
            if not nameable:
                raise ValueError(
                    f"no scene shows an object that can be named, as task {task_ids[i]!r} needs"
                )
            order[i] = nameable[i % len(nameable)]
    texts = captions(scenes, views, found)
    picks = [pick or (-1, "") for pick in picks]
    whole = Batch(scenes, views, found, texts, picks, generator, rng)
    return whole if order == list(range(len(order))) else whole.part(order)


def _empty(task_ids: list[str], whole: Batch) -> Examples:
    views, n = whole.views, len(whole)
    truth = {f.name: getattr(views, f.name) for f in fields(views)}
    nothing = torch.full((n,), -1, device=views.rgb.device, dtype=torch.int64)
    truth["mask"], truth["edges"] = (
        torch.zeros_like(views.instances, dtype=torch.bool) for _ in range(2)
    )
    truth["object"], truth["colour"] = nothing, nothing.clone()
    truth["caption"], truth["target"], truth["kind"] = list(whole.captions), [""] * n, [""] * n
    return Examples(
        list(task_ids),
        torch.empty_like(views.rgb),
        torch.empty_like(views.rgb),
        [""] * n,
        truth,
        [{} for _ in range(n)],
    )


def _store(
    result: Examples, rows: list[int], part: Batch, made: Pairs, task_id: str, held_out: bool
) -> None:
    result.inputs[rows], result.targets[rows] = made.inputs, made.targets
    for name in ("mask", "edges", "colour"):
        if getattr(made, name) is not None:
            result.truth[name][rows] = getattr(made, name)
    if made.objects is not None:
        result.truth["object"][rows] = made.objects
    for row, kind in zip(rows, made.kinds or [task_id] * len(rows), strict=True):
        result.truth["kind"][row] = kind
    task = TASKS[task_id]
    for row, words in zip(rows, made.words, strict=True):
        result.truth["target"][row] = words.get("target", "")
        result.words[row] = words
        phrasing = part.rng.choice(task.held_out if held_out else task.seen)
        result.instructions[row] = instruction(task_id, phrasing=phrasing, **cast(Fields, words))
