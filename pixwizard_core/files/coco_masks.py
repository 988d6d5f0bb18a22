"""Masks from COCO's outlines: polygons and run lengths, plain or packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import PixWizardError
from ..torch_types import from_numpy


def coco_mask(shapes: Sequence[Any], height: int, width: int) -> Tensor:
    """(height, width) bool of all shapes together, each an annotation's "segmentation"; an empty
    mask for none. Raises PixWizardError without pycocotools."""
    mask = torch.zeros(height, width, dtype=torch.bool, device="cpu")
    coding = _pycocotools()
    for shape in shapes:
        if isinstance(shape, list):
            coded = coding.merge(coding.frPyObjects(shape, height, width)) if shape else None
        elif isinstance(shape["counts"], list):
            coded = coding.frPyObjects(shape, height, width)
        else:
            coded = shape
        if coded is not None:
            mask |= from_numpy(coding.decode(coded)).bool()
    return mask


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise PixWizardError(
            "the masks of COCO annotations need pycocotools: pip install pycocotools"
        ) from None
    return mask
