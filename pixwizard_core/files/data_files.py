"""Depth and class maps as files that other programs read: numbers, not colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..decode.depth import METRES, to_metres
from ..decode.palette import Palette
from ..decode.segments import LegendEntry, legend
from ..errors import CanvasError
from ..json_text import json_bytes
from .exr import NAME_LIMIT, encode_exr
from .picture_files import Texts, replace_file, save_array, save_grey16, save_labels

SLACK = 1e-3  # how far resampling may carry depth out of 0..1
LEGEND_VERSION = 1  # of the legend's JSON; raised when a field changes its meaning


@dataclass(frozen=True, slots=True)
class DepthScale:
    """What depth values in 0..1 mean: a straight line from near_m to far_m metres."""

    near_m: float = METRES[0]
    far_m: float = METRES[1]
    white_is_near: bool = True

    def metres(self, depth_01: Tensor) -> Tensor:
        """Any shape, in metres. Raises DecodeError unless near is below far."""
        return to_metres(depth_01, self.near_m, self.far_m, white_is_near=self.white_is_near)

    def texts(self) -> dict[str, str]:
        """The same for a file's header."""
        return {
            "unit": "m",
            "near_m": repr(float(self.near_m)),
            "far_m": repr(float(self.far_m)),
            "white_is": "near" if self.white_is_near else "far",
        }


def save_depth_png(
    path: Path, depth_01: Tensor, scale: DepthScale, texts: Texts | None = None
) -> None:
    """16 bits of grey as they are, 0 black and 65535 white; the header says what they mean."""
    scale.metres(depth_01[:1, :1])  # a range that makes no sense is refused here as elsewhere
    save_grey16(path, depth_01, {**(texts or {}), **scale.texts()})


def save_depth_exr(
    path: Path, depth_01: Tensor, scale: DepthScale, texts: Texts | None = None
) -> None:
    """Metres as 32-bit floats, twice: Z for programs that look for depth, Y for all others."""
    metres = scale.metres(depth_01)
    replace_file(path, encode_exr({"Y": metres, "Z": metres}, {**_named(texts), **scale.texts()}))


def save_depth_npy(
    path: Path, depth_01: Tensor, scale: DepthScale, texts: Texts | None = None
) -> None:
    """Metres as float32 (H, W), and what they are in a JSON file of the same name."""
    save_array(path, scale.metres(depth_01).float())
    write_json(path.with_suffix(".json"), {**scale.texts(), **(texts or {})})


DEPTH_WRITERS = {"png": save_depth_png, "exr": save_depth_exr, "npy": save_depth_npy}


def save_depth(
    path: str | Path, depth_01: Tensor, scale: DepthScale, texts: Texts | None = None
) -> None:
    """One depth map (H, W) in 0..1 as the kind of file its name ends with, one of DEPTH_WRITERS.

    texts: more notes for the file's header. Raises CanvasError, DecodeError.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in DEPTH_WRITERS:
        raise CanvasError(f"depth can be written as {', '.join(DEPTH_WRITERS)}. Got: {path.name}")
    low, high = float(depth_01.min()), float(depth_01.max())
    if low < -SLACK or high > 1 + SLACK:
        raise CanvasError(
            f"depth to save goes from {low:.4g} to {high:.4g}; it must be 0 to 1, and near and far "
            "say what that means in metres. Give the depth itself, not metres"
        )
    DEPTH_WRITERS[kind](path, depth_01, scale, texts)


def save_label_map(
    path: str | Path, labels: Tensor, palette: Palette, texts: Texts | None = None
) -> Path:
    """Class indices (H, W) as an indexed PNG, and their names in a JSON file of the same name.

    Returns the path of the JSON file: schema_version, palette, and for each class present its
    index, name, rgb and area_percent.
    """
    path = Path(path)
    save_labels(path, labels, palette.colours, texts)
    write_json(path.with_suffix(".json"), legend_file(legend(labels, palette), palette))
    return path.with_suffix(".json")


def legend_file(entries: Sequence[LegendEntry], palette: Palette) -> dict[str, Any]:
    """A legend as JSON values: schema_version, palette, and index, name, rgb (0..255) and
    area_percent of each class."""
    classes = [entry.values() for entry in entries]
    return {"schema_version": LEGEND_VERSION, "palette": palette.title, "classes": classes}


def _named(texts: Texts | None) -> dict[str, str]:
    return {name[:NAME_LIMIT]: text for name, text in (texts or {}).items()}


def write_json(path: Path, value: Any) -> None:
    """Put a file of JSON in the place of another, in one step. Raises PixWizardError when it cannot
    be written."""
    replace_file(path, json_bytes(value))
