"""Datasets as unpacked on disk: which pictures, what to ask, where the truth is.

Each function takes the folder and DatasetOptions and gives pictures with `truth` filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import PixWizardError
from ..files.kinds import is_picture
from ..files.walk import is_hidden, natural, walk
from ..fleet.items import safe_name
from ..fleet.manifest import read_json_lines
from ..fleet.sources import SourcePicture
from ..json_text import read_text
from .layouts_referring import DatasetOptions, find_referring
from .truths import matlab_array

# Where NYUv2 is scored since Eigen et al. (2014): top, bottom, left, right of 480 x 640 px.
EIGEN_CROP = (45, 471, 41, 601)
NYU_SIZE = (480, 640)
INDOOR_M = (1e-3, 10.0)  # depths that count; D.1 has depth in 0..10 m
MILLIMETRES = 1000.0


@dataclass(frozen=True, slots=True)
class DatasetLayout:
    """find: pictures with truth. protocol: of protocols.SCORERS. splits: names --split may have,
    the first by default. note: what the folder must hold."""

    protocol: str
    find: Callable[[Path, DatasetOptions], list[SourcePicture]]
    splits: tuple[str, ...]
    note: str


def _pictures(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted((p for p in found if is_picture(p) and not is_hidden(p.name)), key=natural)


def _beside(folder: Path, stem: str) -> Path | None:
    """The picture of this stem in a folder, whatever its ending."""
    found = [path for path in _pictures(folder) if path.stem == stem]
    return found[0] if found else None


def _found(root: Path, path: Path, task: str, truth: dict[str, Any], **words: str) -> SourcePicture:
    name = safe_name(path.relative_to(root).with_suffix(""))
    return SourcePicture(name, path, words={"task": task, **words}, truth=truth)


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
        found.append(_found(root, path, "depth", {**truth, "crop": _crop_of(path)}))
    return found


def _crop_of(path: Path) -> list[int] | None:
    from ..files.picture_files import picture_size

    width, height = picture_size(path)
    return list(EIGEN_CROP) if (height, width) == NYU_SIZE else None


def nyuv2_normals(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ROOT/test/<scene>/rgb_00045.jpg and normal_00045.png: RGB for x, y, z."""
    found = []
    for path in _rgb_files(root, options.split):
        file = path.with_name(f"normal_{path.stem.removeprefix('rgb_')}.png")
        truth = {"protocol": "normal", "kind": "normals", "file": str(file.absolute())}
        found.append(_found(root, path, "normal", {**truth, "sign": list(options.sign)}))
    return found


def _rgb_files(root: Path, split: str) -> list[Path]:
    folder = root / split if (root / split).is_dir() else root
    return [path for path in walk(folder) if path.name.startswith("rgb_") and is_picture(path)]


