"""Make each task of the table from scenes: its input picture, its answer and the words of its
instruction.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import degrade, edges, holes, pictures
from .damage import DAMAGE, FAULTS, mixed
from .edits import EDITS, NAMED_EDITS
from .mixture import colour_values
from .render import Views
from .scenes import COLOUR_NAMES, Scenes
from .task_batch import Batch, Pairs

CAPTION_SHARE = 0.7  # of inpaint and outpaint examples that say what to paint


def _silent(batch: Batch) -> list[dict[str, str]]:
    return [{} for _ in range(len(batch))]


def _captioned(batch: Batch, share: float = 1.0) -> list[dict[str, str]]:
    return [
        {"caption": caption} if batch.rng.random() < share else {} for caption in batch.captions
    ]


def draw_map(kind: str, scenes: Scenes, views: Views) -> tuple[Tensor, Tensor | None]:
    """Draw a map by task id; for maps of lines also returns where the lines are, (n, H, W) bool."""
    if kind == "canny":
        lines = edges.canny(views.rgb)
        return edges.canny_picture(lines), lines
    if kind == "pose":
        return pictures.pose_picture(scenes, views)
    if kind in LINE_MAPS:
        return LINE_MAPS[kind](views), edges.outlines(views)
    return FLAT_MAPS[kind](views), None


FLAT_MAPS = {
    "depth": pictures.depth_picture,
    "normal": pictures.normal_picture,
    "segmentation": pictures.segmentation_picture,
}
LINE_MAPS = {
    "hed": edges.hed_picture,
    "sketch": edges.sketch_picture,
    "lineart": edges.lineart_picture,
}
MAPS = (*FLAT_MAPS, "canny", *LINE_MAPS, "pose")


def perceive(kind: str):
    """Make a task that paints a map (by task id) from the picture."""

    def make(batch: Batch) -> Pairs:
        target, lines = draw_map(kind, batch.scenes, batch.views)
        return Pairs(batch.views.rgb, target, _silent(batch), edges=lines)

    return make


def control(kind: str):
    """Make a task that paints the picture from a map (by task id) and a caption."""

    def make(batch: Batch) -> Pairs:
        given, lines = draw_map(kind, batch.scenes, batch.views)
        return Pairs(given, batch.views.rgb, _captioned(batch), edges=lines)

    return make


def restore(spoil):
    """Make a task that restores the picture. spoil(rgb, depth_m, generator): degrades it."""

    def make(batch: Batch) -> Pairs:
        rgb = batch.views.rgb
        return Pairs(spoil(rgb, batch.views.depth_m, batch.generator), rgb, _silent(batch))

    return make


def restore_captioned(batch: Batch) -> Pairs:
    """Restore a picture with several flaws, given a caption."""
    made = restore(mixed)(batch)
    return Pairs(made.inputs, made.targets, _captioned(batch))


def from_any(batch: Batch) -> Pairs:
    """A map of any kind, drawn for each scene, which the sentence does not name."""
    kinds = [batch.rng.choice(MAPS) for _ in range(len(batch))]
    rgb = batch.views.rgb
    given, lines = torch.empty_like(rgb), torch.zeros_like(rgb[:, 0], dtype=torch.bool)
    for kind in dict.fromkeys(kinds):
        rows = [i for i, chosen in enumerate(kinds) if chosen == kind]
        part = batch.part(rows)
        drawn, where = draw_map(kind, part.scenes, part.views)
        given[rows] = drawn
        if where is not None:
            lines[rows] = where
    return Pairs(given, rgb, _captioned(batch), edges=lines, kinds=[f"from_{k}" for k in kinds])


def mask(batch: Batch) -> Pairs:
    """Paint the named object white on black."""
    words = [{"target": phrase} for _, phrase in batch.picks]
    shown = batch.object_masks
    return Pairs(
        batch.views.rgb, pictures.mask_picture(shown), words, mask=shown, objects=batch.objects
    )


def _colours(batch: Batch, *, other_than_own: bool) -> tuple[Tensor, list[dict[str, str]]]:
    """A colour to mark each named object with: indices (n,) and the instruction's words."""
    own = batch.scenes.colour.gather(1, batch.objects[:, None])[:, 0].tolist()
    chosen = []
    for colour in own:
        # A tint in the object's own colour would hardly show.
        free = [c for c in range(len(COLOUR_NAMES)) if not (other_than_own and c == colour)]
        chosen.append(batch.rng.choice(free))
    words = [
        {"target": phrase, "colour": COLOUR_NAMES[c]}
        for (_, phrase), c in zip(batch.picks, chosen, strict=True)
    ]
    return torch.tensor(chosen, device=batch.scenes.device, dtype=torch.int64), words


