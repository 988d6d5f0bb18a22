"""Paste a result onto its source so that pixels outside the mask keep every bit."""

from __future__ import annotations

import torch
from torch import Tensor

from ..canvas import images
from ..decode.components import distance_inside, label
from ..errors import CanvasError


def composite(source: Tensor, result: Tensor, mask: Tensor | None, feather: float = 0.0) -> Tensor:
    """The result where the mask selects, the source elsewhere: (B, C, H, W) like the source.

    source: (B, 1..4, H, W) float. result: the same size, any of these channel counts. mask: any
    mask, in 0..1; None selects nothing. feather: px inside the mask's edge over which the result
    fades in. Outside the mask, and where it is 0, the output has the source's bits; where it is 1
    beyond the feather, the result's. One picture or mask serves a batch. A transparent source gets
    the result's transparency, or becomes opaque where it was painted. Raises CanvasError.
    """
    images.check_image(source, "source")
    images.check_image(result, "result")
    size = (source.shape[-2], source.shape[-1])
    if result.shape[-2:] != size:
        raise CanvasError(
            f"the result is {result.shape[-1]} x {result.shape[-2]} px, the source "
            f"{size[1]} x {size[0]} px; connect the canvas that the result was painted on, or "
            "resize it first"
        )
    if mask is None:
        mask = torch.zeros(1, *size, dtype=torch.float32, device="cpu")
    mask = images.as_mask(mask, size=size).float().to(source.device)
    batch = _batch(source, result, mask)
    source = source.expand(batch, -1, -1, -1)
    painted = _with_channels(result.to(source), source.shape[1]).expand(batch, -1, -1, -1)
    weight = fade_in(mask, feather).to(source.dtype).expand(batch, -1, -1)[:, None]
    blended = torch.where(weight == 1, painted, torch.lerp(source, painted, weight))
    return torch.where(weight == 0, source, blended)


def fade_in(mask: Tensor, feather: float) -> Tensor:
    """Weights (B, H, W) in 0..1 that are 0 wherever the mask is, and rise inside it.

    feather: px from the mask's edge to full weight. An object too thin for that rises faster, so
    its middle is always full. The picture's border is no edge.
    """
    if feather < 0:
        raise CanvasError(f"the feather cannot be negative. Got: {feather}")
    if feather == 0:
        return mask
    return torch.stack([one * _ramp(one > 0, feather) for one in mask])


def _ramp(selected: Tensor, feather: float) -> Tensor:
    whole = selected.float()
    if not bool(selected.any()) or bool(selected.all()):
        return whole
    # The nearest unselected pixel lies within the selected rectangle or just around it.
    rows, columns = (selected.any(axis).nonzero()[:, 0] for axis in (1, 0))
    part = (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )
    whole[part] = _ramp_of(selected[part], feather)
    return whole


def _ramp_of(selected: Tensor, feather: float) -> Tensor:
    # Distances start at the edge between two pixels, half a pixel before the first centre.
    depth = (distance_inside(selected) - 0.5).clamp(min=0)
    labels, count = label(selected)
    deepest = depth.new_zeros(count + 1)
    deepest.scatter_reduce_(0, labels.flatten(), depth.flatten(), "amax")
    return (depth / deepest.clamp(min=0.5, max=feather)[labels]).clamp(0, 1) * selected


def _batch(*parts: Tensor) -> int:
    counts = [len(part) for part in parts]
    batch = max(counts)
    if any(count not in (1, batch) for count in counts):
        raise CanvasError(
            "{} sources, {} results and {} masks do not match; give one of each, or equal "
            "numbers".format(*counts)
        )
    return batch


def _with_channels(image: Tensor, channels: int) -> Tensor:
    colour, alpha = images.ensure_rgb(image, "result")
    if channels in (1, 2):
        colour = colour.mean(1, keepdim=True)
    if channels in (1, 3):
        return colour
    alpha = torch.ones_like(colour[:, 0]) if alpha is None else alpha
    return torch.cat([colour, alpha[:, None]], 1)
