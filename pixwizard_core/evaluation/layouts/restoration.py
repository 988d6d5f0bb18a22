"""Damaged pictures with their clean truth: the sets of tables 1 and 5, and the user's own pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from ...errors import PixWizardError
from ...files.contents import contents
from ...files.kinds import is_picture
from ...files.walk import natural, walk
from ...fleet.sources import SourcePicture
from ...json_text import read_text
from .common import (
    DatasetLayout,
    DatasetOptions,
    asked,
    by_stem,
    folder_with,
    partner,
    pictures_in,
    source_picture,
)
from .prepare import prepared_folder

Pair = tuple[Path, Path]
CLEAN = ("gt", "clear", "GT")  # folders of pictures without haze, in releases and repacked copies
# Folders of damaged pictures and of truths with the same file names.
FOLDERS = (
    ("input", "target"), ("input", "groundtruth"), ("input", "gt"), ("input", "GT"),
    ("Input", "GT"), ("LQ", "HQ"), ("lq", "gt"), ("low", "high"), ("input_crops", "target_crops"),
)  # fmt: skip
# Instructions for damage that is not in training, for which the paper gives no words.
UNDER_DISPLAY = "Restore this picture, which was taken by a camera under a display."
UNDERWATER = "Restore the colours and the contrast of this underwater picture."
ZERO_SHOT = {"toled": UNDER_DISPLAY, "uieb": UNDERWATER}
RGB_CHOICE = "PSNR and SSIM in RGB without a crop; on luma beside them"


def pair_of(
    root: Path, pair: Pair, options: DatasetOptions, task: str, instruction: str = ""
) -> SourcePicture:
    """A damaged picture to restore. task, instruction: used unless options override them."""
    before, after = pair
    truth = {"protocol": "picture", "kind": "picture", "file": str(after.absolute())}
    if instruction and not (options.task or options.instruction):
        words = {"instruction": instruction}
    else:
        words = asked(options, task)
    return source_picture(root, before, truth, words)


def foldered(root: Path, folders: Iterable[tuple[str, str]] = FOLDERS) -> Iterator[Pair]:
    """Pictures with the same names in the first pair of these folders that exists."""
    for before, after in folders:
        if (root / before).is_dir() and (root / after).is_dir():
            truths = by_stem(root / after)
            for path in pictures_in(root / before):
                yield path, partner(path, truths, path.stem, str(root / after))
            return


def rain100l(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Pairs as rainy/rain-001.png and norain-001.png, flat or in folders, or input/ and target/."""
    pairs = list(_rain_names(root)) or list(foldered(root))
    return [pair_of(root, pair, options, "derain") for pair in pairs]


def _rain_names(root: Path) -> Iterator[Pair]:
    files = [path for path in walk(root) if is_picture(path)]
    clear = {p.stem.removeprefix("no"): p for p in files if p.stem.startswith("norain")}
    for path in files:
        if path.stem.startswith("rain"):
            stem = path.stem.split("x")[0]  # rain-001x2.png in the first release
            if stem not in clear:
                raise PixWizardError(f"{path} has no norain{path.stem[4:]} beside it")
            yield path, clear[stem]


