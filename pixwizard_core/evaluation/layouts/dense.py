"""Depth, normals and classes: NYUv2, SUN RGB-D and ADE20K as unpacked on disk.

Each function takes the folder and DatasetOptions and returns pictures with `truth` filled in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import PixWizardError
from ...files.kinds import is_picture
from ...files.matlab_files import matlab_values
from ...files.walk import natural, walk
from ...fleet.sources import SourcePicture
from ...json_text import read_text
from .common import DatasetLayout, DatasetOptions, asked, pictures_in, source_picture

# Where NYUv2 is scored since Eigen et al. (2014): top, bottom, left, right of 480 x 640 px.
EIGEN_CROP = (45, 471, 41, 601)
NYU_SIZE = (480, 640)
SENSORS = ("kv1", "kv2", "realsense", "xtion")
SPLIT_FILES = (
    "allsplit.mat", "traintestSUNRGBD/allsplit.mat",
    "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat",
)  # fmt: skip
INDOOR_M = (1e-3, 10.0)  # depths to score; D.1 has depth in 0..10 m
MILLIMETRES = 1000.0


def _depth_truth(kind: str, file: Path, options: DatasetOptions) -> dict[str, Any]:
    low, high = INDOOR_M
    return {
        "protocol": "depth", "kind": kind, "file": str(file.absolute()), "per_metre": MILLIMETRES,
        "min_m": low, "max_m": high, "range_m": list(options.range_m),
        "near": options.near, "align": options.align,
    }  # fmt: skip


def nyuv2(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ROOT/test/<scene>/rgb_00045.jpg and sync_depth_00045.png, 16-bit millimetres."""
    found = []
    for path in _rgb_files(root, options.split):
        depth = path.with_name(f"sync_depth_{path.stem.removeprefix('rgb_')}.png")
        truth = _depth_truth("metres", depth, options)
        found.append(_item(root, path, "depth", options, {**truth, "crop": _crop_of(path)}))
    return found


def _crop_of(path: Path) -> list[int] | None:
    from ...files.picture_files import picture_size

    width, height = picture_size(path)
    return list(EIGEN_CROP) if (height, width) == NYU_SIZE else None


def nyuv2_normals(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ROOT/test/<scene>/rgb_00045.jpg and normal_00045.png: RGB for x, y, z."""
    found = []
    for path in _rgb_files(root, options.split):
        file = path.with_name(f"normal_{path.stem.removeprefix('rgb_')}.png")
        truth = {"protocol": "normal", "kind": "normals", "file": str(file.absolute())}
        found.append(_item(root, path, "normal", options, {**truth, "sign": list(options.sign)}))
    return found


def _rgb_files(root: Path, split: str) -> list[Path]:
    folder = root / split if (root / split).is_dir() else root
    return [path for path in walk(folder) if path.name.startswith("rgb_") and is_picture(path)]


def sunrgbd(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ROOT/<sensor>/…/image/*.jpg and depth_bfx/*.png. The toolbox's allsplit.mat says which of
    them belong to a split, or --list: that file, or a text file with one folder per line."""
    samples = _listed(root, options)
    if samples is None:
        samples = {path.parent.parent for path in walk(root) if path.parent.name == "image"}
    found = []
    for sample in sorted(samples, key=natural):
        pictures = pictures_in(sample / "image")
        if not pictures:
            raise PixWizardError(
                f"the split names {sample}, which holds no image/ with a picture; give the folder "
                f"above {' and '.join(SENSORS)} as --root"
            )
        depths = pictures_in(sample / "depth_bfx") or pictures_in(sample / "depth")
        if not depths:
            raise PixWizardError(f"{sample} has no depth_bfx or depth folder with a picture")
        truth = _depth_truth("rotated_metres", depths[0], options)
        found.append(_item(root, pictures[0], "depth", options, truth))
    return found


def _listed(root: Path, options: DatasetOptions) -> set[Path] | None:
    """The folders of a split, or None without a list."""
    official = next((root / name for name in SPLIT_FILES if (root / name).is_file()), None)
    path = Path(options.listed) if options.listed else official
    if path is None:
        return None
    if path.suffix == ".mat":
        values = matlab_values(str(path))
        name = f"all{options.split}"
        if name not in values:
            raise PixWizardError(f"{path} holds {', '.join(values)}, and no {name}")
        lines = [str(getattr(cell, "flat", [cell])[0]) for cell in values[name].flat]
    else:
        lines = read_text(path, PixWizardError).split()
    base = root / "SUNRGBD" if (root / "SUNRGBD").is_dir() else root
    return {base / _sample(line) for line in lines}


def _sample(line: str) -> str:
    """A folder of the split, relative to the sensors' folder, whatever its path starts with."""
    return line.replace("\\", "/").rsplit("SUNRGBD/", 1)[-1].strip("/")


def _item(
    root: Path, path: Path, task: str, options: DatasetOptions, truth: dict[str, Any]
) -> SourcePicture:
    return source_picture(root, path, truth, asked(options, task))


def ade20k(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ADEChallengeData2016: images/validation/*.jpg and annotations/validation/*.png."""
    root = root / "ADEChallengeData2016" if (root / "ADEChallengeData2016").is_dir() else root
    found = []
    for path in pictures_in(root / "images" / options.split):
        file = root / "annotations" / options.split / f"{path.stem}.png"
        truth = {"protocol": "segmentation", "kind": "labels", "file": str(file.absolute())}
        found.append(_item(root, path, "segmentation", options, truth))
    return found


LAYOUTS = {
    "nyuv2": DatasetLayout(
        "depth", nyuv2, ("test",), "test/<scene>/rgb_*.jpg and sync_depth_*.png",
        folders=("nyuv2", "NYUv2", "nyu_depth_v2", "nyu"),
        source="cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html, as folders of its test split",
    ),
    "nyuv2-normals": DatasetLayout(
        "normal", nyuv2_normals, ("test",), "test/<scene>/rgb_*.jpg and normal_*.png",
        folders=("nyuv2-normals", "nyuv2_normals", "nyuv2", "NYUv2"),
        source="NYU Depth V2 with normal maps beside its pictures",
    ),
    "sunrgbd": DatasetLayout(
        "depth", sunrgbd, ("test", "train"), "…/image/*.jpg and …/depth_bfx/*.png",
        folders=("sunrgbd", "SUNRGBD", "sun_rgbd", "OFFICIAL_SUNRGBD"),
        source="rgbd.cs.princeton.edu (SUNRGBD.zip and SUNRGBDtoolbox.zip)",
    ),
    "ade20k": DatasetLayout(
        "segmentation", ade20k, ("validation", "training"), "images/ and annotations/",
        folders=("ade20k", "ADE20K", "ADEChallengeData2016"),
        source="data.csail.mit.edu/places/ADEchallenge (ADEChallengeData2016.zip)",
    ),
}  # fmt: skip
