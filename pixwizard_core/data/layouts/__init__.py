"""Datasets of photographs with maps, as their authors release them, as photographs to build from.

Each file has one function, which takes the folder or file and returns the photographs of the
training split with their maps. Nothing is unpacked: workers read what they need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import PixWizardError
from ...files.left_out import LeftOut
from .ade20k import find_ade20k
from .found import FoundPhotos
from .hypersim import find_hypersim
from .nyu import find_nyu

__all__ = ["LAYOUTS", "FoundPhotos", "PhotoLayout", "find_layout"]


@dataclass(frozen=True, slots=True)
class PhotoLayout:
    """A dataset that photographs can be taken from. note: what it holds, for a person."""

    find: Callable[[Path, LeftOut], FoundPhotos]
    note: str


LAYOUTS = {
    "nyu": PhotoLayout(find_nyu, "NYU Depth V2's nyu_depth_v2_labeled.mat (MATLAB 7.3)"),
    "hypersim": PhotoLayout(find_hypersim, "Hypersim's ai_VVV_NNN/images/scene_cam_XX_… folders"),
    "ade20k": PhotoLayout(
        find_ade20k, "ADE20K: SceneParsing's images/ and annotations/, or X.jpg with X_seg.png"
    ),
}


def find_layout(name: str, source: str | Path, left_out: LeftOut) -> FoundPhotos:
    """Find the photographs of a dataset. name: one of LAYOUTS. What is not used is added to
    left_out. Raises PixWizardError saying what was looked for and what is there when the source has
    another layout."""
    if name not in LAYOUTS:
        raise PixWizardError(f"there is no layout {name!r}; choose one of: {', '.join(LAYOUTS)}")
    source = Path(source)
    if not source.exists():
        raise PixWizardError(f"there is no file or folder {source.absolute()}")
    return LAYOUTS[name].find(source, left_out)
