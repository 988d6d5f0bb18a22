"""Sentences for parts of a picture: masks of any size become cells of the image latent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .canvas import Canvas
from .canvas.images import as_mask
from .canvas.resample import resample
from .conditioning import LATENT_CELL, Condition, Region
from .encoders.text import TextEncoder
from .errors import CanvasError
from .model.regions import REST, owners

MOST = 16  # regions of one picture


@dataclass(frozen=True)
class RegionRequest:
    """What to do with a part of the pictures.

    mask: (H, W) or (B, H, W), bool or 0..1, 1 = in the region; of the source's size, or resized to
    it. instruction: one sentence, or one for each picture.
    """

    mask: Tensor
    instruction: str | Sequence[str]


@dataclass(frozen=True)
class AskedRegions:
    """Regions ready for a Condition, and what to say of them.

    found: encoded, later ones on top. notes: full sentences on what was resized, left out or has no
    effect.
    """

    found: tuple[Region, ...] = ()
    apart: bool = True
    notes: tuple[str, ...] = ()

    def added_to(self, condition: Condition) -> Condition:
        """The condition with these regions."""
        if not self.found:
            return condition
        return replace(condition, regions=self.found, regions_apart=self.apart)


def cells_of(mask: Tensor, height: int, width: int) -> Tensor:
    """How much of each cell of a grid a mask covers: (B, H, W), bool or 0..1, to (B, height, width)
    float32 in 0..1."""
    return resample(mask.float(), height, width, "triangle").clamp(0, 1)


def require_selection(mask: Tensor, number: int) -> None:
    """Raise CanvasError for the mask of a region that selects nothing."""
    if not bool((mask > 0).any()):
        raise CanvasError(
            f"the mask of region {number} is empty: it selects nothing. Give it a mask with white "
            "in it, or leave the region out"
        )


def empty_rows(mask: Tensor, number: int) -> list[str]:
    """Sentences on the pictures for which a region's mask (B, H, W) selects nothing."""
    empty = (~(mask > 0).flatten(1).any(1)).nonzero()[:, 0] + 1
    if not len(empty):
        return []
    return [
        f"the mask of region {number} is empty for picture {', '.join(map(str, empty.tolist()))}: "
        "its sentence does nothing there"
    ]


def require_few(count: int) -> None:
    """Raise CanvasError for more regions than one picture can have."""
    if count > MOST:
        raise CanvasError(f"{count} regions are too many; give at most {MOST}")


@torch.no_grad()
def ask_regions(
    encoder: TextEncoder,
    requests: Sequence[RegionRequest],
    apart: bool,
    canvas: Canvas,
    count: int,
    patch: int,
) -> AskedRegions:
    """Encode the sentences of regions and fit their masks to a canvas, for count pictures.

    apart: whether regions do not look at each other. patch: cells of a token's side. Raises
    CanvasError for too many regions, an empty mask, or masks or sentences of another number;
    SamplingError for a region that is left without a place.
    """
    require_few(len(requests))
    width, height = canvas.source
    notes: list[str] = []
    found: list[Region] = []
    for number, request in enumerate(requests, 1):
        mask = as_mask(request.mask, batch=count)
        require_selection(mask, number)
        notes += empty_rows(mask, number)
        if mask.shape[-2:] != (height, width):
            notes.append(
                f"the mask of region {number} is {mask.shape[-1]} x {mask.shape[-2]} px and was "
                f"resized to the picture's {width} x {height} px"
            )
        cells = cells_of(
            canvas.fit_cover(cells_of(mask, height, width)),
            canvas.model.height // LATENT_CELL, canvas.model.width // LATENT_CELL,
        )  # fmt: skip
        text = encoder.encode(sentences_for(request.instruction, count, number))
        device = text.text.device
        found.append(Region(text.text, text.mask, text.pooled, cells.to(device)))
    if found:
        owner = owners(torch.stack([region.mask for region in found], 1), patch)
        if not bool((owner == REST).any()):
            notes.append("the regions cover the whole picture, so the instruction has no effect")
    return AskedRegions(tuple(found), apart, tuple(notes))


def sentences_for(instruction: str | Sequence[str], count: int, number: int) -> list[str]:
    """A region's sentence for each of count pictures. Raises CanvasError for another number."""
    given = [instruction] if isinstance(instruction, str) else list(instruction)
    if len(given) not in (1, count):
        raise CanvasError(
            f"region {number} has {len(given)} instructions for {count} pictures; give one, or one "
            "for each"
        )
    return given * count if len(given) == 1 else given
