"""Latents to sample, and the picture's latent in a condition: their sizes must agree."""

from __future__ import annotations

import comfy.utils
from torch import Tensor

from ...pixwizard_core.errors import SamplingError
from ...pixwizard_core.pipeline import LATENT_CELL
from .patches import RunLog

LATENT_CHANNELS = 4
# How far a side may be off the picture's aspect ratio, because nodes round: in cells, and as a
# fraction.
CELLS_OFF, SHARE_OFF = 1, 0.25


def require_latent(samples: Tensor | None) -> None:
    """Raise SamplingError unless these are latents (B, channels, h, w) of a size to sample at."""
    shape = None if samples is None else tuple(samples.shape)
    if shape is None or len(shape) != 4 or 0 in shape:
        raise SamplingError(
            f"the latent must be (batch, {LATENT_CHANNELS}, height / 8, width / 8) of at least one "
            f"cell. Got: {shape}; connect the latent of Encode"
        )


def require_channels(samples: Tensor) -> None:
    """Raise SamplingError unless the latents have PixWizard's channels."""
    if samples.shape[1] != LATENT_CHANNELS:
        raise SamplingError(
            f"PixWizard samples latents of {LATENT_CHANNELS} channels. Got: {samples.shape[1]}; "
            "encode with the SDXL VAE, or the bundled one for PixWizard Tiny"
        )


def of_size(noise: Tensor, own: Tensor | None, stock: Tensor | None, log: RunLog) -> Tensor | None:
    """The picture's latent (B, 4, h, w) at the size of the noise; None without one.

    stock: what inpainting and detailer nodes attach for the part they sample; it takes precedence
    if it fits the noise. own: Encode's. One of another size and the same aspect ratio is resampled,
    with a warning. Raises SamplingError for any other size.
    """
    offered = [latent for latent in (stock, own) if latent is not None]
    if not offered:
        return None
    for latent in offered:
        if latent.shape[1:] == noise.shape[1:]:
            return in_batch(latent, noise, log)
    latent = offered[-1]
    met, wanted = in_pixels(latent), in_pixels(noise)
    if latent.ndim != 4 or latent.shape[1] != noise.shape[1] or not same_aspect(latent, noise):
        raise SamplingError(
            f"the conditioning holds a picture of {met}, but {wanted} are being sampled, which is "
            "not an enlargement of it; use the latent and the conditionings of one Encode. A "
            "detailer's crop must go through Encode itself"
        )
    log.warn(
        "resampled",
        f"the conditioning's picture of {met} is resampled to the {wanted} being sampled; encode "
        "the picture at that size for a sharper result",
    )
    latent = comfy.utils.common_upscale(
        latent, noise.shape[-1], noise.shape[-2], "bilinear", "center"
    )
    return in_batch(latent, noise, log)


def in_batch(latent: Tensor, noise: Tensor, log: RunLog) -> Tensor:
    """Repeat the latents in turn until each picture of the noise has one, as the host does with
    image tokens."""
    count, wanted = len(latent), len(noise)
    if wanted % count:
        log.warn(
            "pictures",
            f"the conditioning holds {count} pictures and {wanted} are sampled; they are used in "
            "turn, starting with the first",
        )
    return comfy.utils.repeat_to_batch_size(latent, wanted)


def same_aspect(latent: Tensor, noise: Tensor) -> bool:
    """Whether one is an enlargement or reduction of the other; nodes round to whole cells."""
    (old_height, old_width), (height, width) = latent.shape[-2:], noise.shape[-2:]
    wanted = (old_height * width / old_width, height), (old_width * height / old_height, width)
    return any(abs(ideal - side) <= min(CELLS_OFF, SHARE_OFF * side) for ideal, side in wanted)


def in_pixels(latent: Tensor) -> str:
    height, width = latent.shape[-2:]
    return f"{width * LATENT_CELL} x {height * LATENT_CELL} px"
