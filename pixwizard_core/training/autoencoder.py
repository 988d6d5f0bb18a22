"""Train the bundled autoencoder on pictures of the demo world.

    python -m pixwizard_core.training.autoencoder --minutes 5 --device cuda --out DIR

writes DIR/vae.safetensors (float16, statistics in its header), DIR/train_vae.json (settings,
progress, PSNR per picture kind) and DIR/checkpoint.pt, from which the same command resumes after a
stop. `--start FILE` continues from a finished autoencoder, and `--photographs 0.3` takes that share
of the pictures from the photographs of world/photographs.csv (pip install scikit-image matplotlib).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from ..encoders.taesd import Autoencoder, save_autoencoder
from ..encoders.vae import TaesdCoder, load_latent_coder
from ..errors import EncoderError
from ..files.data_files import write_json
from ..seeds import seed_argument
from .picture_sets import (
    with_photographs,
    world_and_photographs,
    world_kinds,
    world_pictures,
)
from .vae_pictures import CropSource, Pictures, generator_for
from .vae_trainer import VaeSettings, VaeTrainer, channel_moments, settings_for

HELD_OUT = 0x5EED  # mixed into the seed of every picture that is only evaluated, never trained on


def psnr(painted: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in 0..1, over all of them at once."""
    return -10 * math.log10(max(1e-10, (painted.clamp(0, 1) - wanted).square().mean().item()))


@torch.no_grad()
def evaluate(model: Autoencoder, kinds: dict[str, Tensor]) -> dict:
    """PSNR in dB per kind of picture and the latent's moments per channel over all of them.

    kinds: name → pictures (N,3,H,W) in 0..1.
    """
    scores, latents = {}, []
    for name, pictures in kinds.items():
        latent = torch.cat([model.encode(part * 2 - 1) for part in pictures.split(16)])
        painted = torch.cat([model.decode(part) * 0.5 + 0.5 for part in latent.split(16)])
        scores[name] = round(psnr(painted, pictures), 2)
        latents.append(latent)
    mean, std = channel_moments(torch.cat(latents))
    return {"psnr": scores, "latent_mean": rounded(mean), "latent_std": rounded(std)}


def rounded(values: Tensor) -> list[float]:
    """The values as floats with four decimals, for JSON."""
    return [round(value, 4) for value in values.tolist()]


