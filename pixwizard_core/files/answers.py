"""Write what an answer picture means: a depth map, a mask, labels with a legend, boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..decode import Hints, colourise, decode, legend, mask_boxes, normalise, paint, paint_normals
from ..decode.common import picture
from ..decode.polarity import near_is_white
from ..torch_types import ints
from .data_files import DepthScale, legend_file, save_depth, write_json
from .picture_files import save_grey16, save_labels, save_mask, save_picture

Facts = dict[str, Any]


@dataclass
class Writer:
    """Where one answer goes: folder/stem_<what>.<ending>. files: what was written, by what."""

    folder: Path
    stem: str
    files: dict[str, Path] = field(default_factory=dict)

    def path(self, what: str, ending: str = "png") -> Path:
        self.files[what] = self.folder / f"{self.stem}_{what}.{ending}"
        return self.files[what]

    def json(self, what: str, content: Any) -> None:
        write_json(self.path(what, "json"), content)


def write_answer(
    folder: Path, stem: str, kind: str, image_01: Tensor, hints: Hints | None = None
) -> tuple[dict[str, Path], Facts]:
    """Write one answer picture (1, 3, H, W) and what it decodes to.

    kind: a task's decoder (Task.decoder). Returns the files by what they hold, and facts about the
    answer for a report. Raises DecodeError for a picture that cannot be read.
    """
    hints = hints or Hints()
    folder.mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, stem)
    save_picture(writer.path("answer"), image_01[0])
    facts = WRITERS.get(kind, _nothing)(writer, image_01, hints)
    return writer.files, facts


def _nothing(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    return {}


def _depth(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    depth_01, (read,) = near_is_white(picture(image_01).mean(1), hints.near)
    save_grey16(writer.path("16bit"), depth_01[0])
    save_picture(writer.path("colour"), colourise(normalise(depth_01))[0])
    facts = {"white_is": "near", "answer_near": read.near, "unit": "relative"}
    if read.correlation is not None:
        facts |= {"correlation": round(read.correlation, 3), "read": read.said()}
    if hints.range_m is not None:
        scale = DepthScale(*hints.range_m)
        save_depth(writer.path("metres", "npy"), depth_01[0], scale)
        writer.files["metres_note"] = writer.files["metres"].with_suffix(".json")
        facts |= {"unit": "m", "range_m": list(hints.range_m)}
    return {**facts, "smallest": float(depth_01.min()), "largest": float(depth_01.max())}


def _normal(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    normals = decode("normal", image_01, hints)
    save_picture(writer.path("unit"), paint_normals(normals)[0])
    return {"axes": "x right, y up, z towards the viewer"}


def _segmentation(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    segments = decode("segmentation", image_01, hints)
    save_labels(writer.path("labels"), segments.labels[0], list(hints.palette.colours))
    save_picture(writer.path("classes"), paint(segments.labels, hints.palette)[0])
    content = legend_file(legend(segments.labels, hints.palette), hints.palette)
    writer.json("legend", content)
    return {"classes": content["classes"]}


def _mask(kind: str) -> Callable[[Writer, Tensor, Hints], Facts]:
    def write(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
        mask = decode(kind, image_01, hints)
        save_mask(writer.path("binary"), mask[0])
        facts: Facts = {"area_percent": round(100 * float(mask.float().mean()), 2)}
        if bool(mask.any()):
            facts["box_xyxy_px"] = ints(mask_boxes(mask)[0])
        return facts

    return write


def _box(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    found = [
        {"box_xyxy_px": list(box.xyxy_px), "score": round(box.score, 3)}
        for box in decode("box", image_01, hints)[0]
    ]
    writer.json("boxes", found)
    mask = torch.zeros(image_01.shape[-2:], dtype=torch.bool, device="cpu")
    for entry in found:
        left, top, right, bottom = entry["box_xyxy_px"]
        mask[top:bottom, left:right] = True
    save_mask(writer.path("binary"), mask)
    return {"boxes": found}


def _edge(writer: Writer, image_01: Tensor, hints: Hints) -> Facts:
    save_picture(writer.path("grey"), decode("edge", image_01, hints)[0])
    return {}


WRITERS: dict[str, Callable[[Writer, Tensor, Hints], Facts]] = {
    "depth": _depth,
    "normal": _normal,
    "segmentation": _segmentation,
    "mask": _mask("mask"),
    "highlight": _mask("highlight"),
    "box": _box,
    "edge": _edge,
}
