"""Pictures whose every bit matters: only the order of axes changes, never a value."""

from __future__ import annotations

from torch import Tensor

from ..pixwizard_core.errors import CanvasError


def to_channels_first(image: Tensor) -> Tensor:
    """Host IMAGE (B, H, W, C), or (H, W, C), of any channel count -> (B, C, H, W), the same
    values."""
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4:
        raise CanvasError(
            f"an image must be (batch, height, width, channels). Got: {tuple(image.shape)}"
        )
    return image.movedim(-1, 1)


def to_channels_last(image: Tensor) -> Tensor:
    """(B, C, H, W) -> host IMAGE on the CPU, neither clamped nor cast."""
    return image.movedim(1, -1).cpu().contiguous()


def to_values(maps: Tensor) -> Tensor:
    """Numbers of any range (B, H, W) -> host IMAGE with three equal channels, not clamped."""
    return to_channels_last(maps[:, None].expand(-1, 3, -1, -1).float())
