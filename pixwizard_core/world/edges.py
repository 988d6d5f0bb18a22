"""Edge pictures of the procedural world: Canny and HED-like lines, pencil sketch, line art."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures import as_rgb, dilate, gaussian, grey, unit
from .render import CLASSES, Views

CANNY_LOW, CANNY_HIGH = 0.08, 0.18  # gradient thresholds, in grey levels of 0..1
HYSTERESIS_ROUNDS = 16  # how far, in pixels, a strong edge extends into weak neighbours
CREASE = 0.88  # cosine between neighbouring normals below which the surface has an edge
DEPTH_STEP = 0.06  # relative depth jump between neighbours that counts as an outline
SMOOTH = (
    "ball",
    "cone",
    "person",
)  # neighbouring normals differ near their rims although there is no crease


def canny(rgb: Tensor) -> Tensor:
    """Canny edges of pictures (n, 3, H, W) 0..1, one pixel wide: (n, H, W) bool.

    Uses the gradient of the channel that changes most, so that there is an edge between two colours
    of equal brightness.
    """
    smooth = gaussian(rgb, 0.8 * max(1.0, unit(rgb)))
    padded = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
    gx, gy = (
        padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2],
        padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1],
    )
    strongest = (gx * gx + gy * gy).argmax(1, keepdim=True)
    gx, gy = gx.gather(1, strongest)[:, 0], gy.gather(1, strongest)[:, 0]
    strength = gx.hypot(gy)
    thin = strength * _is_ridge(strength, gx, gy)
    edges, weak = thin > CANNY_HIGH, thin > CANNY_LOW
    for _ in range(HYSTERESIS_ROUNDS):
        edges = dilate(edges, 3) & weak
    return edges


def _is_ridge(strength: Tensor, gx: Tensor, gy: Tensor) -> Tensor:
    """Where the gradient is no weaker than at its two neighbours along it (four directions)."""
    p = F.pad(strength[:, None], (1, 1, 1, 1))[:, 0]
    ax, ay = gx.abs(), gy.abs()
    horizontal, vertical = ay < 0.4142 * ax, ax < 0.4142 * ay
    rising = gx * gy > 0
    mid = slice(1, -1)
    before, after = slice(0, -2), slice(2, None)

    def beats(first, second):
        return (strength >= p[:, first[0], first[1]]) & (strength > p[:, second[0], second[1]])

    diagonal = torch.where(
        rising, beats((before, before), (after, after)), beats((before, after), (after, before))
    )
    straight = torch.where(
        horizontal, beats((mid, before), (mid, after)), beats((before, mid), (after, mid))
    )
    return torch.where(horizontal | vertical, straight, diagonal)


def outlines(views: Views) -> Tensor:
    """Edges of the geometry without textures and shadows: (n, H, W) bool, one or two px wide."""
    result = torch.zeros_like(views.instances, dtype=torch.bool)
    for axis in (1, 2):
        length = result.shape[axis]
        here = (slice(None),) * axis + (slice(0, length - 1),)
        there = (slice(None),) * axis + (slice(1, length),)
        normal_here, normal_there = (
            views.normals.movedim(1, -1)[here],
            views.normals.movedim(1, -1)[there],
        )
        near, far = views.depth_m[here], views.depth_m[there]
        crease = (normal_here * normal_there).sum(-1) < CREASE
        step = (near - far).abs() > DEPTH_STEP * torch.minimum(near, far)
        other = views.instances[here] != views.instances[there]
        kind = views.classes[here]
        flat = torch.stack([kind != CLASSES.index(name) for name in SMOOTH]).all(0)
        background = views.instances[here] < 0
        result[here] |= (
            other
            | (crease & flat)
            | (views.classes[here] != views.classes[there])
            | (step & ~background)
        )
    return result


def line_width(picture: Tensor) -> int:
    """Width of drawn lines in px: two at 128 px, larger in proportion, never less."""
    return max(2, round(2 * unit(picture)))


def canny_picture(edges: Tensor) -> Tensor:
    """White lines at least two pixels wide on black, from one-pixel edges (n, H, W)."""
    return as_rgb(dilate(edges, line_width(edges)))


def hed_picture(views: Views) -> Tensor:
    """Soft bright boundaries on black."""
    lines = dilate(outlines(views), line_width(views.rgb)).float()[:, None]
    return as_rgb((1.15 * gaussian(lines, 1.4 * unit(views.rgb))).clamp(0, 1)[:, 0])


def lineart_picture(views: Views) -> Tensor:
    """Clean dark lines on white."""
    lines = dilate(outlines(views), line_width(views.rgb)).float()
    return as_rgb(1 - 0.9 * lines)


def sketch_picture(views: Views) -> Tensor:
    """Pencil on white: the grey picture divided by a blurred copy, with soft strokes along
    outlines.
    """
    tone = grey(views.rgb)
    pencil = (tone / gaussian(tone[:, None], 4 * unit(tone))[:, 0].clamp(min=0.05)).clamp(
        0, 1
    ) ** 1.5
    strokes = gaussian(
        dilate(outlines(views), line_width(tone)).float()[:, None], 0.9 * unit(tone)
    )[:, 0]
    return as_rgb((pencil * (1 - 0.8 * strokes)).clamp(0, 1))
