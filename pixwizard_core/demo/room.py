"""The demonstration picture: a room of the demo world that training never saw, and its truth.

The files in room/ are what write_room made; they stay as they are when the world changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..picture_files import (
    open_mask,
    open_picture,
    save_grey16,
    save_labels,
    save_mask,
    save_picture,
)
from .render import render
from .scenes import sample_scenes
from .scoring import world_palette

FOLDER = Path(__file__).parent / "room"
TARGET = "the blue cone"
# The drawing it came from: seed, scenes drawn, which of them, and which of its objects is TARGET.
SEED, SCENES, CHOSEN, OBJECT = 7_100_000, 24, 4, 1
HEIGHT, WIDTH = 224, 288


@dataclass(frozen=True, slots=True)
class Room:
    """image_01 (1, 3, H, W) and its truth: depth_01 (1, H, W), 1 = near; classes (1, H, W), indices
    into CLASSES; mask (1, H, W) bool, where TARGET is."""

    image_01: Tensor
    depth_01: Tensor
    classes: Tensor
    mask: Tensor


def load_room(folder: Path = FOLDER) -> Room:
    """The picture and its truth from the files that ship with the package."""
    from PIL import Image

    with Image.open(folder / "classes.png") as file:
        labels = torch.frombuffer(bytearray(file.tobytes()), dtype=torch.uint8)
    image_01 = open_picture(folder / "picture.png")
    return Room(
        image_01=image_01,
        depth_01=open_picture(folder / "depth.png").mean(1),
        classes=labels.view(1, *image_01.shape[-2:]).long() - 1,
        mask=open_mask(folder / "mask.png"),
    )


def write_room(folder: Path = FOLDER) -> None:
    """Draw the scene anew and write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = sample_scenes(SCENES, torch.Generator().manual_seed(SEED))
    views = render(scenes[CHOSEN : CHOSEN + 1], HEIGHT, WIDTH)
    palette = world_palette()
    save_picture(folder / "picture.png", views.rgb[0])
    save_grey16(folder / "depth.png", views.depth_01[0])
    save_labels(folder / "classes.png", views.classes[0] + 1, list(palette.colours))
    save_mask(folder / "mask.png", views.instances[0] == OBJECT)
