"""Conditions of the transformer: text, image tokens, and the image latent, for a batch of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

LATENT_CELL = 8  # px per cell of a latent
Latents = Tensor | list[Tensor]


@dataclass(frozen=True, slots=True)
class Region:
    """The sentence of a part of the picture, for B rows.

    text, text_mask, pooled: as in Condition. mask: (B, h, w) in 0..1, how much of each cell of the
    image latent belongs to the region.
    """

    text: Tensor
    text_mask: Tensor
    pooled: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Condition:
    """Conditions of B rows.

    text: (B, T, cap_feat_dim), right-padded; text_mask: (B, T) bool, True = use, at least one per
    row. pooled: (B, cap_clip_feat_dim). image_tokens: (B, N, image_feat_dim), zeros in rows without
    an image. has_image: (B,) bool. image_latent: (B, C, h, w) in model space, or a list of
    (C, h, w) of different sizes; for rows without an image it is the initial noise of the run.
    regions: parts of the picture with sentences of their own, later ones on top of earlier ones;
    the text above is for the rest. regions_apart: whether regions do not look at each other.
    """

    text: Tensor
    text_mask: Tensor
    pooled: Tensor
    image_tokens: Tensor
    has_image: Tensor
    image_latent: Latents
    regions: tuple[Region, ...] = ()
    regions_apart: bool = True

    def __len__(self) -> int:
        return len(self.pooled)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Condition:
        """The same condition on another device; dtype changes only the float tensors."""

        def move(value: Tensor) -> Tensor:
            return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

        latent = self.image_latent
        return Condition(
            text=move(self.text),
            text_mask=move(self.text_mask),
            pooled=move(self.pooled),
            image_tokens=move(self.image_tokens),
            has_image=move(self.has_image),
            image_latent=move(latent)
            if isinstance(latent, Tensor)
            else [move(row) for row in latent],
            regions=tuple(
                Region(*(move(getattr(region, name)) for name in Region.__slots__))
                for region in self.regions
            ),
            regions_apart=self.regions_apart,
        )

    def rows(self, index: slice) -> Condition:
        """The condition of some of the rows."""
        regions = tuple(
            Region(*(getattr(region, name)[index] for name in Region.__slots__))
            for region in self.regions
        )
        return Condition(
            self.text[index], self.text_mask[index], self.pooled[index], self.image_tokens[index],
            self.has_image[index], self.image_latent[index], regions, self.regions_apart,
        )  # fmt: skip

    def not_finite(self) -> str | None:
        """Name of the first part that holds infinity or NaN, None when there is none."""
        for name in ("text", "pooled", "image_tokens", "image_latent"):
            value = getattr(self, name)
            if not all(bool(row.isfinite().all()) for row in value):
                return name
        return None

    def without_text(self, empty: Condition) -> Condition:
        """The image-only branch: this image with the text of empty (the encoded empty caption), and
        without regions."""
        return replace(
            self, text=empty.text, text_mask=empty.text_mask, pooled=empty.pooled, regions=()
        )

    def without_part(self, part: str, noise: Latents) -> Condition:
        """Switch off one of the two inputs of a picture: its image_tokens, or its image_latent,
        which noise replaces."""
        return replace(self.without_image(noise), **{
            name: getattr(self, name)
            for name in (("image_latent",) if part == "image_tokens"
                         else ("image_tokens", "has_image"))
        })  # fmt: skip

    def without_image(self, noise: Latents) -> Condition:
        """Drop the image tokens and use the run's initial noise instead of the image latent."""
        return replace(
            self,
            image_tokens=torch.zeros_like(self.image_tokens),
            has_image=torch.zeros_like(self.has_image),
            image_latent=noise,
        )


def pad_text(text: Tensor, length: int) -> Tensor:
    """Right-pad (B, T, ...) with zeros (False for a mask) to length on dim 1."""
    missing = length - text.shape[1]
    return F.pad(text, (0, 0) * (text.dim() - 2) + (0, missing)) if missing else text


def concatenate(conditions: Sequence[Condition]) -> Condition:
    """Rows of several conditions as one batch; texts are padded to the longest. Raises ValueError
    for conditions with regions."""
    if any(condition.regions for condition in conditions):
        raise ValueError("conditions with regions cannot share a batch")
    longest = max(condition.text.shape[1] for condition in conditions)
    latents = [condition.image_latent for condition in conditions]
    tensors = [latent for latent in latents if isinstance(latent, Tensor)]
    return Condition(
        text=torch.cat([pad_text(c.text, longest) for c in conditions]),
        text_mask=torch.cat([pad_text(c.text_mask, longest) for c in conditions]),
        pooled=torch.cat([c.pooled for c in conditions]),
        image_tokens=torch.cat([c.image_tokens for c in conditions]),
        has_image=torch.cat([c.has_image for c in conditions]),
        image_latent=torch.cat(tensors)
        if len(tensors) == len(latents)
        else [row for latent in latents for row in latent],
    )


def trim_text(text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
    """Cut padding that no row uses; the mask becomes None when no padding is left.

    Raises ValueError when a row has no token at all (softmax over nothing is undefined).
    """
    counts = mask.sum(1)
    if not bool((counts > 0).all()):
        raise ValueError("text_mask has a row without any token; encode an empty caption instead")
    used = int(mask.any(0).nonzero().max()) + 1
    text, mask = text[:, :used], mask[:, :used]
    return text, None if bool(mask.all()) else mask
