"""Teach the bundled model three tasks from 24 pairs of photographs each, and score them on others.

`python -m tests.support.taught_tasks DIR` writes the pairs, trains a LoRA for each task with the
defaults, prints the table of docs/teach.md, and draws DIR/taught.jpg: in each group of four the
input, the answer before, the answer with the LoRA, and what was wanted.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from pixwizard_core.bundle import load_tiny, with_loras
from pixwizard_core.canvas.images import to_image_01, to_pixels
from pixwizard_core.files.picture_files import as_pil, save_picture
from pixwizard_core.pipeline import Request, run
from pixwizard_core.weights.lora_use import LoraUse
from pixwizard_core.world.photographs import HOLD_OUT, pieces
from tests.support.hosts import REPO

PAIRS, SCORED, SIDE = 24, 12, 128
SETTINGS = ("--steps", "300", "--batch", "4", "--rate", "2e-3", "--threads", "1")
SHOWN = (0, 1)  # pieces in the picture


def grey(pictures: Tensor) -> Tensor:
    """(B,3,H,W) to (B,1,H,W), by the weights of Rec. 601."""
    return (pictures * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def grain(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Grainy pictures and the clean ones."""
    noise = torch.randn(pictures.shape, generator=generator)
    return (pictures + noise * 0.15).clamp(0, 1), pictures


def cyanotype(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and their prints in Prussian blue."""
    light = grey(pictures)
    blue = [light**1.6, 0.18 + 0.72 * light**1.15, 0.42 + 0.53 * light**0.8]
    return pictures, torch.cat(blue, 1).clamp(0, 1)


def outline(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and their soft gradients, dark on white."""
    soft = avg_pool2d(pad(grey(pictures), (2,) * 4, mode="replicate"), 5, 1)
    across = pad(soft[..., 1:] - soft[..., :-1], (0, 1))
    down = pad(soft[:, :, 1:] - soft[:, :, :-1], (0, 0, 0, 1))
    edges = ((across**2 + down**2).sqrt() / 0.035).clamp(0, 1)
    return pictures, (1 - edges).expand(-1, 3, -1, -1)


@dataclass(frozen=True)
class Lesson:
    """A task to teach: its sentence, and what makes input and target from pictures."""

    words: str
    make: Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


LESSONS = (
    Lesson("Remove the grain.", grain),
    Lesson("Print it as a cyanotype.", cyanotype),
    Lesson("Draw it as dark outlines on white paper.", outline),
)


def psnr(found: Tensor, wanted: Tensor) -> float:
    """Mean over the pictures, in dB."""
    return float(-10 * (found - wanted).square().mean((1, 2, 3)).log10().mean())


def taught(lesson: Lesson, folder: Path) -> tuple[Path, float]:
    """Write the pairs and train. Returns the LoRA's file and the processor seconds."""
    generator = torch.Generator().manual_seed(5)
    pairs = lesson.make(pieces(PAIRS, SIDE, SIDE, generator, use="train"), generator)
    for name, pictures in zip(("input", "target"), pairs, strict=True):
        (folder / "pairs" / name).mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            save_picture(folder / "pairs" / name / f"{number:02d}.png", picture)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pixwizard_core", "train-lora", str(folder / "pairs")]
    command += ["--instruction", lesson.words, "--out", str(folder / "lora"), *SETTINGS]
    command += ["--cache", str(folder / "cache")]
    subprocess.run(command, check=True, cwd=REPO, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return folder / "lora" / "lora.safetensors", seconds


@torch.no_grad()
def main() -> None:
    folder, rows = Path(sys.argv[1]), []
    print("| sentence | input | before | taught | ceiling | processor seconds |")
    print("|---|---|---|---|---|---|")
    for lesson in LESSONS:
        with torch.enable_grad():
            file, seconds = taught(lesson, folder / lesson.make.__name__)
        generator = torch.Generator().manual_seed(6)
        x, wanted = lesson.make(pieces(SCORED, SIDE, SIDE, generator, use=HOLD_OUT), generator)
        x, wanted = ((part * 255).round() / 255 for part in (x, wanted))
        plain = load_tiny()
        changed, _ = with_loras(load_tiny(), [LoraUse(str(file))])
        ceiling = to_image_01(plain.vae.decode(plain.vae.encode(to_pixels(wanted))))
        before, after = (run(one, Request(x, lesson.words)).image_01 for one in (plain, changed))
        scores = [f"{psnr(part, wanted):.1f}" for part in (x, before, after, ceiling)]
        print(f"| {' | '.join([lesson.words, *scores, f'{seconds:.0f}'])} |", flush=True)
        cells = [part[n] for n in SHOWN for part in (x, before, after, wanted)]
        rows.append(torch.cat([pad(cell, (3,) * 4, value=1.0) for cell in cells], 2))
    sheet = interpolate(torch.cat(rows, 1)[None], scale_factor=1.25, mode="bicubic", antialias=True)
    as_pil(sheet.clamp(0, 1)[0]).save(folder / "taught.jpg", quality=90)


if __name__ == "__main__":
    main()
