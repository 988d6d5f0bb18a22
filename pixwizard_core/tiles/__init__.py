"""Pictures larger than the model: overlapping tiles, blended.

`grid` plans the tiles, `noise` gives each its part of one field, `guide` aligns their answers with
a small answer to the whole, `blend` lays them over one another, `run` does all this with any model,
`answer` with a bundle. `offered` says which tasks it serves.
"""

from __future__ import annotations

from .answer import Tiled, TiledRequest, answer_in_bands, answer_tiled
from .grid import TileGrid, default_side, make_grid
from .offered import TILED, Way, way_of
from .run import fitted_whole, run_tiles, whole_canvas

__all__ = [
    "TILED",
    "TileGrid",
    "Tiled",
    "TiledRequest",
    "Way",
    "answer_in_bands",
    "answer_tiled",
    "default_side",
    "fitted_whole",
    "make_grid",
    "run_tiles",
    "way_of",
    "whole_canvas",
]