def train_vae(
    out_dir: str | Path,
    minutes: float | None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    batch_size: int | None = None,
    resume: bool = True,
    *,
    steps: int | None = None,
    pictures: Pictures | None = None,
    kinds: Callable[[int, int, int, torch.Generator, torch.device], dict[str, Tensor]]
    | None = None,
    settings: VaeSettings | None = None,
    start: Autoencoder | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Train, then write vae.safetensors, train_vae.json and checkpoint.pt into out_dir.

    Ends after `minutes` of this run and those it resumes together, or after `steps`, whichever
    comes first. pictures and kinds default to the demo world's mix. start: a finished model to
    continue from; a checkpoint in out_dir takes precedence. Returns the content of the JSON file.
    Raises FloatingPointError when the loss is no longer finite.
    """
    if minutes is None and steps is None:
        raise ValueError("give minutes, steps or both")
    started, device, out_dir = time.monotonic(), torch.device(device), Path(out_dir)
    settings = settings or settings_for(device, batch_size)
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = out_dir / "checkpoint.pt"
    trainer = VaeTrainer(settings, device=device, seed=seed)
    if start is not None:
        trainer.start_from(start)
    before, history = trainer.load(checkpoint) if resume and checkpoint.is_file() else (0.0, [])

    def elapsed() -> float:
        return before + time.monotonic() - started

    def progress() -> float:
        return max(
            elapsed() / 60 / minutes if minutes else 0.0, trainer.step / steps if steps else 0.0
        )

    source = CropSource(
        pictures or world_pictures(),
        settings.pools,
        settings.sides,
        batch_size=settings.batch_size,
        seed=seed,
        device=device,
        refresh_every=settings.refresh_every,
        start_step=trainer.step,
    )
    count = sum(len(pool.images) for pool in source.pools)
    report(f"{count} pictures rendered after {elapsed():.0f} s")
    saved = time.monotonic()
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        while (done := progress()) < 1:
            if trainer.average is None and done >= settings.freeze_at:
                trainer.freeze(calibration_crops(source, settings.calibration_batches))
            loss = trainer.train_step(source.batch(trainer.step), done)
            if trainer.step % 100 == 0:
                history.append(log_entry(trainer, float(loss), elapsed()))
                report(json.dumps(history[-1]))
            if time.monotonic() - saved > settings.checkpoint_seconds:
                trainer.save(checkpoint, elapsed(), history)
                saved = time.monotonic()
    if trainer.average is None:  # a run of a few steps
        trainer.freeze(calibration_crops(source, settings.calibration_batches))
    trainer.save(checkpoint, elapsed(), history)
    model = trainer.finished()
    kinds = kinds or world_kinds
    scores = evaluate(
        model, kinds(settings.scored_scenes, 128, 128, generator_for(seed, HELD_OUT), device)
    )
    notes = {"steps": trainer.step, "seconds": round(elapsed(), 1), "seed": seed, **scores}
    save_autoencoder(model, out_dir / "vae.safetensors", notes)
    result = {**notes, "settings": asdict(settings), "history": history}
    write_json(out_dir / "train_vae.json", result)
    report(json.dumps(notes))
    return result


def calibration_crops(source: CropSource, batches: int) -> list[Tensor]:
    """Crops of every size, on which to measure the latent's statistics."""
    return [source.cut(generator_for(source.seed, 3, index)) for index in range(batches)]


def log_entry(trainer: VaeTrainer, loss: float, seconds: float) -> dict:
    """One line of the history. Raises FloatingPointError when the loss is no longer finite."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"loss is {loss} at step {trainer.step}; resume with a lower learning rate"
        )
    rate = trainer.optimiser.param_groups[0]["lr"]
    return {
        "step": trainer.step,
        "seconds": round(seconds, 1),
        "loss": round(loss, 5),
        "learning_rate": round(rate, 7),
    }


def finished_autoencoder(path: str | Path) -> Autoencoder:
    """The autoencoder in a file, to continue from. Raises EncoderError for another shape."""
    coder = load_latent_coder(path)
    if not isinstance(coder, TaesdCoder):
        raise EncoderError(
            f"{Path(path).name} is not in the TAESD layout, which is the one that is trained here; "
            "give the vae.safetensors of a bundle"
        )
    return coder.model


def command_line() -> argparse.ArgumentParser:
    """The options of this command."""
    parser = argparse.ArgumentParser(
        prog="python -m pixwizard_core.training.autoencoder",
        description=str(__doc__).split("\n")[0],
    )
    parser.add_argument(
        "--out", required=True, help="folder for the weights, the log and the checkpoint"
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0,
        help="training time in minutes, including earlier runs in OUT (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--steps", type=int, help="maximum number of steps (default: limited by --minutes only)"
    )
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu",
        help="device to train on (default: cuda where available, else cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=seed_argument, default=0,
        help="seed of all random choices (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=int, help="crops of 64 px per step (default: 512 on a GPU, else 16)"
    )
    parser.add_argument(
        "--compile", action="store_true",
        help="compile both halves with torch.compile; pays off in long runs",
    )  # fmt: skip
    parser.add_argument("--start", help="file of a trained autoencoder to continue from")
    parser.add_argument(
        "--photographs", type=float, default=0.0, metavar="SHARE",
        help="share of training pictures taken from photographs, 0 to 1 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--decoder-only", action="store_true",
        help="keep the encoder of --start unchanged, so that a transformer trained on its latents "
        "stays valid",
    )  # fmt: skip
    parser.add_argument("--rate", type=float, help="highest learning rate (default: 8e-4)")
    parser.add_argument(
        "--fresh", action="store_true", help="ignore an existing checkpoint and start anew"
    )
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    parser = command_line()
    chosen = parser.parse_args(arguments)
    settings = replace(
        settings_for(torch.device(chosen.device), chosen.batch_size), compile=chosen.compile
    )
    if chosen.rate is not None:
        settings = replace(settings, learning_rate=chosen.rate)
    if chosen.decoder_only:
        if not chosen.start:
            parser.error("--decoder-only needs --start, the autoencoder whose encoder stays")
        settings = replace(settings, decoder_only=True)
    shows = chosen.photographs > 0
    train_vae(
        chosen.out,
        chosen.minutes,
        chosen.device,
        chosen.seed,
        resume=not chosen.fresh,
        steps=chosen.steps,
        settings=settings,
        start=finished_autoencoder(chosen.start) if chosen.start else None,
        pictures=with_photographs(chosen.photographs) if shows else None,
        kinds=world_and_photographs if shows else None,
        report=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    main()
