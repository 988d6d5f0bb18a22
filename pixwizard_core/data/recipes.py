"""How each task's input and target are made from a photograph: one recipe per task.

NEEDS lists the maps that a task depends on; a photograph without them is left out of that task,
with a reason. A map can be the target of one task and the input of another; both share its file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PixWizardError
from ..tasks import COLOURS, Fields, find_task
from ..world.damage import DAMAGE, FAULTS
from ..world.degrade import noise
from ..world.photograph_tasks import distances, line_art, soft_edges
from ..world.pictures import box_of, box_picture, gaussian, highlight_picture, mask_picture
from .chance import between, whole
from .changes import EDITS, LOOKS, Change, changed, recoloured
from .drawings import canny_lines, sketch
from .photos import FARTHEST_M, METRIC, PhotoAtWork, SourcePhoto
from .regions import fill, hole, surroundings

SMOOTH_DEPTH = "haze follows a made-up smooth distance, not the scene's"
LEAST_CONTRAST = 0.1  # of a drawing that shows something
NEAREST_M = 1.0  # of the distances that haze is given from a map without metres
DEPTH_KINDS = ("depth", METRIC)
TEACHERS = ("normal", "pose", "segmentation")  # kinds of maps that only others can make
PAINTED = ("canny", "hed", "sketch", "lineart")  # kinds that a photograph itself can give


@dataclass(frozen=True, slots=True)
class BuiltPair:
    """The pictures that a recipe made. input, target: (1, 3, H, W) in 0..1, or None for the
    photograph itself. note: what was guessed. masked: the kind of map whose unknown pixels do not
    count, or "". words: values of the task's fields, when the recipe chose what is asked for."""

    input: Tensor | None
    target: Tensor | None
    note: str = ""
    masked: str = ""
    words: Fields | None = None


Recipe = Callable[[PhotoAtWork, torch.Generator], BuiltPair]


def face_damage(image: Tensor, generator: torch.Generator) -> Tensor:
    """Degrade a picture of a face like an old file: blur it, shrink it, add noise, compress it and
    enlarge it again. image and result: (1, 3, H, W) in 0..1."""
    from kornia.enhance import jpeg_codec_differentiable

    height, width = image.shape[2:]
    blurred = gaussian(image, between(generator, 0.4, 3.0))
    factor = between(generator, 1, 6)
    size = [max(16, round(side / factor)) for side in (height, width)]
    small = F.interpolate(blurred, size, mode="bilinear", antialias=True)
    small = noise(small, generator, 0.0, 15 / 255)
    quality = torch.tensor([between(generator, 40, 95)])
    ragged = (-size[1] % 16, -size[0] % 16)
    padded = F.pad(small, (0, ragged[0], 0, ragged[1]), mode="replicate")
    coded = jpeg_codec_differentiable(padded, quality)[..., : size[0], : size[1]]
    return F.interpolate(coded, (height, width), mode="bilinear").clamp(0, 1)


