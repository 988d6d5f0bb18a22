"""The pictures that the autoencoder trains on and is scored with: the demo world's, photographs, or
both."""

from __future__ import annotations

import torch
from torch import Tensor

from .vae_pictures import Pictures


def world_pictures() -> Pictures:
    """The demo world's mix of all input and target pictures."""
    from ..world.mixture import picture_mix

    return picture_mix


def with_photographs(share: float) -> Pictures:
    """The demo world's mix, with a share (0..1) of the pictures taken from photographs."""
    from ..world.mixture import picture_mix
    from ..world.photograph_tasks import photograph_mix

    def pictures(
        count: int, height: int, width: int, generator: torch.Generator, device: torch.device
    ) -> Tensor:
        photos, parts = round(count * share), []
        if photos < count:
            parts.append(picture_mix(count - photos, height, width, generator, device))
        if photos:
            parts.append(photograph_mix(photos, height, width, generator, device))
        return torch.cat(parts)

    return pictures


def photograph_kinds(
    count: int, height: int, width: int, generator: torch.Generator, device: torch.device
) -> dict[str, Tensor]:
    """`count` pieces of each photograph held out from training, by its name."""
    from ..world.photographs import HOLD_OUT, photographs, pieces

    names = [photograph.name for photograph in photographs(HOLD_OUT)]
    drawn = pieces(count * len(names), height, width, generator, use=HOLD_OUT).to(device)
    return {f"photograph {name}": drawn[i :: len(names)] for i, name in enumerate(names)}


def world_and_photographs(
    count: int, height: int, width: int, generator: torch.Generator, device: torch.device
) -> dict[str, Tensor]:
    """world_kinds and photograph_kinds together."""
    size = (count, height, width)
    return {
        **world_kinds(*size, generator, device),
        **photograph_kinds(*size, generator, device),
    }


def world_kinds(
    count: int, height: int, width: int, generator: torch.Generator, device: torch.device
) -> dict[str, Tensor]:
    """`count` scenes of the demo world as pictures of every kind, name → (count,3,H,W) in 0..1."""
    from ..world.mixture import PICTURE_KINDS, picture_mix
    from ..world.scenes import sample_scenes

    scenes = sample_scenes(count, generator)
    return {
        kind: picture_mix(
            count, height, width, generator, device, kinds=[kind] * count, scenes=scenes
        )
        for kind in PICTURE_KINDS
    }
