"""ADE20K: SceneParsing's pictures and class numbers, or the unprocessed pictures and parts."""

from __future__ import annotations

from pathlib import Path

from ...files.kinds import is_picture
from ...files.left_out import LeftOut
from ...files.walk import walk
from ...fleet.items import safe_name
from ..folders import captions_of
from ..photos import SourcePhoto
from ..stored import ADE20K_PARTS, Stored
from .found import OTHER_SPLIT, FoundPhotos, not_there

SCENE_PARSING = "ADEChallengeData2016"
TRAIN = "training"
SEG = "_seg.png"
NAMES = (".json", "_atr.txt")  # of the releases of 2021 and 2016
KIND = "segmentation"


def find_ade20k(source: Path, left_out: LeftOut) -> FoundPhotos:
    """Return ADE20K's training pictures with their classes. Raises PixWizardError for a folder with
    neither of the layouts."""
    root = source / SCENE_PARSING if (source / SCENE_PARSING).is_dir() else source
    if (root / "images" / TRAIN).is_dir() and (root / "annotations" / TRAIN).is_dir():
        photos = _scene_parsing(root, left_out)
    else:
        photos = _unprocessed(source, left_out)
    if not photos:
        raise not_there(
            source, f"images/{TRAIN}/ and annotations/{TRAIN}/, or X.jpg with X{SEG} below it"
        )
    return FoundPhotos(photos)


def _scene_parsing(root: Path, left_out: LeftOut) -> list[SourcePhoto]:
    classes = root / "annotations" / TRAIN
    found: list[SourcePhoto] = []
    for path in walk(root / "images" / TRAIN):
        if not is_picture(path):
            continue
        file = classes / f"{path.stem}.png"
        if not file.is_file():
            left_out.tell(path, f"no {classes.name}/…/X.png of its name, so no classes")
        maps = {KIND: Stored(file)} if file.is_file() else {}
        found.append(SourcePhoto(safe_name(path.stem), path, tuple(captions_of(path)), maps))
    return found


def _unprocessed(root: Path, left_out: LeftOut) -> list[SourcePhoto]:
    files = walk(root) if root.is_dir() else []
    parts = [path for path in files if path.name.endswith(SEG)]
    split = any(TRAIN in path.relative_to(root).parts for path in parts)
    found: list[SourcePhoto] = []
    for seg in parts:
        stem = seg.name.removesuffix(SEG)
        path = seg.with_name(f"{stem}.jpg")
        if split and TRAIN not in seg.relative_to(root).parts:
            left_out.tell(path, OTHER_SPLIT)
            continue
        if not path.is_file():
            left_out.tell(seg, "a segmentation without its .jpg")
            continue
        names = next((f for end in NAMES if (f := seg.with_name(stem + end)).is_file()), None)
        if names is None:
            left_out.tell(seg, f"no X{NAMES[0]} or X{NAMES[1]} names its objects")
        maps = {KIND: Stored(seg, ADE20K_PARTS, beside=names)} if names else {}
        name = safe_name(path.relative_to(root).with_suffix(""))
        found.append(SourcePhoto(name, path, tuple(captions_of(path)), maps))
    return found
