"""Referring expressions: RefCOCO, RefCOCO+ and gRefCOCO in their authors' folder layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...files.plain_pickle import read_plain_pickle
from ...fleet.sources import SourcePicture
from ...json_text import read_json_file
from .common import DatasetLayout, DatasetOptions

REFERENCES = ("refs(unc).p", "refs(unc).json", "grefs(unc).json")
COCO_FOLDERS = ("images/mscoco/images/train2014", "images/train2014", "train2014")
NO_TARGET = -1  # for gRefCOCO's sentences that refer to nothing in the picture
HSV_COLOUR = "red"  # the requested colour of a highlight
METHODS = {"mask": ("mask",), "hsv": ("hsv",), "both": ("mask", "hsv")}


def find_referring(name: str) -> Callable[[Path, DatasetOptions], list[SourcePicture]]:
    """Make a layout: ROOT/<name>/refs(unc).p or .json, ROOT/<name>/instances.json, pictures."""

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
    """(shape by annotation id, picture by picture id) from a COCO file."""
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


COCO = "github.com/lichengunc/refer (annotations) and cocodataset.org (train2014.zip)"
LAYOUTS = {
    "refcoco": DatasetLayout(
        "mask", find_referring("refcoco"), ("val", "testA", "testB"),
        "refcoco/refs(unc).p, instances.json and COCO's pictures",
        folders=("refcoco", "refer", "referring"), source=COCO,
    ),
    "refcoco+": DatasetLayout(
        "mask", find_referring("refcoco+"), ("val", "testA", "testB"),
        "as refcoco, in refcoco+/",
        folders=("refcoco+", "refer", "referring"), source=COCO,
    ),
    "grefcoco": DatasetLayout(
        "mask", find_referring("grefcoco"), ("val", "testA", "testB"),
        "grefs(unc).json, as refcoco",
        folders=("grefcoco", "refer", "referring"),
        source="github.com/henghuiding/gRefCOCO and cocodataset.org (train2014.zip)",
    ),
}  # fmt: skip
