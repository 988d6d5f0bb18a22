"""Read truth files of datasets as tensors. Each item states the meaning of its file beside the
path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CanvasError
from ..files.coco_masks import coco_mask
from ..files.picture_files import open_picture, open_raw


def read_truth(truth: dict[str, Any]) -> Tensor:
    """The truth of one picture, without batch axis; see READERS for the result of each kind.

    Raises CanvasError for a file that is missing or damaged.
    """
    if "file" in truth and not Path(truth["file"]).is_file():
        raise CanvasError(f"the truth {truth['file']} is missing")
    return READERS[truth["kind"]](truth)


def _metres(truth: dict[str, Any]) -> Tensor:
    return open_raw(truth["file"]).double() / truth["per_metre"]


def _rotated_metres(truth: dict[str, Any]) -> Tensor:
    """Depth of SUN RGB-D, which rotates each 16-bit millimetre value by three bits."""
    values = open_raw(truth["file"])
    return ((values >> 3) | ((values << 13) & 0xFFFF)).double() / truth["per_metre"]


def _normals(truth: dict[str, Any]) -> Tensor:
    """RGB for x, y, z from -1 to 1; black, or grey in all channels, is unknown. flip: axes whose
    sign differs from ours (x right, y up, z towards the viewer)."""
    values = open_raw(truth["file"])[..., :3].movedim(-1, 0)
    normals = values.double() / 255 * 2 - 1
    unknown = (values == 0).all(0) | ((values - 128).abs() <= 1).all(0)
    normals = normals * normals.new_tensor(truth["sign"])[:, None, None]
    normals = normals / normals.norm(dim=0, keepdim=True).clamp(min=1e-6)
    return torch.where(unknown, 0.0, normals).float()


def _array(truth: dict[str, Any]) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.load(truth["file"], allow_pickle=False))


def _coco_mask(truth: dict[str, Any]) -> Tensor:
    return coco_mask(truth["shapes"], *truth["size"])


def _picture(truth: dict[str, Any]) -> Tensor:
    return open_picture(truth["file"])[0]


READERS: dict[str, Callable[[dict[str, Any]], Tensor]] = {
    "metres": _metres,  # (H, W) float64, 0 unknown
    "rotated_metres": _rotated_metres,  # the same
    "normals": _normals,  # (3, H, W) unit vectors, 0 unknown
    "labels": lambda truth: open_raw(truth["file"]),  # (H, W) class indices, 0 unknown
    "mask": lambda truth: open_picture(truth["file"])[0].mean(0) > 0.5,  # (H, W) bool
    "coco": _coco_mask,  # (H, W) bool
    "picture": _picture,  # (3, H, W) in 0..1
    "array": _array,  # what it holds
}
