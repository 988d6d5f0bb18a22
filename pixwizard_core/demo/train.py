"""Train the bundled transformer and its encoders on the demo world.

    python -m pixwizard_core.demo.train --minutes 20 --device cuda --out DIR

needs a trained autoencoder (see train_vae) and the tokenizer. Samples are made first, by several
processes, into a work folder; then training runs for the given minutes. DIR gets dit.safetensors,
text.safetensors, clip.safetensors and train.jsonl. The work folder holds a checkpoint from which
the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch

from .. import checkpoint
from ..config import TINY
from ..encoders.tiny import build_tiny_encoders, save_encoders
from ..model import PixWizard
from . import fast_ops
from .dataset import Order, build
from .training import Run, Sampler, Trainee, TrainSettings, compile_blocks, initialise, train

GPU = TrainSettings(batch=512, warmup_steps=300, log_every=200)
CPU = TrainSettings()
EXPORT_SECONDS = 120.0


def new_trainee(seed: int, device: str) -> Trainee:
    """Untrained transformer and encoders, the same for a seed on every machine."""
    text, vision = build_tiny_encoders("cpu")
    faster = {} if device.startswith("cuda") else {"ops": fast_ops, "attention": fast_ops.attend}
    model = PixWizard(TINY, **faster)
    if faster:
        for encoder in (text.gemma, text.clip, vision.model):
            encoder.set_attn_implementation("eager")  # its backward pass is the faster one
    initialise(model, torch.Generator().manual_seed(seed))
    return Trainee(model, text, vision).to(device)


def export(run: Run, folder: Path) -> None:
    """Write the averaged weights, float16, as the extension ships them."""
    average, settings = run.average, run.settings
    notes = {
        "steps": str(run.step),
        "samples": str(run.step * settings.batch),
        "minutes": f"{run.seconds / 60:.1f}",
        "seed": str(settings.seed),
    }
    weights = {name: value.half() for name, value in average.model.state_dict().items()}
    checkpoint.save(folder / "dit.safetensors", weights, average.model.config, notes)
    save_encoders(average.text, average.vision, folder)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the training; prints a JSON row per log interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained weights")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for samples and checkpoint"
    )
    parser.add_argument("--minutes", type=float, default=90.0, help="training time, without set-up")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scenes", type=int, default=25_000, help="scenes to make and reuse")
    parser.add_argument("--tasks", help="tasks of every scene, with commas; default: 12 at random")
    parser.add_argument("--chunk", type=int, default=1024, help="scenes made at a time")
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    parser.add_argument("--batch", type=int, help="samples per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="compile the blocks (GPU)")
    parser.add_argument(
        "--with-setup",
        action="store_true",
        help="let --minutes include set-up, for a leased machine",
    )
    options = parser.parse_args(arguments)
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    options.work.mkdir(parents=True, exist_ok=True)
    order = Order(
        scenes=options.scenes,
        tasks=tuple(options.tasks.split(",")) if options.tasks else (),
        chunk=options.chunk,
        seed=options.seed,
    )
    samples = build(order, options.work / "samples", options.device, options.workers)
    minutes = options.minutes
    if options.with_setup:
        minutes -= (time.monotonic() - began) / 60

    settings = GPU if options.device.startswith("cuda") else CPU
    settings = dataclasses.replace(
        settings,
        minutes=minutes,
        seed=options.seed,
        batch=options.batch or settings.batch,
    )
    trainee = new_trainee(options.seed, options.device)
    run = Run(trainee, settings)
    state = options.work / "training.pt"
    if state.exists():
        run.load(torch.load(state, map_location=options.device, weights_only=True))
    if options.compile:
        compile_blocks(trainee.model)
    ids, mask, clip_ids, _ = trainee.text.tokenize([""])
    sampler = Sampler(samples, (ids, mask, clip_ids))
    exported = time.monotonic()
    for row in train(run, sampler, checkpoint=state, log=options.out / "train.jsonl"):
        print(json.dumps(row), flush=True)
        if time.monotonic() - exported > EXPORT_SECONDS or run.progress >= 1:
            export(run, options.out)
            exported = time.monotonic()


if __name__ == "__main__":
    main()
