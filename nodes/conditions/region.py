"""A sentence of its own for a part of the picture."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core.conditioning import LATENT_CELL
from ...pixwizard_core.errors import CanvasError
from ...pixwizard_core.model.regions import REST, owners
from ...pixwizard_core.regions import cells_of, empty_rows, require_few, require_selection
from ..encoders import conditioning as encoding
from ..host.versions import schema
from ..model.host_model import IMAGE_LATENT
from ..model.region_conds import REGIONS
from ..shared import notes, sockets
from ..shared.base import Node
from ..shared.layouts import as_masks, size_of
from .asked import taught_with, worded

PATCH = 2  # cells on a token's side, of every PixWizard model
SHAPES_ALIKE = 1.1  # aspect ratios that differ by no more than this factor are the same shape


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
        marked = encoding.marked_text(clip, instruction, selected)
        result = encoding.with_region(conditioning, marked, apart)
        for _, values in result:
            if IMAGE_LATENT in values:
                said += placed(values[REGIONS], values[IMAGE_LATENT], number)
                break
        return io.NodeOutput(result, ui={**view, **notes.shown(said)})


def selected_part(mask, number: int, canvas) -> tuple[Tensor, list[notes.Note]]:
    """A region's mask (B, H, W) in 0..1 for the fitted picture, and notes on pictures without any
    of it. number: the region's. Raises CanvasError for a mask that selects nothing."""
    selected = as_masks(mask)
    require_selection(selected, number)
    numbers = [str(n) for n, one in enumerate(selected, 1) if not bool((one > 0).any())]
    said = [
        notes.warning(text, "region_empty", number=number, numbers=", ".join(numbers))
        for text in empty_rows(selected, number)
    ]
    if canvas is None:
        return selected, said
    source = canvas.source
    selected = canvas.fit_cover(cells_of(selected, source.height, source.width))
    if not bool((selected > 0).any()):
        raise CanvasError(
            f"the mask of region {number} lies in the margins that fit = crop cuts off; move it, "
            "or fit the picture in another way"
        )
    return selected, said


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
        mask, size = (f"{wide} × {high}" for wide, high in (met, fitted))
        sizes = {"number": number, "mask": mask, "size": size}
        sides = met[0] * fitted[1], met[1] * fitted[0]
        if max(sides) > SHAPES_ALIKE * min(sides):
            text = (
                f"the mask of region {number} is {met[0]} x {met[1]} px, of another shape than the "
                f"picture of {fitted[0]} x {fitted[1]} px, and was stretched to it; connect canvas "
                "if it belongs to the source"
            )
            said.append(notes.warning(text, "region_shape", **sizes))
        else:
            said.append(notes.note("region_resized", **sizes))
    if not bool((owner == REST).any()):
        said.append(notes.note("regions_cover"))
    return said
