"""An example's pictures on the model's canvas: one size for input, target and mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...canvas import Size, centres_for, choose, plan
from ...errors import CanvasError
from ...files.picture_files import picture_size, read_picture
from .examples import Example, Picture

CELL = 8  # px of a latent's cell


def bucket(width: int, height: int, centres: Sequence[int]) -> Size:
    """The size to train a target of this size at, in px: the bucket of the closest proportions at
    the centre of the nearest area."""
    chosen = centres_for(None, centres)
    return Size(*choose(width, height, chosen)[:2])


def fitted_picture(picture: Picture, size: Size, fit: str) -> Tensor:
    """A picture (1, 3, H, W) in 0..1 of this size. Raises CanvasError for one that cannot be
    read."""
    image = read_picture(picture.read(), picture.name)
    return plan(image.shape[-1], image.shape[-2], fit=fit, model=size).fit_image(image)


def blank(size: Size) -> Tensor:
    """The black picture that stands for a missing input."""
    return torch.zeros(1, 3, size.height, size.width, dtype=torch.float32, device="cpu")


def loss_weights(example: Example, size: Size, fit: str, outside: float) -> Tensor | None:
    """Weights (1, 1, h, w) of the loss in the latent's cells: 1 where the example's mask is white,
    outside where it is black, 0 in the margins of fit "pad"; None where all count the same.

    Raises CanvasError for a mask of other proportions than the target, and where nothing counts.
    """
    if example.mask is None and fit != "pad":
        return None
    broad, tall = picture_size(example.target.name, example.target.read())
    canvas = plan(broad, tall, fit=fit, model=size)
    if example.mask is None:
        mask = torch.ones(1, tall, broad, dtype=torch.float32, device="cpu")
    else:
        mask = read_picture(example.mask.read(), example.mask.name).mean(1)
        if mask.shape[-2:] != (tall, broad):
            _same_proportions(mask, (broad, tall), example)
            mask = F.interpolate(mask[:, None], (tall, broad), mode="area")[:, 0]
        mask = outside + (1 - outside) * mask
    cells = F.avg_pool2d(canvas.fit_mask(mask)[:, None], CELL)
    if float(cells.max()) <= 0:
        raise CanvasError(f"{example.where}: no pixel of the mask is white, so nothing counts")
    return cells


def _same_proportions(mask: Tensor, target: tuple[int, int], example: Example) -> None:
    (high, wide), (broad, tall) = mask.shape[-2:], target
    if abs(wide * tall / (high * broad) - 1) > 0.05:
        raise CanvasError(
            f"{example.where}: the mask is {wide} x {high} px and the target {broad} x {tall} px; "
            "they must have the same proportions"
        )
