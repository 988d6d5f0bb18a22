"""Train the bundled transformer and its encoders on the demo world.

Needs a trained autoencoder (`autoencoder`) and the tokenizer. Several processes first make samples
in a work folder; then training runs for the budgeted time or steps. The work folder also keeps a
checkpoint, from which the same run resumes after a stop.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..bundle import MODEL_FILE
from ..config import TINY
from ..encoders.reference import write_answers
from ..encoders.tiny import (
    BUNDLE,
    VAE_FILE,
    build_tiny_encoders,
    load_encoders,
    save_encoders,
)
from ..errors import PixWizardError
from ..model import PixWizard
from ..own_settings import SETTINGS_KEY, bundled_text
from ..tasks import TASKS
from ..taught import taught_header
from ..weights import checkpoint
from ..world.examples import WORLD_TASKS
from ..world.photograph_tasks import PHOTOGRAPH_TASKS
from . import fast_ops
from .config import BUNDLED, TrainConfig, read_config
from .dataset import build
from .loop import Run, Sampler, Trainee, compile_blocks, initialise, train

TOKENIZER_FILE = "tokenizer.json"
EXPORT_SECONDS = 120.0
CONFIG_ENDINGS = (".toml", ".json")
OnRow = Callable[[dict, Run], None]  # a row of the log, and its run
STATE_FILE, LOG_FILE = "training.pt", "train.jsonl"


def new_trainee(seed: int, device: str) -> Trainee:
    """Untrained transformer and encoders, the same for a seed on every machine."""
    text, vision = build_tiny_encoders("cpu", seed=seed)
    faster = {} if device.startswith("cuda") else {"ops": fast_ops, "attention": fast_ops.attend}
    model = PixWizard(TINY, **faster)
    if faster:
        for encoder in (text.gemma, text.clip, vision.model):
            encoder.attend = fast_ops.attend
    initialise(model, torch.Generator().manual_seed(seed))
    return Trainee(model, text, vision).to(device)


def start_from(trainee: Trainee, folder: Path) -> None:
    """Load the weights of a trained bundle. Raises CheckpointError or EncoderError when a file is
    missing or has another shape."""
    text, vision = load_encoders(folder)
    model = checkpoint.load_model(folder / MODEL_FILE)
    for part, trained in ((trainee.model, model), (trainee.text, text), (trainee.vision, vision)):
        part.load_state_dict(trained.state_dict())


def weights_to_start_from(config: TrainConfig, work: Path, on_row: OnRow) -> Path:
    """The folder that a configuration's start names. If it names a first stage, that is trained
    on the same machine in a folder of its own in work, and resumes there after a stop."""
    if config.start == "bundled":
        return BUNDLE
    named = Path(config.start)
    if named.suffix not in CONFIG_ENDINGS:
        return named
    first = read_config(named if named.is_file() else BUNDLED.with_name(config.start))
    first = replace(first, device=config.device, workers=config.workers)
    folder = work / named.stem
    train_bundle(first, folder, folder / "work", on_row)
    return folder


@torch.no_grad()
def look(trainee: Trainee, pictures: Tensor) -> Tensor:
    """Image tokens of pictures (B, 3, H, W) in -1..1, without gradients."""
    with torch.autocast(pictures.device.type, torch.bfloat16):
        return trainee.vision.encode(pictures)


def export(
    run: Run,
    folder: Path,
    tasks: Sequence[str] = (),
    forms: Mapping[str, Sequence[str]] | None = None,
    photographs: Sequence[str] | None = None,
    autoencoder: str | Path = "",
) -> None:
    """Write the averaged weights as float16, as the extension ships them, and copy the files that
    training does not change, so that the folder is a complete bundle. tasks: those learned. forms:
    the trained forms of tasks that were among the sentences. photographs: the tasks that were also
    learned on photographs. taught.taught_by() reads all three. autoencoder: the file that made the
    latents, "" for the bundled one."""
    average, settings = run.average, run.settings
    notes = {
        "steps": str(run.step),
        "samples": str(run.step * settings.batch),
        "minutes": f"{run.seconds / 60:.1f}",
        "seed": str(settings.seed),
        **taught_header(tasks or WORLD_TASKS, forms, photographs),
        SETTINGS_KEY: bundled_text(),
    }
    weights = {name: value.half() for name, value in average.model.state_dict().items()}
    checkpoint.save(folder / MODEL_FILE, weights, average.model.config, notes)
    save_encoders(average.text, average.vision, folder)
    for name, given in ((VAE_FILE, autoencoder), (TOKENIZER_FILE, "")):
        if given or not (folder / name).exists():
            shutil.copyfile(given or BUNDLE / name, folder / name)
    write_answers(folder)


def learned(config: TrainConfig) -> dict[str, Any]:
    """A run's data for export(): its tasks, their trained forms, the tasks learned on photographs,
    and the autoencoder of its latents."""
    data, tasks = config.data, tuple(dict.fromkeys(config.data.tasks or WORLD_TASKS))
    with_photographs = data.photographs > 0 and config.train.photographs > 0
    return {
        "tasks": tasks,
        "forms": {task: TASKS[task].forms for task in tasks if TASKS[task].forms},
        "photographs": [task for task in tasks if with_photographs and task in PHOTOGRAPH_TASKS],
        "autoencoder": data.autoencoder,
    }


def train_bundle(
    config: TrainConfig,
    out: Path,
    work: Path,
    on_row: OnRow = lambda row, run: None,
) -> Run:
    """Make the samples, train, and write dit, text and clip.safetensors and train.jsonl into out.

    Resumes from the checkpoint in work if there is one. on_row(row, run) gets each row of the log.
    Raises PixWizardError when the set-up has used up the time.
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    state, trainee = work / STATE_FILE, new_trainee(config.seed, device)
    if config.start and not state.exists():
        start_from(trainee, weights_to_start_from(config, work, on_row))
    samples = build(config.data, work / "samples", device, config.workers)
    settings = config.train
    if config.with_setup:
        settings = replace(settings, minutes=settings.minutes - (time.monotonic() - began) / 60)
        if settings.minutes <= 0 and not settings.steps:
            raise PixWizardError(
                f"making the samples used all of the {config.train.minutes:g} minutes; "
                "give more time, or fewer scenes"
            )
    run = Run(trainee, settings)
    if state.exists():
        run.load(torch.load(state, map_location=device, weights_only=True))
    if config.compile:
        compile_blocks(run.trainee.model)
    ids, mask, clip_ids, _ = run.trainee.text.tokenize([""])
    seeing = partial(look, trainee) if settings.freeze_vision else None
    sampler = Sampler(samples, (ids, mask, clip_ids), seeing)
    exported = time.monotonic()
    for row in train(run, sampler, checkpoint=state, log=out / LOG_FILE):
        on_row(row, run)
        if time.monotonic() - exported > EXPORT_SECONDS:
            export(run, out, **learned(config))
            exported = time.monotonic()
    export(run, out, **learned(config))
    return run
