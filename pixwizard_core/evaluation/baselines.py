"""Trivial answers to compare scores with: the mean map, the most frequent class, another scene's
answer, the hole filled with one colour, or the input as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..decode import paint, tiny_world
from ..decode.common import rgb_of
from ..world.examples import Examples
from ..world.pictures import box_of, box_picture, highlight_picture, mask_picture
from .scorers import LINES, MAPS, colours_of


def trivial_answer(task: str, examples: Examples) -> Tensor:
    """A picture for each example of one task, (n, 3, H, W) in 0..1, made without any model."""
    if task in ("depth", "normal"):
        return examples.targets.mean(0, keepdim=True).expand_as(examples.targets)
    if task == "segmentation":
        usual = (examples.truth["classes"] + 1).mode(0).values
        return paint(usual.expand_as(examples.truth["classes"]), tiny_world())
    if task in (*LINES, "pose", "text2image", *(f"from_{kind}" for kind in (*MAPS, "any"))):
        return examples.targets.roll(1, 0)
    if task in ("mask", "highlight", "box"):
        return _of_another_scene(task, examples)
    if task in ("inpaint", "outpaint"):
        return _flat_hole(examples)
    return examples.inputs


def _of_another_scene(task: str, examples: Examples) -> Tensor:
    """The object of the previous scene, drawn on this one: an answer that ignores the picture."""
    mask = examples.truth["mask"].roll(1, 0)
    if task == "mask":
        return mask_picture(mask)
    rgb = [rgb_of(colour) for colour in colours_of(examples)]
    colours = torch.tensor(rgb, device=mask.device) / 255
    if task == "highlight":
        return highlight_picture(examples.inputs, mask, colours)
    return box_picture(examples.inputs, box_of(mask), colours)


def _flat_hole(examples: Examples) -> Tensor:
    hole = examples.truth["mask"][:, None]
    kept = (examples.inputs * ~hole).sum((2, 3)) / (~hole).sum((2, 3)).clamp(min=1)
    return torch.where(hole, kept[:, :, None, None], examples.inputs)