def sunrgbd(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ROOT/<sensor>/…/image/*.jpg and depth_bfx/*.png. Its split is a MATLAB file; --list takes the
    folders of a split, one a line."""
    samples = {path.parent.parent for path in walk(root) if path.parent.name == "image"}
    if options.listed:
        named = read_text(Path(options.listed), PixWizardError).split()
        samples = {root / line.strip("/").removeprefix("SUNRGBD/") for line in named}
    found = []
    for sample in sorted(samples, key=natural):
        depths = _pictures(sample / "depth_bfx") or _pictures(sample / "depth")
        for path in _pictures(sample / "image")[:1]:
            if not depths:
                raise PixWizardError(f"{sample} has no depth_bfx or depth folder with a picture")
            truth = _depth_truth("rotated_metres", depths[0], options)
            found.append(_found(root, path, "depth", truth))
    return found


def ade20k(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """ADEChallengeData2016: images/validation/*.jpg and annotations/validation/*.png."""
    root = root / "ADEChallengeData2016" if (root / "ADEChallengeData2016").is_dir() else root
    found = []
    for path in _pictures(root / "images" / options.split):
        file = root / "annotations" / options.split / f"{path.stem}.png"
        truth = {"protocol": "segmentation", "kind": "labels", "file": str(file.absolute())}
        found.append(_found(root, path, "segmentation", truth))
    return found


def rain100l(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Pairs as rainy/rain-001.png and norain-001.png, flat or in folders, or input/ and target/."""
    pairs = list(_named_pairs(root)) or list(_foldered_pairs(root))
    return [_pair(root, rainy, clear, "derain") for rainy, clear in pairs]


def _named_pairs(root: Path) -> Iterable[tuple[Path, Path]]:
    files = [path for path in walk(root) if is_picture(path)]
    clear = {p.stem.removeprefix("no"): p for p in files if p.stem.startswith("norain")}
    for path in files:
        if path.stem.startswith("rain"):
            stem = path.stem.split("x")[0]  # rain-001x2.png in the first release
            if stem not in clear:
                raise PixWizardError(f"{path} has no norain{path.stem[4:]} beside it")
            yield path, clear[stem]


FOLDERS = (("input", "target"), ("input", "groundtruth"), ("input_crops", "target_crops"))


def _foldered_pairs(root: Path) -> Iterable[tuple[Path, Path]]:
    for before, after in FOLDERS:
        for path in _pictures(root / before) if (root / after).is_dir() else ():
            truth = _beside(root / after, path.stem)
            if truth is None:
                raise PixWizardError(f"{path} has no {after}/{path.stem}")
            yield path, truth


def _pair(root: Path, before: Path, after: Path, task: str) -> SourcePicture:
    truth = {"protocol": "picture", "kind": "picture", "file": str(after.absolute())}
    return _found(root, before, task, truth)


def sidd(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """input_crops/ and target_crops/, or <scene>/NOISY_SRGB_010.PNG and GT_SRGB_010.PNG.

    The two .mat files of validation blocks are to be unpacked first, by `unpack_sidd`.
    """
    pairs = list(_foldered_pairs(root))
    noisy = [path for path in walk(root) if "NOISY_SRGB" in path.name]
    pairs += [(path, path.with_name(path.name.replace("NOISY_SRGB", "GT_SRGB"))) for path in noisy]
    return [_pair(root, noisy, clean, "denoise") for noisy, clean in pairs]


SIDD_FILES = {
    "input_crops": "ValidationNoisyBlocksSrgb.mat",
    "target_crops": "ValidationGtBlocksSrgb.mat",
}


def unpack_sidd(root: Path, out: Path) -> Path:
    """The validation blocks of the two MATLAB files as pictures in the folders that sidd() reads;
    root itself where it holds no such files. Needs SciPy."""
    import torch

    from ..files.picture_files import save_picture

    if not all((root / name).is_file() for name in SIDD_FILES.values()):
        return root
    for folder, name in SIDD_FILES.items():
        values = matlab_array(str(root / name))
        (out / folder).mkdir(parents=True, exist_ok=True)
        for scene, blocks in enumerate(values):
            for number, block in enumerate(blocks):
                path = out / folder / f"{scene:04}_{number:02}.png"
                if not path.is_file():
                    save_picture(path, torch.from_numpy(block.copy()).movedim(-1, 0) / 255)
    return out


def world(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Scenes of the demo world as `pixwizard evaluate data world` writes them: items.jsonl with
    path, task, instruction, words (the task's fields) and truth, files beside it. With words, the
    model is asked as it was trained; lists without them keep their instruction."""
    found = []
    for number, row in read_json_lines(root / "items.jsonl"):
        try:
            truth = {**row["truth"], "file": str((root / row["truth"]["file"]).absolute())}
            path, words = root / row["path"], _asked(row)
        except (KeyError, TypeError) as error:
            raise PixWizardError(f"items.jsonl, line {number}: {error} is missing") from error
        if options.align and truth["protocol"] == "depth":
            truth["align"] = True
        found.append(SourcePicture(safe_name(path.stem), path, words=words, truth=truth))
    return found


def _asked(row: dict[str, Any]) -> dict[str, str]:
    if isinstance(row.get("words"), dict):
        return {"task": row["task"], **row["words"]}
    return {name: row[name] for name in ("task", "instruction")}


def _restored(
    find: Callable[[Path, DatasetOptions], list[SourcePicture]], note: str
) -> DatasetLayout:
    return DatasetLayout("picture", find, ("test",), note)


LAYOUTS: dict[str, DatasetLayout] = {
    "nyuv2": DatasetLayout(
        "depth", nyuv2, ("test",), "test/<scene>/rgb_*.jpg and sync_depth_*.png"
    ),
    "nyuv2-normals": DatasetLayout(
        "normal", nyuv2_normals, ("test",), "test/<scene>/rgb_*.jpg and normal_*.png"
    ),
    "sunrgbd": DatasetLayout("depth", sunrgbd, ("test",), "…/image/*.jpg and …/depth_bfx/*.png"),
    "ade20k": DatasetLayout(
        "segmentation", ade20k, ("validation", "training"), "images/ and annotations/"
    ),
    "refcoco": DatasetLayout(
        "mask", find_referring("refcoco"),
        ("val", "testA", "testB"), "refcoco/refs(unc).p, instances.json and COCO's pictures",
    ),
    "refcoco+": DatasetLayout(
        "mask", find_referring("refcoco+"), ("val", "testA", "testB"), "as refcoco, in refcoco+/"
    ),
    "grefcoco": DatasetLayout(
        "mask", find_referring("grefcoco"), ("val", "testA", "testB"), "grefs(unc).json, as refcoco"
    ),
    "rain100l": _restored(rain100l, "rain-*.png and norain-*.png, or input/ and target/"),
    "sidd": _restored(sidd, "the validation .mat files, input_crops/ and target_crops/, or scenes"),
    "world": DatasetLayout("depth", world, ("test",), "items.jsonl; written for you when left out"),
}  # fmt: skip


def find_data(name: str, root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """The pictures of a dataset. Raises PixWizardError for a folder without any, and for lists
    that hold something else."""
    layout = LAYOUTS[name]
    split = options.split or layout.splits[0]
    if not root.is_dir():
        raise PixWizardError(f"there is no folder {root}")
    try:
        found = layout.find(root, replace(options, split=split))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise PixWizardError(
            f"the lists in {root} are not those of {name} ({type(error).__name__}: {error}); it "
            f"needs {layout.note}"
        ) from error
    if not found:
        raise PixWizardError(f"{root} holds no {name} pictures for {split}: it needs {layout.note}")
    return found[: options.count] if options.count else found


def names() -> Sequence[str]:
    return tuple(LAYOUTS)
