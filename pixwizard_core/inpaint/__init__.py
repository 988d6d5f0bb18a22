"""Blank parts for the model to fill, and paste its answer back onto the source.

`blanks` punches holes and adds margins, `sides` measures margins, `surroundings` crops around a
mask, `blending` pastes the answer back.
"""

from __future__ import annotations

from .blanks import FILLS, BlankedPicture, blank_canvas, prepare_inpaint, prepare_outpaint
from .blending import composite, fade_in
from .sides import ANCHORS, Sides, aspect_sides, parse_aspect

__all__ = [
    "ANCHORS",
    "FILLS",
    "BlankedPicture",
    "Sides",
    "aspect_sides",
    "blank_canvas",
    "composite",
    "fade_in",
    "parse_aspect",
    "prepare_inpaint",
    "prepare_outpaint",
]
