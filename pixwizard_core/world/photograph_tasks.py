"""Tasks whose correct answer can be computed from a photograph: restoration, lines, holes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from . import edges, holes
from .damage import DAMAGE, FAULTS
from .degrade import field, grid
from .photographs import pieces
from .pictures import as_rgb, dilate, gaussian, grey, unit

NEAR_M, FAR_M = 2.0, 11.0  # distances assumed for haze, at the bottom and the top
LINE_LEVEL = 0.16  # gradient of the smoothed picture, in grey levels, from which line art draws
SOFT_SCALES = (1.0, 2.0)  # radii, in pixels at 128 px, at which soft edges are detected
SOFT_GAIN = 5.0
LEAST_TONE = 0.05
LINE_TASKS = ("canny", "hed", "sketch", "lineart")
PLAIN_SHARE = 0.7  # of the autoencoder's photographs; the rest are inputs and answers of tasks


@dataclass(frozen=True)
class Shown:
    """Input and answer pictures (n, 3, H, W) in 0..1. mask: the hole, edges: the lines, (n, H, W)
    bool, or None."""

    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None
    edges: Tensor | None = None


def distances(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Invent distances in metres (n, H, W) for haze, farther towards the top."""
    y, _ = grid(pictures)
    up = 1 - y / (y[-1, 0] + y[0, 0])
    relief = field(pictures, generator, 4)[:, 0]
    return (NEAR_M + (FAR_M - NEAR_M) * up + 1.5 * relief).clamp(1.0, 14.0)


def slope(pictures: Tensor, radius: float) -> Tensor:
    """Steepest change per two pixels (n, H, W) of any channel, smoothed by radius pixels."""
    smooth = gaussian(pictures, radius)
    padded = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
    gx = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    gy = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    return gx.hypot(gy).amax(1)


def soft_edges(pictures: Tensor) -> Tensor:
    """Soft bright boundaries on black, strongest where they persist over several scales."""
    scale = unit(pictures)
    steep = [slope(pictures, radius * scale) * radius**0.5 for radius in SOFT_SCALES]
    strength = (torch.stack(steep).prod(0) ** (1 / len(steep)) * SOFT_GAIN).clamp(0, 1)
    return as_rgb(gaussian(dilate_soft(strength, pictures), 0.8 * scale)[:, 0].clamp(0, 1))


def dilate_soft(strength: Tensor, like: Tensor) -> Tensor:
    """Widen lines (n, H, W) so that the autoencoder keeps them: (n, 1, H, W)."""
    width = edges.line_width(like) | 1
    return F.max_pool2d(strength[:, None], width, 1, width // 2)


def line_art(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Clean dark lines on white where the smoothed picture has a steep gradient; also returns where
    they are."""
    scale = unit(pictures)
    lines = edges.canny(gaussian(pictures, 1.2 * scale)) & (
        slope(pictures, 1.2 * scale) > LINE_LEVEL
    )
    drawn = dilate(lines, edges.line_width(pictures)).float()
    return as_rgb(1 - 0.9 * drawn), lines


def pencil(pictures: Tensor) -> Tensor:
    """Pencil: the grey picture divided by a blurred copy, with soft strokes along strong edges."""
    tone = grey(pictures)
    scale = unit(pictures)
    around = gaussian(tone[:, None], 4 * scale)[:, 0]
    shade = (tone + LEAST_TONE) / (around + LEAST_TONE)  # a flat surface is white, however dark
    _, lines = line_art(pictures)
    strokes = gaussian(dilate(lines, edges.line_width(pictures)).float()[:, None], 0.9 * scale)
    return as_rgb(shade.clamp(0, 1) ** 1.5 * (1 - 0.8 * strokes[:, 0]))


def _canny(pictures: Tensor, generator: torch.Generator) -> Shown:
    lines = edges.canny(pictures)
    return Shown(pictures, edges.canny_picture(lines), edges=lines)


def _lineart(pictures: Tensor, generator: torch.Generator) -> Shown:
    drawn, lines = line_art(pictures)
    return Shown(pictures, drawn, edges=lines)


def _holed(draw: Callable[[Tensor, torch.Generator], Tensor]):
    def make(pictures: Tensor, generator: torch.Generator) -> Shown:
        hole = draw(pictures, generator)
        return Shown(holes.punch(pictures, hole, generator), pictures, mask=hole)

    return make


def _spoiled(spoil):
    def make(pictures: Tensor, generator: torch.Generator) -> Shown:
        return Shown(spoil(pictures, distances(pictures, generator), generator), pictures)

    return make


# task -> how to make it from pictures (n, 3, H, W) with a generator on their device
PHOTOGRAPH_TASKS: dict[str, Callable[[Tensor, torch.Generator], Shown]] = {
    **{task: _spoiled(spoil) for task, spoil in {**FAULTS, **DAMAGE}.items()},
    "canny": _canny,
    "hed": lambda pictures, generator: Shown(pictures, soft_edges(pictures)),
    "sketch": lambda pictures, generator: Shown(pictures, pencil(pictures)),
    "lineart": _lineart,
    "inpaint": _holed(holes.random_hole),
    "outpaint": _holed(holes.random_margin),
}


@torch.no_grad()
def show(task: str, pictures: Tensor, generator: torch.Generator) -> Shown:
    """Make one example of the task from each picture (n, 3, H, W) in 0..1.

    Raises ValueError for a task whose truth cannot be computed from a photograph.
    """
    if task not in PHOTOGRAPH_TASKS:
        raise ValueError(
            f"photographs cannot show task {task!r}; they can: {', '.join(PHOTOGRAPH_TASKS)}"
        )
    return PHOTOGRAPH_TASKS[task](pictures, generator)


@torch.no_grad()
def photograph_mix(
    count: int, height: int, width: int, generator: torch.Generator, device
) -> Tensor:
    """Random pictures for training made from photographs, (count, 3, height, width) in 0..1: most
    unchanged, others degraded, with holes, or as lines. generator: on the CPU."""
    result = pieces(count, height, width, generator)
    tasks = list(PHOTOGRAPH_TASKS)
    kept = torch.rand(count, generator=generator, dtype=torch.float32, device="cpu") < PLAIN_SHARE
    picks = torch.randint(
        0, len(tasks), (count,), generator=generator, dtype=torch.int64, device="cpu"
    )
    for index in (~kept).nonzero()[:, 0].tolist():
        row = slice(index, index + 1)
        shown = show(tasks[picks[index]], result[row], generator)
        drawn = tasks[picks[index]] in LINE_TASKS
        result[row] = shown.targets if drawn else shown.inputs
    return result.to(device)
