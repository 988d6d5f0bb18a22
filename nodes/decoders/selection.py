"""The end of every decoder that selects: clean-up, separate objects, outputs."""

from __future__ import annotations

from dataclasses import replace

import torch
from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core.decode.common import Rgb
from ...pixwizard_core.decode.masks import Cleanup, clean, objects
from ...pixwizard_core.decode.overlay import overlay
from ..shared import auto, notes, views
from ..shared.layouts import from_image_01, from_mask
from ..shared.page_data import objects_found
from ..shared.question import Question
from .asked_for import as_ui

MAX_OBJECTS = 64  # of one picture; each takes a mask of the picture's size


def cleanup_inputs():
    return (
        io.Boolean.Input(
            "fill_holes", default=False, tooltip="Also select regions that the selection encloses."
        ),
        io.Int.Input(
            "min_area",
            default=0,
            min=0,
            max=1 << 24,
            tooltip="Drop objects smaller than this, in square px of the source; 0 keeps all.",
        ),
        io.Boolean.Input(
            "largest_only",
            default=False,
            tooltip="Keep only the largest object of each picture.",
        ),
        io.Int.Input(
            "grow",
            default=0,
            min=-256,
            max=256,
            tooltip="Grow the selection by this many px, or shrink it if negative, -256 to 256.",
        ),
        io.Float.Input(
            "feather",
            default=0.0,
            min=0.0,
            max=256.0,
            step=0.5,
            tooltip="Soften the edge over about this many px, 0 to 256. 0 keeps the mask binary.",
        ),
    )


def selection_outputs():
    return (
        io.Mask.Output("mask", display_name="mask"),
        io.Mask.Output("objects", display_name="objects"),
        io.Int.Output("count", display_name="count"),
        io.Image.Output("picture", display_name="picture"),
    )


def selection(
    selected: Tensor,
    behind_01: Tensor,
    cleanup: Cleanup,
    about: Question | None,
    said: list[notes.Note],
    colour: str | Rgb = "red",
    meant: auto.Shown | None = None,
) -> io.NodeOutput:
    """What selection_outputs and the page show of a mask.

    selected: (B, H, W) bool. behind_01: (B or 1, 3, H, W), the picture to lay it on. Objects are
    separated before the edge is softened. about: what was asked. said: notes of the run. meant:
    what auto meant in it.
    """
    selected = clean(selected, replace(cleanup, feather=0.0))
    soft = clean(selected, Cleanup(feather=cleanup.feather))
    apart = separate_objects(selected)
    return io.NodeOutput(
        from_mask(soft),
        stack_masks(apart, selected),
        len(apart),
        from_image_01(overlay(behind_01, soft, colour)),
        ui={
            **objects_found(apart),
            **views.overlay(behind_01, soft, colour),
            **as_ui(about, [*said, *notes.of_nothing_found(selected.flatten(1).sum(1).tolist())]),
            **(meant or {}),
        },
    )


def separate_objects(selected: Tensor) -> list[Tensor]:
    """Connected objects of (B, H, W) bool as one (H, W) mask each, picture by picture, largest
    first, at most MAX_OBJECTS of a picture."""
    return [one for mask in selected for one in objects(mask, limit=MAX_OBJECTS).masks]


def stack_masks(masks: list[Tensor], like: Tensor) -> Tensor:
    """(H, W) bool masks -> host MASK (N, H, W). A batch cannot be empty, so no masks give one empty
    mask.

    like: (B, H, W), for the size of the empty mask.
    """
    return from_mask(torch.stack(masks) if masks else like.new_zeros(1, *like.shape[1:]))
