"""What a run writes: a LoRA or a whole model, with what it was taught in the header."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ...bundle import MODEL_FILE
from ...model import PixWizard
from ...own_settings import SETTINGS_KEY
from ...tasks import TASKS
from ...taught import FORMS_KEY, PHOTOGRAPHS_KEY, TASKS_KEY, taught_header
from ...weights import checkpoint
from ...weights.lora import lora_state, write_lora
from ...weights.lora_header import lora_header
from .examples import Example
from .parts import ModelParts
from .settings import TeachSettings
from .sharding import whole

LORA_FILE = "lora.safetensors"
DATA_KEY = "pixwizard.data_sha256"  # of all pictures and words of training
BASE_DIGEST_KEY = "pixwizard.base_sha256"  # of the weights that training began with
STEPS_KEY = "pixwizard.steps_done"
KEPT = (SETTINGS_KEY, FORMS_KEY, PHOTOGRAPHS_KEY)  # entries of the base that stay true


def result_file(lora: bool) -> str:
    """The name of the file that a run writes."""
    return LORA_FILE if lora else MODEL_FILE


def header_of_run(
    parts: ModelParts,
    examples: Sequence[Example],
    settings: TeachSettings,
    facts: Mapping[str, str],
    steps: int,
) -> dict[str, str]:
    """Header entries of a LoRA: words and tasks it was taught, base, settings, digests."""
    known = _settings(settings)
    words = [sentence for one in examples for sentence in one.instructions]
    return {**lora_header(words, tasks_of(examples), parts.name, known), **_digests(facts, steps)}


def tasks_of(examples: Sequence[Example]) -> list[str]:
    """The tasks of the table that examples name, in order."""
    return [task for task in dict.fromkeys(one.task for one in examples) if task in TASKS]


def result_weights(model: PixWizard, lora: bool, small: bool, keep: bool) -> dict[str, Tensor]:
    """Copies of the weights that a result holds, by name and in the type of its file. small: see
    ModelParts. keep: whether this process will write them. With split weights all processes must
    call this."""
    state = lora_state(model) if lora else model.state_dict()
    kind = torch.float16 if small else torch.bfloat16
    return {
        name: whole(value.detach(), keep).to(torch.float32 if lora else kind, copy=True)
        for name, value in state.items()
    }


def save_result(
    weights: Mapping[str, Tensor],
    folder: Path,
    parts: ModelParts,
    examples: Sequence[Example],
    settings: TeachSettings,
    facts: Mapping[str, str],
    steps: int,
    lora: bool,
) -> Path:
    """Write weights, as result_weights() gives them, into folder: the path. A whole small model
    becomes a complete bundle. Raises CheckpointError when it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / result_file(lora)
    header = header_of_run(parts, examples, settings, facts, steps)
    if lora:
        write_lora(weights, path, header)
        return path
    before = parts.taught.tasks
    tasks = [*sorted(before or ()), *tasks_of(examples)]
    taught = {} if before is None else {TASKS_KEY: taught_header(tasks)[TASKS_KEY]}
    kept = {name: parts.header[name] for name in KEPT if name in parts.header}
    entries = {**header, **kept, **taught}
    checkpoint.save(path, weights, parts.config, entries)
    for file in parts.beside:
        if not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
    return path


def _settings(settings: TeachSettings) -> dict[str, object]:
    values = asdict(settings)
    values["alpha"] = f"{settings.alpha or settings.rank:g}"
    values["centres"] = json.dumps(list(settings.centres))
    return values


def _digests(facts: Mapping[str, str], steps: int) -> dict[str, str]:
    return {
        DATA_KEY: facts["data"],
        BASE_DIGEST_KEY: facts["base"],
        STEPS_KEY: str(steps),
    }
