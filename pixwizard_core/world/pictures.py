"""Ground truth as pictures: the colours a model is taught to paint. All results are (n, 3, H, W) in
0..1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decode.palette import tiny_world
from ..decode.segments import paint
from .person import skeleton
from .render import FOCAL, Views
from .scenes import MAX_OBJECTS, PERSON, Scenes

LUMA = (0.299, 0.587, 0.114)
VISIBLE_PX = 60  # at 128 x 128; an object with fewer pixels in view is not spoken of
HIGHLIGHT_OPACITY = 0.5
BOX_LINE_PX = 3  # at 128 px; thinner lines do not survive the autoencoder


def unit(shape_or_picture: Tensor) -> float:
    """Pixels of this picture (..., H, W) per pixel of a 128 px one: line widths and blur radii are
    multiples of it.
    """
    return min(shape_or_picture.shape[-2:]) / 128


def grey(picture: Tensor) -> Tensor:
    """(n, H, W) luma of a picture (n, 3, H, W)."""
    return (picture * picture.new_tensor(LUMA)[:, None, None]).sum(1)


def as_rgb(single: Tensor) -> Tensor:
    """(n, H, W) bool or 0..1 -> (n, 3, H, W)."""
    return single.float()[:, None].expand(-1, 3, -1, -1)


def depth_picture(views: Views) -> Tensor:
    """Depth in grey, white = near: (n, 3, H, W) in 0..1."""
    return as_rgb(views.depth_01)


def normal_picture(views: Views) -> Tensor:
    """Normals as colours, (n + 1) / 2: (n, 3, H, W) in 0..1."""
    return (views.normals * 0.5 + 0.5).clamp(0, 1)


def segmentation_picture(views: Views) -> Tensor:
    """Classes in the world's palette: (n, 3, H, W) in 0..1."""
    return paint(views.classes + 1, tiny_world())  # class 0 of a palette is the background


def mask_picture(mask: Tensor) -> Tensor:
    """A mask (n, H, W) as white on black: (n, 3, H, W)."""
    return as_rgb(mask)


def highlight_picture(rgb: Tensor, mask: Tensor, colour: Tensor) -> Tensor:
    """Tint mask (n, H, W) of the picture half-way to colour (n, 3)."""
    tint = HIGHLIGHT_OPACITY * colour[:, :, None, None] + (1 - HIGHLIGHT_OPACITY) * rgb
    return torch.where(mask[:, None], tint, rgb)


def visible_pixels(instances: Tensor, count: int = MAX_OBJECTS) -> Tensor:
    """Number of visible pixels of each object, (n, count), in instance maps (n, H, W)."""
    return torch.stack([(instances == k).flatten(1).sum(1) for k in range(count)], 1)


def visible(instances: Tensor, count: int = MAX_OBJECTS) -> Tensor:
    """(n, count) bool: objects with enough visible pixels to be mentioned."""
    return visible_pixels(instances, count) >= VISIBLE_PX * unit(instances) ** 2


def box_of(mask: Tensor) -> Tensor:
    """Tight boxes of masks (n, H, W): (n, 4) int64 xyxy pixels, right and bottom exclusive; zeros
    where the mask is empty.
    """
    columns, rows = mask.any(1).long(), mask.any(2).long()
    left, top = columns.argmax(1), rows.argmax(1)
    right = columns.shape[1] - columns.flip(1).argmax(1)
    bottom = rows.shape[1] - rows.flip(1).argmax(1)
    return torch.stack([left, top, right, bottom], 1) * columns.any(1, keepdim=True)


def box_picture(rgb: Tensor, boxes: Tensor, colour: Tensor) -> Tensor:
    """Draw a rectangle just inside each box (n, 4), in colour (n, 3)."""
    height, width = rgb.shape[-2:]
    line = max(1, round(BOX_LINE_PX * unit(rgb)))
    y = torch.arange(height, device=rgb.device, dtype=torch.int64)[None, :, None]
    x = torch.arange(width, device=rgb.device, dtype=torch.int64)[None, None, :]
    left, top, right, bottom = (v[:, None, None] for v in boxes.unbind(1))
    outer = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    inner = (x >= left + line) & (x < right - line) & (y >= top + line) & (y < bottom - line)
    return torch.where((outer & ~inner)[:, None], colour[:, :, None, None], rgb)


def pose_picture(scenes: Scenes, views: Views) -> tuple[Tensor, Tensor]:
    """Skeletons of the visible people on black, and where their bones are, (n, H, W) bool."""
    height, width = views.rgb.shape[-2:]
    shown = visible(views.instances) & (scenes.shape == PERSON)
    return skeleton(scenes.joints_on_screen(height, width, FOCAL), shown, height, width)


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """Separable Gaussian blur of (n, c, H, W) with mirrored borders; sigma in pixels."""
    reach = max(1, min(round(3 * sigma), min(x.shape[-2:]) - 1))
    steps = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    n, c, height, width = x.shape
    flat = F.pad(x.reshape(n * c, 1, height, width), (reach, reach, reach, reach), mode="reflect")
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1))
    return F.conv2d(flat, kernel.view(1, 1, -1, 1)).view(n, c, height, width)


def dilate(mask: Tensor, size: int) -> Tensor:
    """Dilate (n, H, W) bool by a size x size square."""
    before = (size - 1) // 2
    padded = F.pad(mask.float()[:, None], (before, size - 1 - before, before, size - 1 - before))
    return F.max_pool2d(padded, size, stride=1)[:, 0] > 0.5
