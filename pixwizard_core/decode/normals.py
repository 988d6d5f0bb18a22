"""Surface normals from colours: red, green, blue hold x, y, z as (n + 1) / 2.

x points right, y up, z towards the viewer; a wall seen head-on is (0.5, 0.5, 1). Tools that point y
down read the picture with flip_y.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..torch_types import norm
from .common import picture

TOO_SHORT = 1e-3  # a vector this short has no direction; mid-grey decodes to one


def decode_normals(
    image_01: Tensor, *, flip_x: bool = False, flip_y: bool = False, flip_z: bool = False
) -> Tensor:
    """(B, C, H, W) in 0..1 to unit normals (B, 3, H, W). Mid-grey, which has no direction, faces
    the viewer."""
    normals = picture(image_01) * 2 - 1
    normals = normals * _signs(normals, flip_x, flip_y, flip_z)
    length = norm(normals, dim=1, keepdim=True)
    viewer = normals.new_tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
    return torch.where(length > TOO_SHORT, normals / length.clamp(min=TOO_SHORT), viewer)


def paint_normals(
    normals: Tensor, *, flip_x: bool = False, flip_y: bool = False, flip_z: bool = False
) -> Tensor:
    """Unit normals (B, 3, H, W) to a picture in 0..1."""
    return ((normals * _signs(normals, flip_x, flip_y, flip_z) + 1) / 2).clamp(0, 1)


def _signs(like: Tensor, *flips: bool) -> Tensor:
    return like.new_tensor([-1.0 if flip else 1.0 for flip in flips]).view(3, 1, 1)
