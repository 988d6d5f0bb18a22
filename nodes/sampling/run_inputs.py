"""Check the inputs of a sampling run before it begins. Otherwise the host would fail halfway with
an unhelpful error."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from ...pixwizard_core.errors import SamplingError
from ...pixwizard_core.pipeline import LATENT_CELL

MOST = 4096  # batch number; the host draws noise for all pictures before it
PERCENTAGE = "percentage"  # how the host marks an area in fractions of the picture


def require_companions(latent: dict) -> None:
    """Raise SamplingError unless the noise mask and batch numbers of a LATENT, if any, can be
    used."""
    mask, batch = latent.get("noise_mask"), latent.get("batch_index")
    if mask is not None and (not isinstance(mask, Tensor) or mask.ndim < 2 or 0 in mask.shape):
        raise SamplingError(
            "the latent's noise mask must be (batch, height, width). Got: "
            f"{tuple(getattr(mask, 'shape', ()))}; set it again"
        )
    count = len(latent["samples"])
    if batch is not None and (len(batch) != count or not all(0 <= n <= MOST for n in batch)):
        raise SamplingError(
            f"the latent has {count} pictures and the batch numbers {batch!r:.60}; each picture "
            f"needs one of 0 to {MOST}"
        )


def require_areas(conditions: Iterable[dict], height: int, width: int) -> None:
    """Raise SamplingError for a condition whose area begins outside height x width latent cells."""
    for condition in conditions:
        area = condition.get("area")
        if area is None:
            continue
        if area[0] == PERCENTAGE:
            top, left = round(area[-2] * height), round(area[-1] * width)
        else:
            top, left = area[-2:]  # after the extents
        if top >= height or left >= width:
            left, top, width, height = (n * LATENT_CELL for n in (left, top, width, height))
            raise SamplingError(
                f"a conditioning's area begins at {left}, {top} px, outside the picture of "
                f"{width} x {height} px; move it inside"
            )
