"""Pictures whose every bit matters: only the order of axes changes, never a value."""

from __future__ import annotations

from torch import Tensor

from ...pixwizard_core.errors import CanvasError

CHANNELS = (1, 2, 3, 4)  # grey or RGB, each with transparency or without


def to_channels_first(image: Tensor) -> Tensor:
    """Host IMAGE (B, H, W, C), or (H, W, C), -> (B, C, H, W), the same values.

    Grey pictures without an axis of channels, (B, H, W) or (H, W), get one channel: with three axes
    the last one tells, since a colour picture has 1 to 4 channels there. Raises CanvasError that
    says what the axes are and how to mend it for every other shape.
    """
    if image.ndim == 2 or (image.ndim == 3 and image.shape[-1] not in CHANNELS):
        image = image[..., None]
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[-1] not in CHANNELS:
        raise CanvasError(
            "an image must be (batch, height, width, channels) with 1 to 4 channels. Got: "
            f"{tuple(image.shape)}; {_advice(image)}"
        )
    return image.movedim(-1, 1)


def _advice(image: Tensor) -> str:
    """What to do about a shape that is no picture."""
    if image.ndim == 4 and image.shape[1] in CHANNELS:
        return "its channels come second: move them to the end, as image.movedim(1, -1) does"
    if image.ndim == 5:
        return "it looks like a video: give its frames as the batch"
    return "connect the IMAGE output of a load or decode node"


def to_channels_last(image: Tensor) -> Tensor:
    """(B, C, H, W) -> host IMAGE on the CPU, neither clamped nor cast."""
    return image.movedim(1, -1).cpu().contiguous()


def to_values(maps: Tensor) -> Tensor:
    """Numbers of any range (B, H, W) -> host IMAGE with three equal channels, not clamped."""
    return to_channels_last(maps[:, None].expand(-1, 3, -1, -1).float())