def sidd(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """input_crops/ and target_crops/, or <scene>/NOISY_SRGB_010.PNG and GT_SRGB_010.PNG.

    Unpack the two .mat files of validation blocks first, with unpack_sidd().
    """
    pairs = list(foldered(root))
    noisy = [path for path in walk(root) if "NOISY_SRGB" in path.name]
    pairs += [(path, path.with_name(path.name.replace("NOISY_SRGB", "GT_SRGB"))) for path in noisy]
    return [pair_of(root, pair, options, "denoise") for pair in pairs]


def snow100k(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Snow100K-L/synthetic/*.jpg and gt/ with the same names. The sets of small and medium snow use
    the same folder names, so the outer folder's name is checked."""
    named = folder_with(root, "Snow100K-L")
    place = root if root.name == "Snow100K-L" else named / "Snow100K-L" if named else root
    pairs = foldered(place, (("synthetic", "gt"),))
    return [pair_of(root, pair, options, "desnow") for pair in pairs]


def sots(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """outdoor/hazy/0001_0.8_0.2.jpg and outdoor/gt/0001.png; repacked copies have clear/ or GT/
    instead, and equal names."""
    above = folder_with(root, "outdoor")
    place = above / "outdoor" if above else root
    folder = next((place / name for name in CLEAN if (place / name).is_dir()), place / CLEAN[0])
    truths = by_stem(folder)
    pairs = (
        (path, partner(path, truths, path.stem if path.stem in truths else path.stem.split("_")[0],
                       str(folder)))
        for path in pictures_in(place / "hazy")
    )  # fmt: skip
    return [pair_of(root, pair, options, "dehaze") for pair in pairs]


def lolv2(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Real_captured/Test/Low/low00690.png and Normal/normal00690.png; repacked copies have equal
    names."""
    above = folder_with(root, "Real_captured")
    place = above / "Real_captured" if above else root
    place = place / "Test" if (place / "Test").is_dir() else place
    truths = {_digits(stem): path for stem, path in by_stem(place / "Normal").items()}
    pairs: Iterable[Pair] = (
        (path, partner(path, truths, _digits(path.stem), str(place / "Normal")))
        for path in pictures_in(place / "Low")
    )
    return [pair_of(root, pair, options, "lowlight") for pair in list(pairs) or foldered(place)]


def _digits(stem: str) -> str:
    return "".join(re.findall(r"\d+", stem)) or stem


def gopro(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """test/<sequence>/blur/000001.png and sharp/, or test/input and target/. Pictures in blur_gamma
    are another set and never used."""
    place = root / options.split if (root / options.split).is_dir() else root
    blurred = [path for path in walk(place) if path.parent.name == "blur" and is_picture(path)]
    known: dict[Path, dict[str, Path]] = {}
    pairs = []
    for path in blurred:
        sharp = path.parent.with_name("sharp")
        truths = known.setdefault(sharp, by_stem(sharp))
        pairs.append((path, partner(path, truths, path.stem, str(sharp))))
    return [pair_of(root, pair, options, "deblur") for pair in pairs or foldered(place)]


def toled(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """{val,test}/LQ/1.png and HQ/1.png, or Toled_{val,test}/."""
    names = (options.split, f"Toled_{options.split}")
    places = [above / name for name in names if (above := folder_with(root, name))]
    place = places[0] if places else root
    pairs = foldered(place, (("LQ", "HQ"), ("input", "GT")))
    return [pair_of(root, pair, options, "", UNDER_DISPLAY) for pair in pairs]


def uieb(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """raw-890/X.png and reference-890/X.png, each where its archive was unpacked. There is no
    standard split: --list names the pictures."""
    raw, reference = (_unpacked(root, name) for name in ("raw-890", "reference-890"))
    truths = by_stem(reference)
    pairs = [(path, partner(path, truths, path.stem, str(reference))) for path in pictures_in(raw)]
    if options.listed:
        pairs = list(_only(pairs, Path(options.listed)))
    return [pair_of(root, pair, options, "", UNDERWATER) for pair in pairs]


def _unpacked(root: Path, name: str) -> Path:
    """The folder of this name below root that holds pictures; an archive may hold the folder
    again."""
    above = folder_with(root, name)
    place = above / name if above else root / name
    return place / name if (place / name).is_dir() else place


def _only(pairs: list[Pair], listed: Path) -> Iterator[Pair]:
    known = {before.stem: (before, after) for before, after in pairs}
    for line in read_text(listed, PixWizardError).splitlines():
        if stem := Path(line.strip()).stem:
            if stem not in known:
                raise PixWizardError(f"{listed.name} names {line.strip()}, which is not in the set")
            yield known[stem]


def unpack_sidd(root: Path, out: Path) -> Path:
    """The validation blocks of SIDD's two MATLAB files as pictures in the folders that sidd()
    reads; root itself where it holds no such files. Needs SciPy."""
    import torch

    from ...files.matlab_files import matlab_array
    from ...files.picture_files import save_picture

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


SIDD_FILES = {
    "input_crops": "ValidationNoisyBlocksSrgb.mat",
    "target_crops": "ValidationGtBlocksSrgb.mat",
}


def sidd_unpacked(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """sidd(), after its MATLAB files were unpacked where there is a folder for that."""
    if options.prepared:
        root = unpack_sidd(root, prepared_folder(options.prepared, "sidd", root))
    return sidd(root, options)


_pair = partial(DatasetLayout, "picture", choices=RGB_CHOICE)
LAYOUTS = {
    "rain100l": _pair(
        rain100l, ("test",), "rain-*.png and norain-*.png, or input/ and target/",
        folders=("rain100l", "Rain100L", "rain100L"),
        source="icst.pku.edu.cn/struct/Projects/joint_rain_removal.html (Rain100L)",
    ),
    "sidd": _pair(
        sidd_unpacked, ("test",),
        "the validation .mat files, input_crops/ and target_crops/, or scenes",
        folders=("sidd", "SIDD"), source="abdokamel.github.io/sidd (sRGB validation blocks)",
    ),
    "snow100k-l": _pair(
        snow100k, ("test",), "Snow100K-L/synthetic/*.jpg and Snow100K-L/gt/ of equal names",
        folders=("snow100k", "Snow100K", "Snow100K-L"),
        source="sites.google.com/view/yunfuliu/desnownet (Snow100K-testset)",
    ),
    "sots": _pair(
        sots, ("test",), "outdoor/hazy/0001_0.8_0.2.jpg and outdoor/gt/0001.png",
        folders=("sots", "SOTS", "RESIDE"), source="sites.google.com/view/reside-dehaze-datasets",
    ),
    "lolv2": _pair(
        lolv2, ("test",), "Real_captured/Test/Low/low*.png and Normal/normal*.png",
        folders=("lolv2", "LOLv2", "LOL-v2"), source="github.com/flyywh/SGM-Low-Light (LOL-v2)",
        choices=RGB_CHOICE + "; brightness is not scaled to the truth's",
    ),
    "gopro": _pair(
        gopro, ("test",), "test/<sequence>/blur/*.png and sharp/, or test/input and test/target",
        folders=("gopro", "GoPro", "GOPRO_Large"), source="seungjunnah.github.io/Datasets/gopro",
        choices=RGB_CHOICE + "; blur/, never blur_gamma/",
    ),
    "toled": _pair(
        toled, ("test", "val"), "test/LQ/*.png and test/HQ/*.png",
        folders=("toled", "TOLED", "Toled"), source="yzhouas.github.io/projects/UDC (T-OLED)",
    ),
    "uieb": _pair(
        uieb, ("test",), "raw-890/*.png and reference-890/*.png",
        folders=("uieb", "UIEB"), source="li-chongyi.github.io/proj_benchmark.html",
        choices=RGB_CHOICE + "; no split is agreed on: all 890 unless --list names pictures",
    ),
}  # fmt: skip


def pairs(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """Two folders of equal names (--pair, or names of FOLDERS), files x_input and x_target, or the
    released model's list (--list): JSON objects with input_path, target_path and prompt."""
    from .pair_lists import listed_pairs, suffixed

    if options.listed:
        return listed_pairs(root, options)
    if not (options.task or options.instruction):
        raise PixWizardError("pairs need --task or --instruction, which say what to ask of them")
    if options.pair:
        found = _two_folders(*(root / name for name in options.pair))
    else:
        found = list(foldered(root)) or list(suffixed(root))
    return [pair_of(root, pair, options, "") for pair in found]


def _two_folders(before: Path, after: Path) -> list[Pair]:
    for folder in (before, after):
        if not pictures_in(folder):
            raise PixWizardError(f"{folder} holds no picture; found: {contents(folder)}")
    truths = by_stem(after)
    return [(path, partner(path, truths, path.stem, str(after))) for path in
            sorted(pictures_in(before), key=natural)]  # fmt: skip


LAYOUTS["pairs"] = _pair(
    pairs, ("test",), "input/ and target/, files x_input and x_target, --pair, or --list",
    folders=("pairs",),
)  # fmt: skip
