"""Edits of a scene: the pictures before and after, what changed, and the words that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .phrases import article
from .pictures import as_rgb, grey
from .render import Views, render
from .scenes import COLOUR_NAMES, FLOOR_NAMES, SHAPES, SOLIDS, WALL_NAMES, Scenes
from .task_batch import Batch

POSITION_SHARE = 0.7  # of additions that name a position
STYLES: dict[str, tuple[str, ...]] = {
    "grey": ("a black and white photo", "a greyscale picture", "an old film in black and white"),
    "sepia": ("a sepia photo", "a brown old photograph"),
    "poster": ("a poster with few colours", "a flat posterised print"),
    "negative": ("a colour negative", "a photo negative with inverted colours"),
}


class Words(NamedTuple):
    """An edit in words: the fields of its own task's phrasings, and a whole sentence for the
    free-form task.
    """

    fields: dict[str, str]
    sentence: str


@dataclass
class Change:
    """One edit of n scenes: pictures before and after, words and the edited region."""

    inputs: Tensor  # (n, 3, H, W) before
    targets: Tensor  # (n, 3, H, W) after
    words: list[Words]
    mask: Tensor  # (n, H, W) bool, the edited object, before and after together
    colour: Tensor | None = None  # (n,) index of its new colour


def _again(batch: Batch, scenes: Scenes) -> Views:
    return render(scenes, *batch.views.rgb.shape[-2:])


def _other(batch: Batch, current: Tensor, count: int) -> Tensor:
    """A random index below count that is not the current one, (n,)."""
    step = torch.tensor(
        [1 + batch.rng.randrange(count - 1) for _ in range(len(batch))],
        device=current.device,
        dtype=torch.int64,
    )
    return (current + step) % count


def _current(batch: Batch, field: str) -> Tensor:
    return getattr(batch.scenes, field).gather(1, batch.objects[:, None])[:, 0]


def recolour(batch: Batch) -> Change:
    """Give the named object another colour."""
    colour = _other(batch, _current(batch, "colour"), len(COLOUR_NAMES))
    after = _again(batch, batch.scenes.recolour(batch.objects, colour))
    words = []
    for (_, phrase), index in zip(batch.picks, colour.tolist(), strict=True):
        name = COLOUR_NAMES[index]
        words.append(Words({"target": phrase, "colour": name}, f"make {phrase} {name}"))
    return Change(batch.views.rgb, after.rgb, words, batch.object_masks, colour)


def remove(batch: Batch) -> Change:
    """Remove the named object."""
    after = _again(batch, batch.scenes.without(batch.objects))
    words = [Words({"target": phrase}, f"remove {phrase}") for _, phrase in batch.picks]
    return Change(batch.views.rgb, after.rgb, words, batch.object_masks)


def add(batch: Batch) -> Change:
    """Add an object: the input is the picture without the named object, the answer has it."""
    before = _again(batch, batch.scenes.without(batch.objects))
    aspect = batch.views.rgb.shape[-1] / min(batch.views.rgb.shape[-2:])
    words = []
    for found, (k, _) in zip(batch.things, batch.picks, strict=True):
        thing = next(t for t in found if t.k == k)
        new = article(
            f"{thing.size} {thing.colour} {thing.shape}"
            if batch.rng.random() < 0.5
            else f"{thing.colour} {thing.shape}"
        )
        if batch.rng.random() < POSITION_SHARE:
            share = thing.x / aspect
            new += (
                " on the left"
                if share < 0.4
                else " on the right"
                if share > 0.6
                else " in the middle"
            )
        words.append(Words({"target": new}, f"add {new}"))
    return Change(before.rgb, batch.views.rgb, words, batch.object_masks)


def replace_object(batch: Batch) -> Change:
    """Put another shape in the same place; in two of three cases the colour changes too."""
    shape = _other(batch, _current(batch, "shape") % len(SOLIDS), len(SOLIDS))
    own = _current(batch, "colour")
    keep = torch.tensor(
        [batch.rng.random() < 1 / 3 for _ in range(len(batch))], device=own.device, dtype=torch.bool
    )
    colour = torch.where(keep, own, _other(batch, own, len(COLOUR_NAMES)))
    after = _again(batch, batch.scenes.with_objects(batch.objects, shape=shape, colour=colour))
    words = []
    for (_, phrase), s, c in zip(batch.picks, shape.tolist(), colour.tolist(), strict=True):
        new = article(f"{COLOUR_NAMES[c]} {SHAPES[s]}")
        words.append(Words({"target": phrase, "caption": new}, f"replace {phrase} with {new}"))
    mask = batch.object_masks | (after.instances == batch.objects[:, None, None])
    return Change(batch.views.rgb, after.rgb, words, mask, colour)


def background(batch: Batch) -> Change:
    """Change the wall, the floor, or both."""
    scenes = batch.scenes
    kind = torch.tensor(
        [batch.rng.randrange(3) for _ in range(len(batch))], device=scenes.device, dtype=torch.int64
    )
    wall = torch.where(kind == 1, scenes.wall, _other(batch, scenes.wall, len(WALL_NAMES)))
    floor = torch.where(kind == 0, scenes.floor, _other(batch, scenes.floor, len(FLOOR_NAMES)))
    after = _again(batch, replace(scenes, wall=wall, floor=floor))
    words = []
    for which, w, f in zip(kind.tolist(), wall.tolist(), floor.tolist(), strict=True):
        new_wall, new_floor = article(f"{WALL_NAMES[w]} wall"), article(f"{FLOOR_NAMES[f]} floor")
        new = (new_wall, new_floor, f"{new_floor} with {new_wall}")[which]
        words.append(Words({"caption": new}, f"change the background to {new}"))
    is_wall, is_floor = batch.views.classes == 0, batch.views.classes == 1
    kind = kind[:, None, None]
    return Change(
        batch.views.rgb, after.rgb, words, (is_wall & (kind != 1)) | (is_floor & (kind != 0))
    )


def restyle(rgb: Tensor, style: str) -> Tensor:
    """Pictures (n, 3, H, W) in a style of STYLES."""
    if style == "negative":
        return 1 - rgb
    if style == "poster":
        return (rgb * 3).round() / 3
    tone = as_rgb(grey(rgb))
    return (
        tone
        if style == "grey"
        else (tone * tone.new_tensor((1.07, 0.86, 0.62))[:, None, None]).clamp(0, 1)
    )


def style(batch: Batch) -> Change:
    """Repaint the whole picture in a style of STYLES."""
    chosen = [batch.rng.choice(list(STYLES)) for _ in range(len(batch))]
    after = torch.empty_like(batch.views.rgb)
    for name in STYLES:
        rows = [i for i, picked in enumerate(chosen) if picked == name]
        if rows:
            after[rows] = restyle(batch.views.rgb[rows], name)
    words = []
    for name in chosen:
        text = batch.rng.choice(STYLES[name])
        words.append(Words({"caption": text}, f"make it look like {text}"))
    return Change(
        batch.views.rgb, after, words, torch.ones_like(batch.views.instances, dtype=torch.bool)
    )


EDITS = {
    "recolour": recolour,
    "remove": remove,
    "add": add,
    "replace": replace_object,
    "background": background,
    "style": style,
}
NAMED_EDITS = ("recolour", "remove", "add", "replace")  # those of one object
