"""Everything that can stop a run is looked at before it starts: files, sizes, folder, disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...config import ModelConfig
from ...errors import CanvasError, PixWizardError
from ...files.picture_files import picture_size
from ...weights.weightfile import size_in_words
from .course import STATE_FILE
from .encode import LATENT, TOKENS, WEIGHTS, WORDS, Digested, Missing
from .examples import Example
from .fitting import CELL, bucket
from .optimise import eight_bit_adam
from .settings import FOR_LORA, TeachSettings
from .store import digest

THREADS = 2
SHOWN = 5  # faults named in a message
LONGEST_TEXT = 32  # tokens of a usual instruction, for the estimate of disk space
OnDone = Callable[[int, int], None]
Fault = str


@dataclass(frozen=True, slots=True)
class Survey:
    """examples: with digests and sizes, in the order of the sets. data: a digest of all pictures
    and words."""

    examples: tuple[Digested, ...]
    data: str


def survey(
    examples: Sequence[Example],
    centres: Sequence[int],
    on_done: OnDone = lambda done, total: None,
) -> Survey:
    """Read every picture file once. Raises PixWizardError naming the files that are missing, or
    that are no pictures; nothing is left out in silence."""
    found: list[Digested] = []
    faults: list[Fault] = []
    with ThreadPoolExecutor(THREADS) as pool:
        looked = pool.map(lambda example: _look(example, centres), examples)
        for done, one in enumerate(looked, 1):
            if isinstance(one, Digested):
                found.append(one)
            else:
                faults.append(one)
            on_done(done, len(examples))
    if faults:
        more = f" … and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        raise PixWizardError(
            f"{len(faults)} of {len(examples)} pairs cannot be used: {'; '.join(faults[:SHOWN])}"
            f"{more}. Correct the list; `pixwizard data check` shows all faults"
        )
    said = [[*one.digests, *one.example.instructions] for one in found]
    return Survey(tuple(found), hashlib.sha256(json.dumps(said).encode()).hexdigest())


def _look(example: Example, centres: Sequence[int]) -> Digested | Fault:
    digests: list[str] = []
    size = (0, 0)
    for picture in example.pictures:
        try:
            data = picture.read()
            sides = picture_size(picture.name, data)
        except (CanvasError, PixWizardError) as error:
            return f"{example.where}: {error}"
        digests.append(digest(data))
        if picture is example.target:
            size = sides
    try:
        return Digested(example, tuple(digests), bucket(*size, centres))
    except CanvasError as error:
        return f"{example.where}: {error}"


def check_settings(settings: TeachSettings, ranks: Sequence[int], device: str = "cpu") -> None:
    """Raise PixWizardError for a rank that a layer cannot have, for settings of a LoRA where a
    whole model is trained, and for an optimiser that does not work here. ranks: the largest one of
    each layer that gets an addition; none for a whole model.
    """
    for name in FOR_LORA if not ranks else ():
        if getattr(settings, name) != getattr(TeachSettings(), name):
            raise PixWizardError(
                f"{name} does nothing for a whole model, which has no rank; leave it out"
            )
    if ranks and settings.rank > min(ranks):
        raise PixWizardError(
            f"rank is at most {min(ranks)} for this model, the smaller side of its smallest layer. "
            f"Got: {settings.rank}"
        )
    if settings.optimiser == "adamw8bit":
        eight_bit_adam(device)


def check_out(out: Path, result: str, resume: bool) -> None:
    """Make the folder of results and try to write there. Raises PixWizardError when that fails,
    when a run would be overwritten, and when there is none to go on with. result: the file that a
    run writes."""
    if out.exists() and not out.is_dir():
        raise PixWizardError(f"{out} is a file; --out is a folder")
    state = out / STATE_FILE
    if resume and not state.is_file():
        raise PixWizardError(f"there is no run in {out} to resume: {STATE_FILE} is missing")
    if not resume:
        for there in (state, out / result):
            if there.exists():
                raise PixWizardError(
                    f"{out} already holds {there.name} of a run; give --resume to go on with it, "
                    "or choose another --out"
                )
    try_to_write(out)


def try_to_write(folder: Path) -> None:
    """Make a folder and write a byte there. Raises PixWizardError when that fails."""
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise PixWizardError(f"cannot write into {folder}: {reason}; choose another one") from None


def bytes_to_encode(missing: Mapping[str, Missing], config: ModelConfig, item: int) -> int:
    """About the disk space that missing results take. item: bytes of a number that encoders
    give."""
    words = LONGEST_TEXT * config.cap_feat_dim + config.cap_clip_feat_dim
    total = 0
    for one in missing.values():
        cells = one.size.width * one.size.height // CELL**2 if one.size else 0
        total += {
            WORDS: item * words,
            TOKENS: item * config.image_tokens * config.image_feat_dim,
            LATENT: 4 * config.in_channels * cells,
            WEIGHTS: 4 * cells,
        }[one.kind]
    return total


def bytes_to_save(numbers: int, settings: TeachSettings) -> int:
    """About the disk space of states and results. numbers: weights that move. A new state is
    written before the old one goes."""
    moments = 2 if settings.optimiser == "adamw8bit" else 8
    state = numbers * (4 + moments + (4 if settings.ema else 0))
    kept = 1 if not settings.save_every else 2
    return 2 * state + kept * 4 * numbers


def check_disk(wanted: dict[Path, int]) -> None:
    """Raise PixWizardError for a disk with less room than the folders on it will take."""
    needed: dict[int, int] = {}
    place: dict[int, Path] = {}
    for folder, size in wanted.items():
        device = folder.stat().st_dev
        needed[device] = needed.get(device, 0) + size
        place[device] = folder
    for device, size in needed.items():
        free = shutil.disk_usage(place[device]).free
        if size > free:
            raise PixWizardError(
                f"the run will write about {size_in_words(size)} and the disk of {place[device]} "
                f"has {size_in_words(free)} free; free some space, or choose another --out or "
                "--cache"
            )
