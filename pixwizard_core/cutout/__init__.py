"""A picture taken apart: named things as layers with transparency over a background without them.

`layers` makes layers from masks and a filled background and stacks them, `cut_out` asks a model
for both.
"""

from __future__ import annotations

from .cut_out import (
    FILL,
    FIND,
    MOST,
    CutOut,
    Paint,
    cut_out,
    names_in,
    require_few_names,
    take_apart,
)
from .layers import Layer, make_layers, soft_edge, stack

__all__ = [
    "FILL", "FIND", "MOST", "CutOut", "Layer", "Paint", "cut_out", "make_layers", "names_in",
    "require_few_names", "soft_edge", "stack", "take_apart",
]  # fmt: skip
