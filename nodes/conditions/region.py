"""A sentence of its own for a part of the picture."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core.conditioning import LATENT_CELL
from ...pixwizard_core.errors import CanvasError
from ...pixwizard_core.model.regions import REST, owners
from ...pixwizard_core.regions import (
    cells_of,
    empty_pictures,
    empty_rows,
    faint,
    faint_note,
    lost_note,
    lost_pictures,
    other_shape,
    require_few,
    require_seen,
    require_selection,
    size_note,
)
from ..encoders import conditioning as encoding
from ..host.versions import schema
from ..model.host_model import IMAGE_LATENT
from ..model.region_conds import REGIONS
from ..shared import notes, sockets
from ..shared.base import Node
from ..shared.layouts import as_masks, size_of
from .asked import taught_with, worded

PATCH = 2  # cells on a token's side, of every PixWizard model


class Region(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Region",
            display_name="PixWizard Region",
            description="Gives a part of the picture an instruction of its own; the instruction of "
            "Encode is then for the rest. One Region after another makes several changes at once.",
            search_aliases=["regional prompt", "area prompt", "masked instruction", "attention"],
            inputs=[
                io.Conditioning.Input(
                    "conditioning", tooltip="full of Encode, or the output of another Region."
                ),
                io.Clip.Input("clip", tooltip="The same as for Encode."),
                io.String.Input(
                    "instruction",
                    default="",
                    multiline=True,
                    tooltip="What to do with this part, up to 256 tokens; from Instruction or "
                    "typed.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="The part of the picture; 1 = in it. Of the fitted picture or, with "
                    "canvas, of the source. A later Region lies on top of earlier ones.",
                ),
                io.Boolean.Input(
                    "apart",
                    default=True,
                    tooltip="Regions do not look at each other while the picture is painted, only "
                    "at the rest of it. Without it, one change may take the place of another. The "
                    "last Region decides for all.",
                ),
                sockets.Canvas.Input(
                    "canvas",
                    optional=True,
                    tooltip="From Fit to Canvas, for a mask of the source's size.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    "regional",
                    display_name="full",
                    tooltip="For Sample, the guider, or positive of a KSampler.",
                )
            ],
        )

    @classmethod
    def run(cls, conditioning, clip, instruction, mask, apart=True, canvas=None):
        view, instruction = worded(instruction, taught_with(clip))
        number = 1 + max((len(values.get(REGIONS, ())) for _, values in conditioning), default=0)
        require_few(number)
        selected, said = selected_part(mask, number, canvas)
        if not instruction.strip():
            said.append(notes.note("region_silent", number=number))
        marked = encoding.marked_text(clip, instruction, selected)
        result = encoding.with_region(conditioning, marked, apart)
        for _, values in result:
            if IMAGE_LATENT in values:
                said += placed(values[REGIONS], values[IMAGE_LATENT], number)
                break
        return io.NodeOutput(result, ui={**view, **notes.shown(said)})


def selected_part(mask, number: int, canvas) -> tuple[Tensor, list[notes.Note]]:
    """A region's mask (B, H, W) in 0..1 for the fitted picture, and notes on a mask that is faint
    or of another size than the source, and on pictures without any of it. number: the region's.
    Raises CanvasError for a mask that selects nothing."""
    given = as_masks(mask)
    require_selection(given, number)
    selected, said = given, list[notes.Note]()
    if canvas is not None:
        source = canvas.source
        selected = canvas.fit_cover(cells_of(given, source.height, source.width))
        require_seen(selected, number)
        if size_of(given) != source:
            said.append(_other_size(size_of(given), source, number, "region_stretched"))
    if (dim := faint(given)) is not None:
        text = faint_note(dim, number)
        said.append(notes.warning(text, "region_faint", number=number, brightest=f"{dim:.3g}"))
    if empty := empty_pictures(selected):
        text = "; ".join(empty_rows(given, selected, number))
        numbers = ", ".join(map(str, empty))
        said.append(notes.warning(text, "region_empty", number=number, numbers=numbers))
    return selected, said


def _other_size(met, wanted, number: int, stretched: str) -> notes.Note:
    """The note on a mask of another size (width, height) in px. stretched: what to say if it is of
    another shape too."""
    mask, size = (f"{wide} × {high}" for wide, high in (met, wanted))
    sizes = {"number": number, "mask": mask, "size": size}
    if other_shape(met, wanted):
        return notes.warning(size_note(met, wanted, number), stretched, **sizes)
    return notes.note("region_resized", **sizes)


def placed(regions, latent: Tensor, number: int) -> list[notes.Note]:
    """Check that every region has a place in the picture of a latent (B, 4, h, w), and say how the
    last one's mask was fitted, and what has no effect. Raises CanvasError for another number of
    masks, SamplingError for a region without a place."""
    count, _, height, width = latent.shape
    cells = []
    for one in regions:
        if len(one.mask) not in (1, count):
            raise CanvasError(
                f"{len(one.mask)} masks for {count} pictures; give one mask, or one for each"
            )
        cells.append(cells_of(one.mask, height, width).expand(count, -1, -1))
    owner = owners(torch.stack(cells, 1), PATCH)
    said: list[notes.Note] = []
    met, fitted = size_of(regions[-1].mask), (width * LATENT_CELL, height * LATENT_CELL)
    if met != fitted:
        said.append(_other_size(met, fitted, number, "region_shape"))
    for place, mask in enumerate(cells, 1):
        if lost := lost_pictures(owner, mask, place):
            numbers = ", ".join(map(str, lost))
            text = lost_note(lost, place)
            said.append(notes.warning(text, "region_lost", number=place, numbers=numbers))
    if not bool((owner == REST).any()):
        said.append(notes.note("regions_cover"))
    return said
