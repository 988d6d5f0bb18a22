"""Any size of picture → a size that suits the model → back, in whole pixels.

`fitting` plans how a picture lies on the canvas, `batch` holds one canvas for each picture,
`buckets` chooses the model size, `images` and `resample` do the arithmetic of pixels.
"""

from __future__ import annotations

from .batch import CanvasBatch
from .buckets import (
    CENTRES,
    ByArea,
    Size,
    auto_centre,
    blank_centre,
    blank_size,
    bucket_table,
    centres_for,
    choose,
    whole_cells,
)
from .fitting import FITS, Canvas, Rect, plan

__all__ = [
    "CENTRES",
    "FITS",
    "ByArea",
    "Canvas",
    "CanvasBatch",
    "Rect",
    "Size",
    "auto_centre",
    "blank_centre",
    "blank_size",
    "bucket_table",
    "centres_for",
    "choose",
    "plan",
    "whole_cells",
]
