"""Which object colours of the demo world a picture shows, and which ones a text names."""

from __future__ import annotations

import torch
from torch import Tensor

from ..world.scenes import COLOUR_NAMES, PAINTS

PATCH_PX = 12  # pixels at 128 x 128 whose 3 x 3 neighbours all have a colour: an object, not noise


def nearest_paint(colour: Tensor) -> int:
    """Index of the object colour of which (3,) is a shade."""
    paints = torch.tensor(PAINTS)
    paints = paints / paints.norm(dim=1, keepdim=True)  # shading changes only a colour's length
    return int((paints @ (colour / colour.norm().clamp(min=1e-6))).argmax())


def shows_colour(picture: Tensor, name: str) -> Tensor:
    """Pixels (H, W) of a picture (3, H, W) that look painted in an object colour."""
    paint = picture.new_tensor(PAINTS[COLOUR_NAMES.index(name)])[:, None, None]
    spread = picture.amax(0) - picture.amin(0)
    if name == "white":  # walls are greyish too, but darker, and pale floors are not quite grey
        return (picture.amin(0) > 0.72) & (spread < 0.045)
    alike = torch.nn.functional.cosine_similarity(picture, paint, dim=0) > 0.97
    return alike & (spread > 0.25)


def named_colours(text: str) -> list[str]:
    """Object colours that a description names, each once."""
    words = text.replace(",", " ").replace(".", " ").split()
    return [name for name in COLOUR_NAMES if name in words]


def has_patch(where: Tensor) -> bool:
    """Whether pixels (H, W) bool contain a patch as large as the smallest named object's."""
    whole = torch.nn.functional.avg_pool2d(where.float()[None], 3, 1)[0] > 0.99
    return float(whole.sum()) >= PATCH_PX * min(where.shape) ** 2 / 128**2
