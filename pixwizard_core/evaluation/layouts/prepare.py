"""Pictures that a layout makes before painting: extracted from a table, cut to a square, blanked,
or turned into edges. Each is made once, in one step, below the output folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ...errors import PixWizardError
from ...files.picture_files import as_pil, open_picture, replace_file, save_picture, to_tensor
from .common import state_of
from .rows import StoredPicture

BICUBIC = 3  # Pillow's constant
CANNY = (0.1, 0.2)  # thresholds of gradients, for pictures in 0..1
LEAST_HOLE, MOST_HOLE = 0.4, 0.5  # of the area; D.1
STROKES = 400


def prepared_folder(prepared: str, name: str, root: Path | None, *choices: object) -> Path:
    """The folder for pictures made of the files below root, as they are now, with these choices.
    root: None for pictures made of nothing. Raises ValueError if prepared is empty."""
    if not prepared:
        raise ValueError(f"{name} makes pictures; give DatasetOptions.prepared")
    made_of = (state_of(root, Path(prepared).parent) if root else "", *choices)
    mark = hashlib.sha256(repr(made_of).encode()).hexdigest()[:8]
    return Path(prepared) / f"{name}-{mark}"


def once(path: Path, make: Callable[[], Tensor]) -> Path:
    """Return path; if there is no file yet, write the picture (1, 3, H, W) in 0..1 from make()."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, make()[0])
    return path


def as_file(stored: StoredPicture, folder: Path, stem: str) -> Path:
    """The file of a stored picture; writes a table's bytes to a file, unchanged."""
    if stored.path is not None:
        return stored.path
    path = folder / f"{stem}{stored.ending}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, stored.data)
    return path


def stretched(path: Path, side: int) -> Tensor:
    """A picture (1, 3, side, side), stretched to a square with Pillow's bicubic filter."""
    picture = open_picture(path)
    if tuple(picture.shape[-2:]) == (side, side):
        return picture
    return to_tensor(as_pil(picture[0]).resize((side, side), BICUBIC), path.name)


def middle_square(picture: Tensor, side: int) -> Tensor:
    """The middle square (1, 3, side, side) of (1, 3, H, W); a smaller picture is first enlarged
    with the bicubic filter."""
    height, width = picture.shape[-2:]
    if min(height, width) < side:
        scale = side / min(height, width)
        size = (max(side, round(width * scale)), max(side, round(height * scale)))
        picture = to_tensor(as_pil(picture[0]).resize(size, BICUBIC), "picture")
        height, width = picture.shape[-2:]
    top, left = (height - side) // 2, (width - side) // 2
    return picture[..., top : top + side, left : left + side]


def canny_lines(picture_01: Tensor) -> Tensor:
    """Canny edges (B, H, W) bool of pictures (B, 3, H, W) in 0..1, by kornia."""
    try:
        from kornia.filters import canny
    except ImportError:
        raise PixWizardError("Canny edges need kornia: pip install kornia") from None
    return canny(picture_01, *CANNY)[1][:, 0] > 0.5


@lru_cache(maxsize=8)
def _offsets(side: int) -> tuple[Tensor, Tensor]:
    places = torch.arange(side, dtype=torch.float32, device="cpu")
    return places[:, None], places[None]


def large_hole(side: int, seed: int) -> Tensor:
    """A hole (side, side) bool of 40 to 50 % of the area, made of random wide strokes and
    rectangles. Depends only on seed."""
    random = torch.Generator().manual_seed(seed)

    def draw(low: float, high: float) -> float:
        value = torch.rand((), generator=random, dtype=torch.float32, device="cpu")
        return low + (high - low) * float(value)

    ys, xs = _offsets(side)
    hole = torch.zeros(side, side, dtype=torch.bool, device="cpu")
    for _ in range(STROKES):
        if float(hole.float().mean()) >= LEAST_HOLE:
            break
        y, x, radius = draw(0, side), draw(0, side), draw(0.02, 0.07) * side
        if draw(0, 1) < 0.2:
            half_h, half_w = draw(0.05, 0.15) * side, draw(0.05, 0.15) * side
            part = ((ys - y).abs() <= half_h) & ((xs - x).abs() <= half_w)
        else:
            turn, length = draw(0, 6.2832), draw(0.1, 0.5) * side
            dy, dx = (float(torch.sin(torch.tensor(turn))), float(torch.cos(torch.tensor(turn))))
            along = ((ys - y) * dy + (xs - x) * dx).clamp(0, length)
            part = ((ys - y - along * dy) ** 2 + (xs - x - along * dx) ** 2) <= radius**2
        if float((hole | part).float().mean()) <= MOST_HOLE:
            hole |= part
    return hole
