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
from .errors import CanvasError, InstructionError
from .model.regions import LEAST_COVER, REST, owners

MOST = 16  # regions of one picture
SHAPES_ALIKE = 1.1  # aspect ratios that differ by no more than this factor are the same shape


@dataclass(frozen=True)
class RegionRequest:
    """What to do with a part of the pictures.

    mask: (H, W) or (B, H, W), bool or 0..1, 1 = in the region; of the source's size, or resized to
    it. instruction: one sentence, or one for each picture. notes: full sentences on how the mask
    was read.
    """

    mask: Tensor
    instruction: str | Sequence[str]
    notes: tuple[str, ...] = ()


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


def faint(mask: Tensor) -> float | None:
    """The brightest value of a mask (B, H, W) that selects something in a picture, but is too dim
    there for a token of its own; None for any other."""
    brightest = mask.float().flatten(1).amax(1)
    dim = brightest[(brightest > 0) & (brightest < LEAST_COVER)]
    return float(dim[0]) if len(dim) else None


def faint_note(brightest: float, number: int) -> str:
    """What to say of faint()."""
    return (
        f"the mask of region {number} marks almost nothing: its brightest value is "
        f"{brightest:.3g} of 1; write white as 255 in files and 8-bit arrays, as 1.0 in floats"
    )


def require_mask(mask: Tensor, number: int) -> None:
    """Raise CanvasError for the mask (B, H, W) of a region that selects nothing or almost
    nothing."""
    require_selection(mask, number)
    if (brightest := faint(mask)) is not None:
        raise CanvasError(faint_note(brightest, number))


def require_seen(fitted: Tensor, number: int) -> None:
    """Raise CanvasError if nothing is left of a region's mask (B, H, W) on the canvas."""
    if not bool((fitted > 0).any()):
        raise CanvasError(
            f"the mask of region {number} lies in the margins that fit = crop cuts off; move it, "
            "or fit the picture in another way"
        )


def empty_pictures(mask: Tensor) -> list[int]:
    """Numbers, from 1 on, of the pictures for which a mask (B, H, W) selects nothing."""
    return ((~(mask > 0).flatten(1).any(1)).nonzero()[:, 0] + 1).tolist()


def empty_rows(mask: Tensor, fitted: Tensor, number: int) -> list[str]:
    """Sentences on the pictures for which a region's mask (B, H, W) selects nothing, or nothing
    that is left when it is fitted to the canvas."""
    empty = empty_pictures(mask)
    cut = [picture for picture in empty_pictures(fitted) if picture not in empty]
    reasons = ((empty, "is empty"), (cut, "lies in the margins that fit = crop cuts off"))
    return [
        f"the mask of region {number} {reason} for picture {', '.join(map(str, pictures))}: its "
        "sentence does nothing there"
        for pictures, reason in reasons
        if pictures
    ]


def lost_pictures(owner: Tensor, mask: Tensor, number: int) -> list[int]:
    """Numbers, from 1 on, of the pictures in which a region has a mask (B, h, w) and yet no token,
    because other regions have them. owner: (B, L), from owners()."""
    lost = ~(owner == number).any(1) & (mask > 0).flatten(1).any(1)
    return (lost.nonzero()[:, 0] + 1).tolist()


def lost_note(pictures: Sequence[int], number: int) -> str:
    """What to say of lost_pictures()."""
    return (
        f"other regions have all that region {number} touches in picture "
        f"{', '.join(map(str, pictures))}: its sentence does nothing there"
    )


def other_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (width, height) are of different shapes."""
    sides = size[0] * other[1], size[1] * other[0]
    return max(sides) > SHAPES_ALIKE * min(sides)


def size_note(mask: tuple[int, int], picture: tuple[int, int], number: int) -> str:
    """What to say of a region's mask of another size (width, height) in px than the picture."""
    met, wanted = (f"{width} x {height} px" for width, height in (mask, picture))
    if other_shape(mask, picture):
        return (
            f"the mask of region {number} is {met}, of another shape than the picture, and was "
            f"stretched to the picture's {wanted}"
        )
    return f"the mask of region {number} is {met} and was resized to the picture's {wanted}"


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
    CanvasError for too many regions, a mask that is empty, faint or cut off, or masks or sentences
    of another number; InstructionError for an empty sentence; SamplingError for a region that is
    left without a place.
    """
    require_few(len(requests))
    width, height = canvas.source
    notes: list[str] = []
    found: list[Region] = []
    for number, request in enumerate(requests, 1):
        mask = as_mask(request.mask, batch=count)
        require_mask(mask, number)
        notes += request.notes
        fitted = canvas.fit_cover(cells_of(mask, height, width))
        require_seen(fitted, number)
        notes += empty_rows(mask, fitted, number)
        if mask.shape[-2:] != (height, width):
            met = mask.shape[-1], mask.shape[-2]
            notes.append(size_note(met, canvas.source, number))
        cells = cells_of(
            fitted, canvas.model.height // LATENT_CELL, canvas.model.width // LATENT_CELL
        )
        text = encoder.encode(sentences_for(request.instruction, count, number))
        device = text.text.device
        found.append(Region(text.text, text.mask, text.pooled, cells.to(device)))
    if found:
        owner = owners(torch.stack([region.mask for region in found], 1), patch)
        for number, region in enumerate(found, 1):
            if lost := lost_pictures(owner, region.mask, number):
                notes.append(lost_note(lost, number))
        if not bool((owner == REST).any()):
            notes.append("the regions cover the whole picture, so the instruction has no effect")
    return AskedRegions(tuple(found), apart, tuple(notes))


def sentences_for(instruction: str | Sequence[str], count: int, number: int) -> list[str]:
    """A region's sentence for each of count pictures. Raises CanvasError for another number,
    InstructionError for an empty one."""
    given = [instruction] if isinstance(instruction, str) else list(instruction)
    if len(given) not in (1, count):
        raise CanvasError(
            f"region {number} has {len(given)} instructions for {count} pictures; give one, or one "
            "for each"
        )
    if not all(sentence.strip() for sentence in given):
        raise InstructionError(
            f"region {number} has an empty instruction; say what to do there, or leave it out"
        )
    return given * count if len(given) == 1 else given
