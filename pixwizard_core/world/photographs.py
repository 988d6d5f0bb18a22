"""Pieces of photographs that packages include: some for training, others only for scoring.

photographs.csv lists them by name and content, with the licence of each; all are in the public
domain or under CC0. They are part of scikit-image and matplotlib, so nothing is downloaded and
nothing is copied into this repository.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PixWizardError
from ..files.picture_files import open_picture
from .degrade import uniform
from .pictures import LUMA

LIST = Path(__file__).with_name("photographs.csv")
TRAIN, HOLD_OUT = "train", "hold out"
INSTALL = "pip install scikit-image matplotlib"
SMALLEST = 112  # side in pixels of the smallest square that is cut from a photograph
LARGEST = 512  # of the largest one; shrinking would lose the detail of more pixels
TINTED, TURNED = 0.5, 0.3  # share of training pieces with other colours, with channels exchanged


@dataclass(frozen=True, slots=True)
class Photograph:
    """One row of the list. file: inside the package; use: TRAIN or HOLD_OUT."""

    name: str
    package: str
    file: str
    use: str
    licence: str
    by: str
    sha256: str


@functools.cache
def photographs(use: str | None = None) -> tuple[Photograph, ...]:
    """The photographs of the list, or those of one use."""
    with LIST.open(encoding="utf-8", newline="") as file:
        rows = [Photograph(**row) for row in csv.DictReader(file)]
    return tuple(row for row in rows if use in (None, row.use))


def load(photograph: Photograph) -> Tensor:
    """The photograph, (1, 3, H, W) in 0..1.

    Raises PixWizardError when its package is missing or has another picture of that name.
    """
    package = importlib.util.find_spec(photograph.package)
    if package is None or package.origin is None:
        raise PixWizardError(
            f"the photograph {photograph.name} comes with {photograph.package}, which is not "
            f"installed; run: {INSTALL}"
        )
    path = Path(package.origin).parent / photograph.file
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
    if found != photograph.sha256:
        raise PixWizardError(
            f"{photograph.package} has another picture at {photograph.file} than the list names "
            f"({found[:12]} in the place of {photograph.sha256[:12]}); install the version that "
            "the list was made with"
        )
    return open_picture(path)


@functools.cache
def _loaded(use: str) -> tuple[Tensor, ...]:
    return tuple(load(photograph) for photograph in photographs(use))


def pieces(
    count: int, height: int, width: int, generator: torch.Generator, *, use: str = TRAIN
) -> Tensor:
    """Random pieces of photographs, (count, 3, height, width) in 0..1 on the CPU.

    Each is a window of the wanted aspect ratio, up to LARGEST pixels, resized to the wanted size.
    Training pieces are also mirrored at random and recoloured now and then; held-out pieces are
    unchanged, and each photograph is used equally often.
    """
    stock = _loaded(use)
    result = []
    for index in range(count):
        draws = torch.rand(5, generator=generator, dtype=torch.float32, device="cpu")
        which, scale, row, column, mirror = draws.tolist()
        chosen = stock[int(which * len(stock)) if use == TRAIN else index % len(stock)]
        piece = F.interpolate(
            window(chosen, height / width, (scale, row, column)),
            size=(height, width),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        result.append(piece.flip(-1) if use == TRAIN and mirror < 0.5 else piece)
    joined = torch.cat(result).clamp(0, 1)
    return other_colours(joined, generator) if use == TRAIN else joined


def window(picture: Tensor, shape: float, place: tuple[float, float, float]) -> Tensor:
    """A part of a picture (1, 3, H, W), with height = shape x width. place: its size and its
    position from the top and from the left, each from 0 to below 1."""
    scale, row, column = place
    height, width = picture.shape[-2:]
    most = min(height, width * shape, LARGEST)
    least = min(SMALLEST, most)
    tall = round(least * (most / least) ** scale)
    wide = max(1, min(width, round(tall / shape)))
    top, left = int(row * (height - tall + 1)), int(column * (width - wide + 1))
    return picture[..., top : top + tall, left : left + wide]


def other_colours(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Change the colours of some pictures (n, 3, H, W): more or less saturated, tinted, brighter or
    darker, channels exchanged. Needed because half of the photographs are grey, while a scored
    picture may have any colour.
    """
    n = len(pictures)
    luma = (pictures * pictures.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    rich = luma + (pictures - luma) * uniform(pictures, generator, 0.3, 1.6)
    gain = uniform(pictures, generator, 0.75, 1.25, 3, 1, 1)
    bent = (rich * gain).clamp(1e-4, 1) ** uniform(pictures, generator, 0.75, 1.35)
    tinted = torch.where(uniform(pictures, generator, 0, 1) < TINTED, bent, pictures)
    draws = torch.rand(n, 3, generator=generator, dtype=torch.float32, device="cpu")
    order = draws.argsort(1)
    turned = tinted.gather(1, order[:, :, None, None].expand_as(tinted))
    return torch.where(uniform(pictures, generator, 0, 1) < TURNED, turned, tinted)
