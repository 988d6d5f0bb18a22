"""Read photographs and maps in every form in which they are stored: see stored.py.

Distances are metres, 0 where unknown. Normals are unit vectors, 0 where unknown; x points right, y
up and z towards the camera. Classes are ADE20K's 150 by number, 0 is other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CanvasError
from ..files.hdf5_files import hdf5_array
from ..files.picture_files import open_picture, open_raw
from ..torch_types import from_numpy, norm
from .ade20k_names import class_numbers, read_names
from .stored import (
    HYPERSIM_NORMALS,
    HYPERSIM_RAYS,
    NYU_DEPTH,
    NYU_PICTURE,
    PICTURE,
    Stored,
)

USUAL_VIEW = 60.0  # degrees from left to right of Hypersim's cameras, but for a few scenes
ASSUMED_CAMERA = (
    f"a camera of {USUAL_VIEW:g} degrees was assumed to turn distances along rays into depth"
)
OTHER_OBJECTS = "objects that are none of ADE20K's 150 classes are black"
ARRAY = "dataset"  # the name of the one array in each of Hypersim's files


@dataclass(frozen=True, slots=True)
class ReadMap:
    """values: (1, C, H, W). note: what had to be assumed or left out, or ""."""

    values: Tensor
    note: str = ""


def read_picture(stored: Stored) -> Tensor:
    """Return a picture (1, 3, H, W) in 0..1. Raises CanvasError or PixWizardError when it cannot be
    read."""
    if stored.coding == PICTURE:
        return open_picture(stored.path)
    if stored.coding == NYU_PICTURE:  # (3, W, H) of bytes
        values = from_numpy(hdf5_array(stored.path, stored.array, stored.row))
        if values.ndim != 3 or len(values) != 3:
            raise _odd(stored, "3 x width x height", tuple(values.shape))
        return values.transpose(1, 2)[None].float() / 255
    raise ValueError(f"no picture is stored as {stored.coding}")


def read_metres(stored: Stored, per_metre: float) -> ReadMap:
    """Return distances (1, 1, H, W) in metres, 0 where unknown. per_metre: units per metre in a
    picture file. Raises CanvasError or PixWizardError when they cannot be read."""
    if stored.coding == NYU_DEPTH:  # (W, H) in metres
        values = from_numpy(hdf5_array(stored.path, stored.array, stored.row))
        if values.ndim != 2:
            raise _odd(stored, "width x height", tuple(values.shape))
        return ReadMap(_finite(values.float().T)[None, None])
    if stored.coding == HYPERSIM_RAYS:
        rays = _finite(_single(stored, 2).float())
        note = "" if stored.camera else ASSUMED_CAMERA
        return ReadMap((rays * _straightness(rays, stored.camera))[None, None], note)
    values = open_raw(stored.path)
    if values.ndim != 2:
        raise CanvasError(
            f"{stored.path.name} holds distances in grey. Got: {values.shape[2]} channels"
        )
    return ReadMap(values.float()[None, None] / per_metre)


def read_normals(stored: Stored) -> ReadMap:
    """Return normals (1, 3, H, W) of length 1, 0 where unknown. Raises PixWizardError when they
    cannot be read."""
    if stored.coding != HYPERSIM_NORMALS:
        raise ValueError(f"no normals are stored as {stored.coding}")
    values = _single(stored, 3).float()
    if values.shape[2] != 3:
        raise _odd(stored, "height x width x 3", tuple(values.shape))
    known = values.isfinite().all(2) & (values.abs().sum(2) > 0)
    values = torch.where(known[..., None], values, 0.0)
    values = values / norm(values, 2, True).clamp(min=1e-6)
    return ReadMap(values.movedim(2, 0)[None])


def read_classes(stored: Stored) -> ReadMap:
    """Return ADE20K's classes: their numbers (1, 1, H, W), or their colours (1, 3, H, W) in 0..1 of
    a picture in colour. Raises CanvasError or PixWizardError when they cannot be read."""
    values = open_raw(stored.path)
    if stored.beside is not None:  # ADE20K_PARTS
        if values.ndim != 3:
            raise CanvasError(f"{stored.path.name} holds parts of ADE20K in colour. Got: grey")
        numbers, others = class_numbers(values[..., :3], read_names(stored.beside))
        return ReadMap(numbers[None, None].float(), OTHER_OBJECTS if others else "")
    if values.ndim == 3:
        return ReadMap(open_picture(stored.path))
    return ReadMap(values.float()[None, None])


def _straightness(rays: Tensor, camera: tuple[float, ...]) -> Tensor:
    """Return depth straight ahead, per unit of distance along the ray of each pixel (H, W)."""
    height, width = rays.shape
    across = math.tan(math.radians(USUAL_VIEW) / 2)
    usual = (across, 0.0, 0.0, 0.0, across * height / width, 0.0, 0.0, 0.0, -1.0)
    matrix = torch.tensor(camera or usual, dtype=torch.float64).view(3, 3)
    u = (torch.arange(width, dtype=torch.float64) + 0.5) / width * 2 - 1
    v = 1 - (torch.arange(height, dtype=torch.float64) + 0.5) / height * 2
    places = torch.stack([u.expand(height, -1), v[:, None].expand(-1, width),
                          torch.ones(height, width, dtype=torch.float64)], -1)  # fmt: skip
    seen = places @ matrix.T
    return (seen[..., 2].abs() / norm(seen, 2)).float()


def _single(stored: Stored, axes: int) -> Tensor:
    """Return the one array of a file of Hypersim."""
    values = from_numpy(hdf5_array(stored.path, ARRAY))
    if values.ndim != axes:
        raise _odd(stored, "height x width" + " x 3" * (axes == 3), tuple(values.shape))
    return values


def _finite(values: Tensor) -> Tensor:
    """Distances with 0 where there is no number, or none above 0."""
    return torch.where(values.isfinite() & (values > 0), values, 0.0)


def _odd(stored: Stored, wanted: str, shape: tuple[int, ...]) -> CanvasError:
    name = stored.array or ARRAY
    return CanvasError(f"{stored.path.name}: {name} should be {wanted}. Got: {shape}")
