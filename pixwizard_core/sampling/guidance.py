"""Two-scale guidance: which branches a step needs, and how their velocities combine.

e = e_none + w_image (e_image - e_none) + w_text (e_full - e_image). Source: paper C.3 eq. 8.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GUIDED_CHANNELS = 3  # of 4: the reference guides these and takes the last from the full branch


class Branches(NamedTuple):
    """A value for each guidance branch: instruction and image, image only, neither."""

    full: float
    image_only: float
    none: float


def weights(w_text: float, w_image: float) -> Branches:
    """Factor of each branch's velocity in the guided velocity; they sum to 1."""
    return Branches(w_text, w_image - w_text, 1.0 - w_image)


def needed_branches(w_text: float, w_image: float, all_channels: bool = False) -> tuple[str, ...]:
    """Names of the branches that do not cancel, in the order full, image_only, none.

    The full branch is needed whenever not all channels are guided, even at w_text = 0.
    """
    factors = weights(w_text, w_image)
    return tuple(
        name
        for name, factor in zip(Branches._fields, factors, strict=True)
        if factor != 0 or (name == "full" and not all_channels)
    )


def combine(
    velocities: dict[str, Tensor], w_text: float, w_image: float, all_channels: bool = False
) -> Tensor:
    """Guided velocity (B, C, h, w) from the velocities of needed_branches, keyed by name."""
    factors = weights(w_text, w_image)._asdict()
    guided: Tensor | None = None
    for name, velocity in velocities.items():
        if factors[name] == 0:
            continue
        term = velocity if factors[name] == 1 else velocity * factors[name]
        guided = term if guided is None else guided + term
    if guided is None:
        raise ValueError(f"no branch of {list(velocities)} has a weight")
    if all_channels or len(velocities) == 1:
        return guided
    return torch.cat(
        [guided[..., :GUIDED_CHANNELS, :, :], velocities["full"][..., GUIDED_CHANNELS:, :, :]],
        dim=-3,
    )
