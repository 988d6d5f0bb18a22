"""Small data in every layout that the paper's 58 numbers need, as the sets unpack from their
archives: rendered scenes with their exact truth.

    python -m tests.support.paper_data FOLDER [COUNT [SIDE]]
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import torch

from pixwizard_core.decode.palette import ade20k
from pixwizard_core.files.picture_files import save_grey16, save_picture
from pixwizard_core.world.examples import Examples
from pixwizard_core.world.held_out import HELD_OUT_SEED, examples_of
from pixwizard_core.world.render import CLASSES
from tests.support.paper_tables import magicbrush, multigen, table

SIDE, COUNT = 128, 2
# Classes of the rendered scenes -> ADE20K's names for something like them.
ADE_NAMES = {"wall": "wall", "floor": "floor"}
ADE_OBJECTS = ("ball", "box", "vase", "lamp", "chair", "table")
SPLITS = ("val", "testA", "testB")


def scenes(task: str, count: int, side: int) -> Examples:
    """Examples of a task that no model was trained on."""
    return examples_of(task, count, (side, side), HELD_OUT_SEED, held_out=False)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def put(path: Path, picture: torch.Tensor) -> Path:
    """A picture file (3, H, W) in 0..1, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, picture)
    return path


def put_metres(path: Path, metres: torch.Tensor, turned: bool = False) -> None:
    """16-bit millimetres (H, W); turned: by three bits, as SUN RGB-D keeps them."""
    values = (metres * 1000).round().long().clamp(0, 65535)
    if turned:
        values = ((values << 3) | (values >> 13)) & 0xFFFF
    path.parent.mkdir(parents=True, exist_ok=True)
    save_grey16(path, values.double() / 65535)


def nyuv2(root: Path, count: int, side: int) -> None:
    some = scenes("depth", count, side)
    for n in range(count):
        folder = root / "nyuv2" / "test" / "bathroom"
        put(folder / f"rgb_{n:05}.jpg", some.inputs[n])
        put_metres(folder / f"sync_depth_{n:05}.png", some.truth["depth_m"][n])


def normals(root: Path, count: int, side: int) -> None:
    some = scenes("normal", count, side)
    for n in range(count):
        folder = root / "nyuv2-normals" / "test" / "bathroom"
        put(folder / f"rgb_{n:05}.jpg", some.inputs[n])
        put(folder / f"normal_{n:05}.png", (some.truth["normals"][n] + 1) / 2)


def sunrgbd(root: Path, count: int, side: int) -> None:
    from scipy.io import savemat

    some = scenes("depth", count, side)
    names = []
    for n in range(count):
        inside = f"kv1/NYUdata/NYU{n + 1:04}"
        folder = root / "sunrgbd" / "SUNRGBD" / inside
        put(folder / "image" / f"NYU{n + 1:04}.jpg", some.inputs[n])
        depth = folder / "depth_bfx" / f"NYU{n + 1:04}.png"
        put_metres(depth, some.truth["depth_m"][n], turned=True)
        names.append(f"/n/fs/sun3d/data/SUNRGBD/{inside}")
    cells = np.empty((1, count), object)
    cells[0, :] = names
    toolbox = root / "sunrgbd" / "SUNRGBDtoolbox" / "traintestSUNRGBD"
    toolbox.mkdir(parents=True, exist_ok=True)
    savemat(toolbox / "allsplit.mat", {"alltest": cells, "alltrain": cells[:, :0]})


def ade(root: Path, count: int, side: int) -> None:
    some = scenes("segmentation", count, side)
    palette = ade20k()
    names = [ADE_NAMES.get(name, ADE_OBJECTS[i % len(ADE_OBJECTS)])
             for i, name in enumerate(CLASSES)]  # fmt: skip
    labels = torch.tensor([palette.names.index(name) for name in names])
    base = root / "ade20k" / "ADEChallengeData2016"
    for n in range(count):
        put(base / "images" / "validation" / f"ADE_val_{n + 1:08}.jpg", some.inputs[n])
        truth = labels[some.truth["classes"][n]].float() / 255
        put(base / "annotations" / "validation" / f"ADE_val_{n + 1:08}.png", truth)


def sidd(root: Path, count: int, side: int) -> None:
    from scipy.io import savemat

    some = scenes("denoise", count, side)
    (root / "sidd").mkdir(parents=True, exist_ok=True)
    for name, pictures in (("Noisy", some.inputs), ("Gt", some.targets)):
        blocks = (pictures * 255).round().to(torch.uint8).movedim(1, -1)[None].numpy()
        file = f"Validation{name}BlocksSrgb.mat"
        savemat(root / "sidd" / file, {f"Validation{name}BlocksSrgb": blocks})


