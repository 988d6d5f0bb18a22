"""Generated pictures: from edges, depth or text, into holes and beyond borders.

Inputs that must be made first (squares, holes, edges) are written below DatasetOptions.prepared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ...errors import PixWizardError
from ...files.contents import contents
from ...files.kinds import is_picture
from ...files.walk import walk
from ...fleet.items import digest, safe_name
from ...fleet.sources import SourcePicture
from ...json_text import read_json_file
from .common import DatasetLayout, DatasetOptions, asked, first, folder_with, pictures_in
from .prepare import (
    as_file,
    canny_lines,
    large_hole,
    middle_square,
    once,
    prepared_folder,
    stretched,
)
from .rows import rows_of_table

SIDE = 512  # px; D.1
HPS_SIDE = 1024
DRAWS = 4  # answers to each condition, as in ControlNet++
COCO_COUNT, COCO_SIDE, COCO_FID = 30_000, 512, 256
EXTENDED = 0.5  # share of an outpainted square's width that is new
STYLES = ("photo", "anime", "concept-art", "paintings")
CAPTIONS = "captions_val2014.json"
SEED_DIGITS = 8


def multigen(kind: str):
    """Make a layout: a table with image and text, and for depth control_depth."""

    def find(root: Path, options: DatasetOptions) -> list[SourcePicture]:
        side = options.side or SIDE
        folder = prepared_folder(options.prepared, f"multigen-{kind}", root, side)
        pictures = ("image", "control_depth") if kind == "depth" else ("image",)
        found = []
        for number, row in enumerate(rows_of_table(root, options.split, ("text",), pictures)):
            if options.count and number >= options.count:
                break
            stem = f"{number:06}"
            given = as_file(row["image"], folder / "given", stem)
            true = once(folder / "true" / f"{stem}.png", lambda g=given: stretched(g, side))
            truth = {"protocol": "measured", "kind": "picture", "file": str(true.absolute()),
                     "caption": row["text"], "question": stem}  # fmt: skip
            if kind == "depth":
                map_ = as_file(row["control_depth"], folder / "maps", stem)
                truth["depth"] = str(map_.absolute())
                condition = once(folder / f"{stem}.png", lambda m=map_: stretched(m, side))
            else:
                condition = once(folder / f"{stem}.png", lambda t=true: _edges(t))
            found += _draws(f"{stem}", condition, f"from_{kind}", row["text"], truth, options)
        return found

    return find


def _edges(path: Path) -> torch.Tensor:
    from ...files.picture_files import open_picture

    return canny_lines(open_picture(path)).float()[:, None].expand(-1, 3, -1, -1)


def _draws(
    stem: str, path: Path, task: str, caption: str, truth: dict[str, Any], options: DatasetOptions
) -> Iterator[SourcePicture]:
    """The same question, repeated with several seeds."""
    for draw in range(DRAWS if options.seeds is None else options.seeds):
        words = asked(options, task, caption=caption)
        words["seed"] = str(int(digest([stem, draw, options.seed])[:SEED_DIGITS], 16))
        yield SourcePicture(f"{stem}_{draw}", path, words=words, truth={**truth, "draw": draw})


def _places(root: Path) -> list[Path]:
    above = folder_with(root, "val_large")
    place = above / "val_large" if above else root
    return pictures_in(place) or [path for path in walk(place) if is_picture(path)]


def places_inpaint(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """val_large/*.jpg: the middle square of each, with a blank hole of 40 to 50 % of it."""
    return _blanked(root, options, "inpaint")


def places_outpaint(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """val_large/*.jpg: the middle square of each, with its right half blank."""
    return _blanked(root, options, "outpaint")


def _blanked(root: Path, options: DatasetOptions, task: str) -> list[SourcePicture]:
    from ...files.picture_files import open_picture, save_mask

    side = options.side or SIDE
    folder = prepared_folder(options.prepared, f"places-{task}", root, side, options.seed)
    found = []
    for path in first(_places(root), options.count):
        stem = safe_name(path.stem)
        true = once(folder / "true" / f"{stem}.png",
                    lambda p=path: middle_square(open_picture(p), side))  # fmt: skip
        mask = folder / "holes" / f"{stem}.png"
        if task == "inpaint":
            seed = int(digest([path.name, options.seed])[:SEED_DIGITS], 16)
            hole = None if mask.is_file() else large_hole(side, seed)
        else:
            hole = torch.zeros(side, side, dtype=torch.bool, device="cpu")
            hole[:, round(side * (1 - EXTENDED)) :] = True
        if hole is not None and not mask.is_file():
            mask.parent.mkdir(parents=True, exist_ok=True)
            save_mask(mask, hole)
        blank = once(folder / f"{stem}.png", lambda t=true, m=mask: _punched(t, m))
        truth = {"protocol": "measured", "kind": "picture", "file": str(true.absolute()),
                 "hole": str(mask.absolute())}  # fmt: skip
        words = asked(options, task, caption="")
        found.append(SourcePicture(stem, blank, words=words, truth=truth))
    return found


def _punched(true: Path, mask: Path) -> torch.Tensor:
    from ...files.picture_files import open_picture

    return torch.where(open_picture(mask) > 0.5, 0.0, open_picture(true))


def _blank(options: DatasetOptions, side: int, name: str) -> Path:
    side = options.side or side
    path = prepared_folder(options.prepared, name, None, side) / f"blank_{side}.png"
    return once(path, lambda: torch.ones(1, 3, side, side, dtype=torch.float32, device="cpu"))


def coco30k(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """val2014/*.jpg and annotations/captions_val2014.json: one caption for each of 30,000 pictures,
    chosen by the seed."""
    path = next((p / CAPTIONS for p in (root / "annotations", root)
                 if (p / CAPTIONS).is_file()), None)  # fmt: skip
    if path is None:
        raise PixWizardError(
            f"{root} holds no {CAPTIONS}, in annotations/ or by itself. Found there: "
            f"{contents(root)}"
        )
    data = read_json_file(path, PixWizardError)
    files = {row["id"]: row["file_name"] for row in data["images"]}
    captions: dict[int, list[tuple[int, str]]] = {}
    for row in data["annotations"]:
        captions.setdefault(row["image_id"], []).append((row["id"], row["caption"]))
    choose = random.Random(options.seed)
    chosen = sorted(choose.sample(sorted(captions), min(COCO_COUNT, len(captions))))
    blank = _blank(options, COCO_SIDE, "coco30k")
    found = []
    for image in chosen:
        _, caption = choose.choice(sorted(captions[image]))
        file = _val2014(root) / files[image]
        truth = {"protocol": "measured", "kind": "picture", "file": str(file.absolute()),
                 "caption": caption}  # fmt: skip
        words = asked(options, "text2image", caption=caption)
        found.append(SourcePicture(safe_name(Path(files[image]).stem), blank, words=words,
                                   truth=truth))  # fmt: skip
    return first(found, options.count)


def _val2014(root: Path) -> Path:
    return root / "val2014" if (root / "val2014").is_dir() else root


def coco_reference(root: Path, options: DatasetOptions) -> list[Path]:
    """All pictures of val2014."""
    return pictures_in(_val2014(root))


def hpsv2(root: Path, options: DatasetOptions) -> list[SourcePicture]:
    """<style>.json: lists of prompts; the style is the split."""
    places = (root, root / "benchmark", root / "datasets" / "benchmark")
    files = [place / f"{options.split}.json" for place in places]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise PixWizardError(
            f"{root} holds no {options.split}.json. Found there: {contents(root)}"
        )
    prompts = read_json_file(path, PixWizardError)
    if not isinstance(prompts, list) or not all(isinstance(text, str) for text in prompts):
        raise PixWizardError(f"{path.name} is no list of prompts")
    blank = _blank(options, HPS_SIDE, "hpsv2")
    return [
        SourcePicture(
            f"{number:05}", blank, words=asked(options, "text2image", caption=prompt),
            truth={"protocol": "measured", "caption": prompt},
        )
        for number, prompt in enumerate(first(prompts, options.count))
    ]  # fmt: skip


PLACES = "places2.csail.mit.edu (Places365 val_large.tar)"
MULTIGEN = "huggingface.co/datasets/limingcv/MultiGen-20M_{}_eval"
LAYOUTS = {
    "multigen-canny": DatasetLayout(
        "measured", multigen("canny"), ("validation",), "a table with image and text",
        folders=("multigen-canny", "MultiGen-20M_canny_eval"), source=MULTIGEN.format("canny"),
        metrics=("canny_f1", "fid", "clip_s"), fid="clean",
        choices=f"squares of {SIDE} px by bicubic; edges by kornia's Canny ({0.1}, {0.2}) on the "
        f"truth and on the answer; F1 over the {DRAWS} answers to a prompt, then its mean; FID is "
        f"the mean of the {DRAWS} draws; CLIP-S is 100 x cosine by ViT-B/16",
    ),
    "multigen-depth": DatasetLayout(
        "measured", multigen("depth"), ("validation",), "a table with image, text, control_depth",
        folders=("multigen-depth", "MultiGen-20M_depth_eval"), source=MULTIGEN.format("depth"),
        metrics=("depth_rmse", "fid", "clip_s"), fid="clean",
        choices=f"squares of {SIDE} px by bicubic; DPT-large estimates the answer's depth anew; "
        "the map is stretched to 0..255, the estimate by its maximum; mean of each picture's RMSE; "
        f"FID is the mean of the {DRAWS} draws; CLIP-S is 100 x cosine by ViT-B/16",
    ),
    "places-inpaint": DatasetLayout(
        "measured", places_inpaint, ("val",), "val_large/*.jpg",
        folders=("places", "places365", "Places365"), source=PLACES,
        metrics=("fid", "lpips_vgg"), fid="tf",
        choices=f"middle squares of {SIDE} px, black holes of 40 to 50 % of the area of our own "
        "drawing; what was given is laid over the answer before it is measured; LPIPS by VGG",
    ),
    "places-outpaint": DatasetLayout(
        "measured", places_outpaint, ("val",), "val_large/*.jpg",
        folders=("places", "places365", "Places365"), source=PLACES, metrics=("fid", "is"),
        fid="tf",
        choices=f"middle squares of {SIDE} px whose right half is new; what was given is laid over "
        "the answer before it is measured; IS over 10 parts",
    ),
    "coco30k": DatasetLayout(
        "measured", coco30k, ("val2014",), f"val2014/*.jpg and annotations/{CAPTIONS}",
        folders=("coco", "coco2014", "COCO"), source="cocodataset.org (val2014, annotations)",
        metrics=("fid",), fid="tf", crop=COCO_FID, reference=coco_reference,
        choices=f"one caption of each of 30,000 pictures by the seed; white canvas of "
        f"{COCO_SIDE} px; FID against all of val2014, middle squares of {COCO_FID} px",
    ),
    "hpsv2": DatasetLayout(
        "measured", hpsv2, STYLES, "photo.json and the other lists of 800 prompts",
        folders=("hpsv2", "HPSv2"), source="huggingface.co/datasets/zhwang/HPDv2 (benchmark)",
        metrics=("hps_v2", "hps_v2.1"),
        choices=f"white canvas of {HPS_SIDE} px; mean of parts of 80 pictures x 100; the paper's "
        "number is of version 2.0",
    ),
}  # fmt: skip