def highlight(batch: Batch) -> Pairs:
    """Tint the named object in a colour other than its own."""
    colour, words = _colours(batch, other_than_own=True)
    shown = batch.object_masks
    target = pictures.highlight_picture(batch.views.rgb, shown, colour_values(colour))
    return Pairs(batch.views.rgb, target, words, mask=shown, colour=colour, objects=batch.objects)


def box(batch: Batch) -> Pairs:
    """Draw a box around the named object."""
    colour, words = _colours(batch, other_than_own=False)
    shown = batch.object_masks
    target = pictures.box_picture(batch.views.rgb, pictures.box_of(shown), colour_values(colour))
    return Pairs(batch.views.rgb, target, words, mask=shown, colour=colour, objects=batch.objects)


def inpaint(batch: Batch) -> Pairs:
    """Fill a hole; most examples have a caption."""
    hole = holes.random_hole(batch.views.rgb, batch.generator)
    return Pairs(
        holes.punch(batch.views.rgb, hole, batch.generator),
        batch.views.rgb,
        _captioned(batch, CAPTION_SHARE),
        mask=hole,
    )


def outpaint(batch: Batch) -> Pairs:
    """Fill margins; most examples have a caption."""
    hole = holes.random_margin(batch.views.rgb, batch.generator)
    return Pairs(
        holes.punch(batch.views.rgb, hole, batch.generator),
        batch.views.rgb,
        _captioned(batch, CAPTION_SHARE),
        mask=hole,
    )


def text2image(batch: Batch) -> Pairs:
    """Paint the scene from a caption; the input is black or white."""
    white = degrade.uniform(batch.views.rgb, batch.generator, 0, 1) < 0.5
    return Pairs(white.float().expand_as(batch.views.rgb), batch.views.rgb, _captioned(batch))


def edit(kind: str):
    """Make a task from one of EDITS."""

    def make(batch: Batch) -> Pairs:
        change = EDITS[kind](batch)
        words = [w.fields for w in change.words]
        objects = batch.objects if kind in NAMED_EDITS else None
        return Pairs(
            change.inputs, change.targets, words, change.mask, None, change.colour, objects
        )

    return make


def free_edit(batch: Batch) -> Pairs:
    """Any of the edits, in a free sentence."""
    kinds = [batch.rng.choice(list(EDITS)) for _ in range(len(batch))]
    rgb = batch.views.rgb
    nothing = torch.full((len(batch),), -1, device=rgb.device, dtype=torch.int64)
    mask, colour, objects = torch.zeros_like(rgb[:, 0], dtype=torch.bool), nothing, nothing.clone()
    result = Pairs(
        inputs=torch.empty_like(rgb),
        targets=torch.empty_like(rgb),
        words=_silent(batch),
        mask=mask,
        colour=colour,
        objects=objects,
        kinds=kinds,
    )
    for kind in EDITS:
        rows = [i for i, chosen in enumerate(kinds) if chosen == kind]
        if not rows:
            continue
        part = batch.part(rows)
        change = EDITS[kind](part)
        result.inputs[rows], result.targets[rows] = change.inputs, change.targets
        mask[rows] = change.mask
        if change.colour is not None:
            colour[rows] = change.colour
        if kind in NAMED_EDITS:
            objects[rows] = part.objects
        for row, words in zip(rows, change.words, strict=True):
            result.words[row] = {"caption": words.sentence}
    return result


NAMING = (
    "mask",
    "highlight",
    "box",
    *NAMED_EDITS,
    "edit",
)
MAKERS = {
    **{kind: perceive(kind) for kind in MAPS},
    "mask": mask,
    "highlight": highlight,
    "box": box,
    **{kind: edit(kind) for kind in EDITS},
    "edit": free_edit,
    "inpaint": inpaint,
    "outpaint": outpaint,
    **{kind: restore(spoil) for kind, spoil in {**FAULTS, **DAMAGE}.items()},
    "restore_captioned": restore_captioned,
    **{f"from_{kind}": control(kind) for kind in MAPS},
    "from_any": from_any,
    "text2image": text2image,
}
