"""Referring expressions: RefCOCO, RefCOCO+ and gRefCOCO as their authors' folders hold them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..decode.polarity import DEFAULT_NEAR
from ..errors import PixWizardError
from ..fleet.sources import SourcePicture
from ..json_text import read_json_file
from .plain_pickle import read_plain_pickle

REFERENCES = ("refs(unc).p", "refs(unc).json", "grefs(unc).json")
COCO_FOLDERS = ("images/mscoco/images/train2014", "images/train2014", "train2014")
NO_TARGET = -1  # gRefCOCO's sentences about nothing in the picture
HSV_COLOUR = "red"  # what a highlight is asked for in
METHODS = {"mask": ("mask",), "hsv": ("hsv",), "both": ("mask", "hsv")}


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """split: "" is the layout's first. method: of METHODS, for referring. range_m: metres of the
    two ends of a depth map, nearer first; near: its shade of near things. sign: of a normal map's
    axes against ours. listed: a file of names. count: of pictures, 0 for all."""

    split: str = ""
    method: str = "mask"
    range_m: tuple[float, float] = (0.0, 10.0)
    near: str = DEFAULT_NEAR
    align: bool = False
    sign: tuple[int, int, int] = (1, 1, 1)
    listed: str = ""
    count: int = 0


def find_referring(name: str) -> Callable[[Path, DatasetOptions], list[SourcePicture]]:
    """A layout: ROOT/<name>/refs(unc).p or .json, ROOT/<name>/instances.json, COCO's pictures."""

    def find(root: Path, options: DatasetOptions) -> list[SourcePicture]:
        folder = root / name if (root / name).is_dir() else root
        references = _references(folder)
        annotations = _annotations(folder / "instances.json")
        pictures = _picture_folder(root, folder)
        found = []
        for reference in references:
            if reference["split"] == options.split:
                found += _sentences(reference, annotations, pictures, options)
        return found

    return find


def _sentences(
    reference: dict, annotations, pictures: Path, options: DatasetOptions
) -> list[SourcePicture]:
    shapes, images = annotations
    image = images[reference["image_id"]]
    ids = reference["ann_id"] if isinstance(reference["ann_id"], list) else [reference["ann_id"]]
    truth = {
        "protocol": "mask", "kind": "coco", "size": [image["height"], image["width"]],
        "shapes": [shapes[i] for i in ids if i != NO_TARGET], "colour": HSV_COLOUR,
    }  # fmt: skip
    found = []
    for sentence in reference["sentences"]:
        for method in METHODS[options.method]:
            task = "highlight" if method == "hsv" else "mask"
            words = {"task": task, "target": sentence["sent"], "colour": HSV_COLOUR}
            name = f"{reference['ref_id']}_{sentence['sent_id']}"
            path = pictures / image["file_name"]
            found.append(SourcePicture(name, path, words=words, truth={**truth, "method": method}))
    return found


def _references(folder: Path) -> list[dict[str, Any]]:
    for name in REFERENCES:
        path = folder / name
        if path.is_file():
            if path.suffix == ".p":
                return read_plain_pickle(path.read_bytes())
            return read_json_file(path, PixWizardError)
    raise PixWizardError(f"{folder} has none of {', '.join(REFERENCES)}")


def _annotations(path: Path) -> tuple[dict[int, Any], dict[int, dict[str, Any]]]:
    """(shape by annotation id, picture by picture id) of a COCO file."""
    if not path.is_file():
        raise PixWizardError(f"there is no {path}, which holds the outlines of the objects")
    data = read_json_file(path, PixWizardError)
    shapes = {row["id"]: row["segmentation"] for row in data["annotations"]}
    return shapes, {row["id"]: row for row in data["images"]}


def _picture_folder(root: Path, folder: Path) -> Path:
    for base in (root, folder, root.parent):
        for name in COCO_FOLDERS:
            if (base / name).is_dir():
                return base / name
    raise PixWizardError(f"COCO's pictures are in none of {', '.join(COCO_FOLDERS)} below {root}")
