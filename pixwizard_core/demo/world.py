"""The procedural world under one name: scenes, pictures, words."""

from __future__ import annotations

from .mixture import PICTURE_KINDS, picture_mix
from .phrases import captions, refer
from .render import CLASSES, PALETTE, Views, render
from .scenes import Scenes, sample_scenes

__all__ = [
    "CLASSES",
    "PALETTE",
    "PICTURE_KINDS",
    "Scenes",
    "Views",
    "captions",
    "picture_mix",
    "refer",
    "render",
    "sample_scenes",
]