def _damaged(task: str) -> Recipe:
    spoil = FAULTS.get(task) or DAMAGE.get(task)

    def make(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
        if spoil is None:
            return BuiltPair(face_damage(photo.image, generator), None)
        far, note = _distances(photo, generator)
        return BuiltPair(spoil(photo.image, far, generator), None, note if task == "dehaze" else "")

    return make


def _distances(photo: PhotoAtWork, generator: torch.Generator) -> tuple[Tensor, str]:
    """Return distances (1, H, W) in metres, and a note when they are invented."""
    if photo.depth_m is not None:
        return torch.where(photo.depth_m > 0, photo.depth_m, FARTHEST_M), ""
    if "depth" in photo.maps:
        near = photo.maps["depth"].mean(1)
        return FARTHEST_M - (FARTHEST_M - NEAREST_M) * near, ""
    return distances(photo.image, generator), SMOOTH_DEPTH


def paint_map(kind: str, photo: PhotoAtWork, generator: torch.Generator) -> Tensor:
    """Return the map of a kind (1, 3, H, W) in 0..1: the ready-made one, or one that is drawn from
    the photograph. kind: one of PAINTED, or a kind that the photograph has. A sketch is drawn from
    a ready-made HED map where there is one."""
    if kind in photo.maps:
        return photo.maps[kind]
    if kind == "sketch":
        return sketch(photo.image, generator, photo.maps.get("hed"))
    if kind == "canny":
        return canny_lines(photo.image, generator)
    return soft_edges(photo.image) if kind == "hed" else line_art(photo.image)[0]


def _map(kind: str) -> Recipe:
    return lambda photo, generator: BuiltPair(
        None,
        paint_map(kind, photo, generator),
        photo.notes.get(kind, ""),
        kind if kind in photo.known else "",
    )


def _from_map(kind: str) -> Recipe:
    return lambda photo, generator: BuiltPair(
        paint_map(kind, photo, generator), None, photo.notes.get(kind, "")
    )


def _depth_kind(photo: PhotoAtWork) -> str:
    """The kind of map to paint: relative depth (white is near), or else metric (white is far)."""
    return "depth" if "depth" in photo.maps else METRIC


def _depth(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
    return _map(_depth_kind(photo))(photo, generator)


def _from_depth(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
    return _from_map(_depth_kind(photo))(photo, generator)


def _inpaint(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
    height, width = photo.image.shape[2:]
    mask = hole(height, width, generator)
    return BuiltPair(fill(photo.image, mask, generator), None)


def _outpaint(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
    height, width = photo.image.shape[2:]
    mask = surroundings(height, width, generator)
    return BuiltPair(fill(photo.image, mask, generator), None)


def _blank(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
    return BuiltPair(torch.full_like(photo.image, float(whole(generator, 0, 1))), None)


def _changed(changes: tuple[tuple[str, Change], ...]) -> Recipe:
    def make(photo: PhotoAtWork, generator: torch.Generator) -> BuiltPair:
        words, answer = changed(photo.image, changes, generator)
        return BuiltPair(None, answer, words={"caption": words})

    return make


RECIPES: dict[str, Recipe] = {
    **{task: _damaged(task) for task in (*FAULTS, "face", *DAMAGE)},
    **{kind: _map(kind) for kind in (*PAINTED, *TEACHERS)},
    **{f"from_{kind}": _from_map(kind) for kind in (*PAINTED, *TEACHERS)},
    "depth": _depth,
    "from_depth": _from_depth,
    "inpaint": _inpaint,
    "inpaint_face": _inpaint,
    "outpaint": _outpaint,
    "text2image": _blank,
    "edit": _changed(EDITS),
    "style": _changed(LOOKS),
}
OWN_WORDS = ("edit", "style")  # recipes that choose what is asked for, so need no caption
# task -> its target for a picture (1, 3, H, W), an object (1, H, W) and a colour (1, 3) in 0..1
GROUNDED: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "mask": lambda image, mask, colour: mask_picture(mask),
    "highlight": highlight_picture,
    "box": lambda image, mask, colour: box_picture(image, box_of(mask), colour),
    "recolour": recoloured,
}
BUILDABLE = (*RECIPES, *GROUNDED)
FACES = ("face", "inpaint_face")  # only right for photographs of faces, so built when asked for
ALL_TASKS = tuple(task for task in BUILDABLE if task not in FACES)
# task -> the kinds of maps of which it needs one
NEEDS: dict[str, tuple[str, ...]] = {
    **{task: DEPTH_KINDS for task in ("depth", "from_depth")},
    **{f"{way}{kind}": (kind,) for kind in TEACHERS for way in ("", "from_")},
}


def check_buildable(tasks: tuple[str, ...]) -> None:
    """Raise PixWizardError when there are no tasks, or a task that cannot be built."""
    unknown = [task for task in tasks if task not in BUILDABLE]
    if unknown or not tasks:
        raise PixWizardError(
            f"photographs cannot be built into {repr(unknown[0]) if unknown else 'no task'}; the "
            f"tasks are: {', '.join(BUILDABLE)}"
        )


def lacking(task: str, photo: SourcePhoto) -> str:
    """Return the reason why a task cannot be built from a photograph, or ""."""
    kinds = NEEDS.get(task, ())
    if kinds and not any(kind in photo.maps for kind in kinds):
        return f"no {' or '.join(kinds)} map for {task}"
    if task in GROUNDED:
        return "" if photo.things else f"no named object for {task}"
    row = find_task(task)
    needed = "caption" in row.fields and "caption" not in row.optional and task not in OWN_WORDS
    if needed and not photo.captions:
        return f"no caption for {task}"
    return ""


def nothing_to_see(task: str, pair: BuiltPair, photo: PhotoAtWork) -> str:
    """Return the reason why a built pair teaches nothing, or "". The reason is a drawing without
    lines, or damage or an edit that changes no 8-bit pixel. A blank ready-made map is a valid
    answer: there may be no person whose pose it could show."""
    kind = drawn_as(task)
    drawn = pair.target if pair.target is not None else pair.input
    if drawn is None:
        return ""
    if kind in PAINTED and kind not in photo.maps:
        blank = float(drawn.max() - drawn.min()) < LEAST_CONTRAST
        return f"{kind} finds no line in it, so it is left out of {task}" if blank else ""
    spoiled = pair.target is None and not task.startswith("from_")
    if spoiled or pair.words is not None:
        moved = float((drawn - photo.image).abs().max()) * 255 >= 1
        return "" if moved else f"{task} changes nothing in it"
    return ""


def drawn_as(task: str) -> str:
    """Return the task whose random choices a task uses, so that a map is the same as target and as
    input."""
    return task.removeprefix("from_")


def answer_for(task: str, image: Tensor, mask: Tensor, colour: str) -> Tensor:
    """Paint the target of a task of GROUNDED. image and result: (1, 3, H, W) in 0..1. mask: the
    object, (H, W) bool. colour: a name from tasks.COLOURS. Raises PixWizardError for an empty
    mask."""
    if not bool(mask.any()):
        raise PixWizardError("the object has no pixels")
    ink = torch.tensor([COLOURS[colour]], dtype=torch.float32) / 255
    return GROUNDED[task](image, mask[None], ink)


def buildable(photos: Sequence[SourcePhoto], tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tasks that can be built from at least one of the photographs."""
    return tuple(task for task in tasks if any(not lacking(task, photo) for photo in photos))
