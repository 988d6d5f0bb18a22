"""Regions in a CONDITIONING, and how they reach the network: sentences for parts of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import comfy.conds
import comfy.utils
import torch
from torch import Tensor

from ...pixwizard_core.conditioning import Region
from ...pixwizard_core.regions import cells_of

REGIONS = "pixwizard_regions"  # keys of a CONDITIONING that our Region node fills
REGIONS_APART = "pixwizard_regions_apart"


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A sentence of a CONDITIONING and its place. text, attention_mask, pooled: as the host encodes
    them, one sentence for all pictures. mask: (B, H, W) in 0..1, of any size."""

    text: Tensor
    attention_mask: Tensor | None
    pooled: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class HostRegions:
    """The regions of one branch. apart: whether they do not look at each other."""

    found: tuple[Region, ...]
    apart: bool

    def to(self, latents: Tensor, fit: Callable[[Tensor], Tensor]) -> tuple[Region, ...]:
        """Regions as the network takes them, in the type of the latents. fit: makes (B, 1, h, w)
        whole patches, as it does the latents."""
        return tuple(
            Region(
                region.text.to(latents), region.text_mask.bool(), region.pooled.to(latents),
                fit(region.mask[:, None])[:, 0],
            )
            for region in self.found
        )  # fmt: skip


class RegionsCond(comfy.conds.CONDConstant):
    """Regions of a branch. A branch with regions has a forward pass of its own."""

    def process_cond(self, batch_size, area=None, **kwargs):
        """For this many pictures; within an area of the picture, without regions that lie
        outside."""
        regions = [_repeated(region, batch_size, area) for region in self.cond.found]
        inside = tuple(region for region in regions if area is None or bool(region.mask.any()))
        return self._copy_with(replace(self.cond, found=inside))

    def can_concat(self, other) -> bool:
        return self is other


def _repeated(region: Region, count: int, area) -> Region:
    mask = region.mask
    if area is not None:
        sides = len(area) // 2
        for side in range(sides):
            mask = mask.narrow(side + 1, area[side + sides], area[side])
    values = (region.text, region.text_mask, region.pooled, mask)
    return Region(*(comfy.utils.repeat_to_batch_size(value, count) for value in values))


def regions_cond(
    kwargs: dict, noise: Tensor, text_of: Callable[[dict], tuple[Tensor, Tensor, Tensor]]
) -> dict[str, RegionsCond]:
    """The cond of a branch's regions by its name; empty for a branch without any, which so shares
    forward passes as before. text_of: checks text features and gives them with mask and pooled
    text."""
    marked, device = kwargs.get(REGIONS), kwargs["device"]
    if not marked:
        return {}
    found: list[Region] = []
    for one in marked:
        text, mask, pooled = text_of({
            "cross_attn": one.text, "attention_mask": one.attention_mask,
            "pooled_output": one.pooled,
        })  # fmt: skip
        cells = cells_of(one.mask, *noise.shape[-2:])
        found.append(Region(*(value.to(device) for value in (text, mask, pooled, cells))))
    return {"regions": RegionsCond(HostRegions(tuple(found), kwargs.get(REGIONS_APART, True)))}


def same_regions(one: tuple[Region, ...], other: tuple[Region, ...]) -> bool:
    """Whether regions hold the same values."""
    return len(one) == len(other) and all(
        same_tensors(a, b, Region.__slots__) for a, b in zip(one, other, strict=True)
    )


def same_tensors(one: object, other: object, names: Iterable[str]) -> bool:
    """Whether the tensors of these names in two objects are of one kind and hold the same values.
    Values are compared last, since on a GPU this waits for it."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    if any(a.shape != b.shape or a.device != b.device or a.dtype != b.dtype for a, b in pairs):
        return False
    return all(torch.equal(a, b) for a, b in pairs)