# Dataset -> task, and the files of picture n before and after restoration.
PAIRED = {
    "rain100l": ("derain", "Rain100L/rainy/rain-{n:03}.png", "Rain100L/norain-{n:03}.png"),
    "snow100k": (
        "desnow", "media/jdway/GameSSD/overlapping/test/Snow100K-L/synthetic/city_{n:05}.jpg",
        "media/jdway/GameSSD/overlapping/test/Snow100K-L/gt/city_{n:05}.jpg",
    ),
    "sots": ("dehaze", "SOTS/outdoor/hazy/{n:04}_0.8_0.2.jpg", "SOTS/outdoor/gt/{n:04}.png"),
    "lolv2": (
        "lowlight", "LOL-v2/Real_captured/Test/Low/low{n:05}.png",
        "LOL-v2/Real_captured/Test/Normal/normal{n:05}.png",
    ),
    "gopro": ("deblur", "test/GOPR0384_11_00/blur/{n:06}.png",
              "test/GOPR0384_11_00/sharp/{n:06}.png"),
    "toled": ("denoise", "test/LQ/{n}.png", "test/HQ/{n}.png"),
    "uieb": ("lowlight", "raw-890/{n}_img_.png", "reference-890/{n}_img_.png"),
}  # fmt: skip


def restored(root: Path, count: int, side: int) -> None:
    for name, (task, before, after) in PAIRED.items():
        some = scenes(task, count, side)
        for n in range(count):
            put(root / name / before.format(n=n + 1), some.inputs[n])
            put(root / name / after.format(n=n + 1), some.targets[n])


def referring(root: Path, count: int, side: int) -> None:
    """RefCOCO, RefCOCO+ and gRefCOCO over the same pictures of COCO; each split has them all."""
    some = scenes("mask", count, side)
    base = root / "refer"
    images, shapes, rows = [], [], []
    for n in range(count):
        file = f"COCO_train2014_{n:012}.jpg"
        put(base / "images" / "mscoco" / "images" / "train2014" / file, some.inputs[n])
        images.append({"id": n, "file_name": file, "height": side, "width": side})
        runs = run_lengths(some.truth["mask"][n])
        shapes.append({"id": n, "segmentation": {"size": [side, side], "counts": runs}})
        rows += [
            {"ref_id": 10 * n + k, "ann_id": n, "image_id": n, "split": split,
             "sentences": [{"sent_id": 10 * n + k, "sent": some.truth["target"][n]}]}
            for k, split in enumerate(SPLITS)
        ]  # fmt: skip
    for name in ("refcoco", "refcoco+"):
        write_json(base / name / "instances.json", {"images": images, "annotations": shapes})
        (base / name / "refs(unc).p").write_bytes(pickle.dumps(rows, 2))
    write_json(base / "grefcoco" / "instances.json", {"images": images, "annotations": shapes})
    nothing = [{**row, "ann_id": [-1] if i == 0 else [row["ann_id"]]} for i, row in enumerate(rows)]
    write_json(base / "grefcoco" / "grefs(unc).json", nothing)


def run_lengths(mask: torch.Tensor) -> list[int]:
    """COCO's counts of a mask (H, W) bool: down the columns, beginning with the number of zeros."""
    flat = mask.T.flatten().to(torch.uint8)
    values, counts = torch.unique_consecutive(flat, return_counts=True)
    return ([0] if bool(values[0]) else []) + counts.tolist()


def places(root: Path, count: int, side: int) -> None:
    some = scenes("inpaint", count, side)
    for n in range(count):
        path = root / "places" / "val_large" / f"Places365_val_{n + 1:08}.jpg"
        wide = torch.cat([some.targets[n], some.targets[n].flip(-1)[..., : side // 2]], -1)
        put(path, wide)


def coco(root: Path, count: int, side: int) -> None:
    some = scenes("text2image", count, side)
    files = [f"COCO_val2014_{n:012}.jpg" for n in range(count)]
    for n, file in enumerate(files):
        put(root / "coco" / "val2014" / file, some.targets[n])
    write_json(root / "coco" / "annotations" / "captions_val2014.json", {
        "images": [{"id": n, "file_name": file} for n, file in enumerate(files)],
        "annotations": [{"id": 10 * n + k, "image_id": n, "caption": some.truth["caption"][n]}
                        for n in range(count) for k in range(2)],
    })  # fmt: skip
    write_json(root / "hpsv2" / "benchmark" / "photo.json", list(some.truth["caption"]))


def edits(root: Path, count: int, side: int) -> None:
    some = scenes("edit", count, side)
    table(root / "emu-edit" / "data" / "test-00000-of-00001.parquet", [
        {"instruction": some.instructions[n], "image": some.inputs[n], "task": "local",
         "split": "test", "idx": n, "hash": f"{n:x}", "input_caption": some.truth["caption"][n],
         "output_caption": f"{some.truth['caption'][n]}, {some.instructions[n]}"}
        for n in range(count)
    ])  # fmt: skip
    magicbrush(root / "magicbrush" / "test", some)


def controlled(root: Path, count: int, side: int) -> None:
    for kind in ("canny", "depth"):
        multigen(root / f"multigen-{kind}" / "data", kind, scenes(f"from_{kind}", count, side))


MAKERS = (nyuv2, normals, sunrgbd, ade, sidd, restored, referring, places, coco, edits, controlled)


def write_paper_data(root: Path, count: int = COUNT, side: int = SIDE) -> Path:
    """All sets of the 58 numbers below root, count pictures of each, of side px. Returns root."""
    for make in MAKERS:
        make(root, count, side)
    return root


if __name__ == "__main__":
    folder, *numbers = sys.argv[1:]
    write_paper_data(Path(folder), *map(int, numbers))
