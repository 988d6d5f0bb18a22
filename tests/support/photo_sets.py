"""Small datasets of photographs with maps, laid out as their authors release them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from pixwizard_core.files.picture_files import save_picture

HEIGHT, WIDTH = 24, 32
UNKNOWN = (3, 4)  # the pixel of Hypersim's files that holds no number
MATRIX = tuple(f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3))
# Parts of a picture: rows, columns, class, name and whether one of ADE20K's 150 has it.
SPLITS = {"train": "training", "val": "validation"}
PARTS = (
    (slice(0, 16), slice(0, 32), 2420, "sky"),
    (slice(16, 24), slice(0, 24), 401, "car, auto, automobile, machine, motorcar"),
    (slice(16, 24), slice(24, 32), 774, "door"),
    (slice(11, 14), slice(14, 18), 1404, "kite"),
)


def textured(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> torch.Tensor:
    """A picture (3, H, W) in 0..1 with something to see everywhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]


def nyu_file(folder: Path, train: tuple[int, ...] = (), count: int = 3) -> Path:
    """nyu_depth_v2_labeled.mat; a pixel's colour is its row, its column, and the picture's number.
    train: numbers in splits.mat, none for no such file."""
    import h5py
    from scipy.io import savemat

    rows, columns = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), indexing="ij")
    pictures, depths = [], []
    for number in range(count):
        pictures.append(np.stack([rows.T, columns.T, np.full((WIDTH, HEIGHT), number)]))
        depth = (1.0 + number + rows / 24).T.astype("float32")
        depth[0, 0] = 0.0
        depths.append(depth)
    path = folder / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        file["images"] = np.stack(pictures).astype("uint8")
        file["rawDepths"] = np.stack(depths)
    if train:
        savemat(folder / "splits.mat", {"trainNdxs": np.array(train)[:, None]})
    return path


def hypersim_frame(
    root: Path,
    scene: str,
    number: int,
    rays: float = 2.0,
    normal: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> None:
    """A picture with the same distance along every ray, and one normal; UNKNOWN has neither."""
    import h5py

    images = root / scene / "images"
    preview, geometry = (
        images / f"scene_cam_00_{kind}" for kind in ("final_preview", "geometry_hdf5")
    )
    preview.mkdir(parents=True)
    geometry.mkdir()
    save_picture(preview / f"frame.{number:04d}.tonemap.jpg", textured())
    distances = np.full((HEIGHT, WIDTH), rays, dtype="float16")
    normals = np.tile(np.array(normal, dtype="float16"), (HEIGHT, WIDTH, 1))
    distances[UNKNOWN] = np.nan
    normals[UNKNOWN] = np.nan
    for kind, values in (("depth_meters", distances), ("normal_cam", normals)):
        with h5py.File(geometry / f"frame.{number:04d}.{kind}.hdf5", "w") as file:
            file["dataset"] = values


def scene_parsing(root: Path, number: int) -> None:
    """ADEChallengeData2016 with two training pictures, of which one has classes, all number."""
    root = root / "ADEChallengeData2016"
    for folder in ("images", "annotations"):
        for split in ("training", "validation"):
            (root / folder / split).mkdir(parents=True)
    for name in ("training/ADE_train_1", "training/ADE_train_2", "validation/ADE_val_1"):
        save_picture(root / "images" / f"{name}.jpg", textured(seed=len(name)))
    for name in ("training/ADE_train_1", "validation/ADE_val_1"):
        save_picture(
            root / "annotations" / f"{name}.png", torch.full((HEIGHT, WIDTH), number / 255)
        )


def ade20k_parts(root: Path, release: str) -> None:
    """The unprocessed set with a training and a validation picture of PARTS. release: 2016 names
    objects by their number in the picture, 2021 by their class."""
    for split in ("train", "val"):
        folder = root / "images" / SPLITS[split] / "street"
        folder.mkdir(parents=True)
        stem = f"ADE_{split}_1"
        save_picture(folder / f"{stem}.jpg", textured())
        seg = torch.zeros(3, HEIGHT, WIDTH)
        rows = []
        for number, (y, x, code, name) in enumerate(PARTS, 1):
            channels = torch.tensor([code // 256 * 10, code % 256, 17.0 * number])
            seg[:, y, x] = channels[:, None, None]
            rows.append({"id": number, "name": name, "name_ndx": code})
        save_picture(folder / f"{stem}_seg.png", seg / 255)
        if release == "2021":
            data = {"annotation": {"object": rows}}
            (folder / f"{stem}.json").write_text(json.dumps(data))
        else:
            lines = [f"{r['id']:03d} # 0 # 0 # {r['name']} # {r['name']} # \"\"" for r in rows]
            lines.append('001 # 1 # 0 # wheel # wheel # ""')  # a part of an object
            (folder / f"{stem}_atr.txt").write_text("\n".join(lines) + "\n")
