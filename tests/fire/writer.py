"""A process that writes one kind of file again and again until it is killed:

python -m tests.fire.writer KIND FOLDER. It says "ready" when it begins, and never stops by itself.
"""

from __future__ import annotations

import sys
from functools import cache
from itertools import count
from pathlib import Path

import torch

from pixwizard_core.decode.palette import ade20k
from pixwizard_core.encoders.taesd import Autoencoder, save_autoencoder
from pixwizard_core.encoders.tiny import load_encoders, save_encoders
from pixwizard_core.files.answers import write_answer
from pixwizard_core.files.data_files import DepthScale, save_depth, save_label_map
from pixwizard_core.files.picture_files import save_array, save_picture
from pixwizard_core.weights.checkpoint import save
from pixwizard_core.weights.convert import convert
from tests.fire.hostile_tensors import SMALL, good

SIDE = 700


def depth(folder: Path, number: int, ending: str) -> None:
    save_depth(folder / f"out.{ending}", torch.full((SIDE, SIDE), number % 7 / 7), DepthScale())


def checkpoint(folder: Path, number: int) -> None:
    weights = {name: torch.full_like(tensor, number % 7) for name, tensor in good().items()}
    save(folder / "out.safetensors", weights, SMALL)


def converted(folder: Path, number: int) -> None:
    source = folder.parent / "source.safetensors"
    if not source.exists():
        save(source, good(), SMALL)
    convert(source, folder / "out.safetensors", ("bf16", "fp16", "fp32")[number % 3])


def labels(folder: Path, number: int) -> None:
    save_label_map(folder / "out.png", torch.full((SIDE, SIDE), number % 9), ade20k())


bundled = cache(load_encoders)


def encoders(folder: Path, number: int) -> None:
    save_encoders(*bundled(), folder)


def answers(folder: Path, number: int) -> None:
    """A picture, its labels and classes, and their legend."""
    write_answer(folder, "out", "segmentation", torch.rand(1, 3, SIDE, SIDE))


KINDS = {
    "depth_png": lambda folder, n: depth(folder, n, "png"),
    "depth_exr": lambda folder, n: depth(folder, n, "exr"),
    "depth_npy": lambda folder, n: depth(folder, n, "npy"),
    "labels": labels,
    "picture": lambda folder, n: save_picture(folder / "out.png", torch.rand(3, SIDE, SIDE)),
    "array": lambda folder, n: save_array(folder / "out.npy", torch.rand(SIDE, SIDE)),
    "checkpoint": checkpoint,
    "convert": converted,
    "autoencoder": lambda folder, n: save_autoencoder(Autoencoder(), folder / "out.safetensors"),
    "encoders": encoders,
    "answers": answers,
}


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    KINDS[kind](folder, 0)
    print("ready", flush=True)
    for number in count(1):
        KINDS[kind](folder, number)


if __name__ == "__main__":
    main()
