"""A picture taken apart: named things as layers with transparency over a background without them.

`layers` makes layers from masks and a filled background and stacks them, `cut_out` asks the model
for both.
"""

from __future__ import annotations

from .cut_out import CutOut, cut_out
from .layers import Layer, make_layers, soft_edge, stack

__all__ = ["CutOut", "Layer", "cut_out", "make_layers", "soft_edge", "stack"]
