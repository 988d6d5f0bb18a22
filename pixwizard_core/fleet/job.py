"""What all items of a run share: the model, the settings, and how results are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from ..decode.palette import Palette
from ..decode.polarity import DEFAULT_NEAR
from ..errors import CheckpointError
from ..generate import SampleSettings
from ..own_settings import RELEASED, OwnSettings, bundled_settings, own_settings
from ..presets import AUTO, with_preset
from ..taught import Taught, taught_by, with_tasks
from ..version import __version__
from ..weights.lora_use import Applied, LoraUse
from .items import FORMAT, SEED_BITS, Item, digest, file_hash

WHOLE_FILE = 1 << 28  # bytes; of larger weight files evenly spaced blocks are hashed
SAMPLED_BLOCKS, SAMPLED_BYTES = 64, 1 << 20

# (truth, answer_01, source_01, palette) -> numbers by name; see evaluation.protocols.score.
Score = Callable[[dict[str, Any], Tensor, Tensor, Palette | None], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model is: the folder of a small one, or the four parts of the released one. folder
    None is the bundled model. loras: files that are added to it."""

    folder: str | None = None
    released: tuple[str, ...] | None = None  # model, gemma, clip, vae
    dtype: str = "bfloat16"
    loras: tuple[LoraUse, ...] = ()

    def load(self, device: str):
        """The pipeline.Bundle. Raises CheckpointError, EncoderError."""
        import torch

        from ..bundle import load_released, load_tiny, with_loras

        if self.released:
            dtype = getattr(torch, self.dtype)
            bundle = load_released(*self.released, device=device, dtype=dtype)
        else:
            bundle = load_tiny(device=device) if not self.folder else load_tiny(self.folder, device)
        return with_loras(bundle, self.loras)[0] if self.loras else bundle

    @property
    def own(self) -> OwnSettings:
        """What the model says of itself, without loading it. Raises CheckpointError."""
        return _header(self)[0]

    @property
    def taught(self) -> Taught:
        """What the model was taught, without loading it. Raises CheckpointError."""
        return _header(self)[1]

    def fingerprint(self) -> str:
        """Hash of all weights and tokenizers, so that results of other weights are not taken for
        these."""
        from ..encoders.tiny import BUNDLE

        places = self.released or (self.folder or str(BUNDLE),)
        found = [_hash_place(Path(place)) for place in places]
        content = [*found, self.dtype if self.released else "float32"]
        # Without a LoRA as before it could be named here, so that earlier results stay known.
        loras = [[_hash_lora(Path(use.path)), use.strength] for use in self.loras]
        return digest([*content, loras] if loras else content)

    def lora_changes(self) -> list[Applied]:
        """What each LoRA will change, without loading the model. Raises CheckpointError for one
        that does not fit."""
        from ..weights.lora_apply import expected, read_uses

        return expected(read_uses(self.loras, _opened(self).shapes))

    def token_count(self, sentence: str) -> int:
        """Tokens of a sentence: texts of one length need no padding, whoever they are with."""
        return _token_count(self, sentence)


@dataclass(frozen=True, slots=True)
class Temporal:
    """Frames of one sequence after another. All start from the same noise, and each warm start
    goes from time `start` on the way from that noise to the previous result; 0 shares the noise
    only."""

    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Tiles:
    """Large pictures by tiles. side, overlap: in px of the picture, None for the usual ones; see
    tiles.make_grid()."""

    side: int | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Job:
    """Everything but the items. It can be pickled, and fully decides what each item results in.

    preset: of presets.PRESETS, or auto. overrides: SampleSettings fields instead of the preset's.
    batch: rows of every forward pass; short groups are filled up, because the number of rows
    changes the last bits of a result. near, range_m: how depth is read (decode.Hints). save: write
    pictures and data, not the index alone. score: compares an answer with the truth of its item,
    for items that have one; a function of a module, so that it can be pickled. max_pixels: of
    pictures that are opened; None leaves it to Pillow. sharp: let answers follow the edges of large
    pictures. best: of how many answers the best is taken, with batch 1 and not temporal. tiles:
    answer large pictures by tiles, with batch 1, save and no score; centre and fit do not apply.
    Settings that do not change results (workers, threads, retries) belong to the engine.
    """

    out: str
    model: ModelFiles = ModelFiles()
    model_hash: str = ""
    device: str = "cpu"
    seed: int = 0
    preset: str = AUTO
    overrides: dict[str, Any] = field(default_factory=dict)
    fit: str = "stretch"
    centre: int | None = None
    batch: int = 1
    palette: Palette | None = None
    near: str = DEFAULT_NEAR
    range_m: tuple[float, float] | None = None
    temporal: Temporal | None = None
    save: bool = True
    threads: int = 1
    score: Score | None = None
    max_pixels: int | None = None
    sharp: bool = False
    best: int | None = None
    tiles: Tiles | None = None

    def settings_of(self, task_id: str) -> SampleSettings:
        return replace(with_preset(self.model.own.of(task_id), self.preset), **self.overrides)

    def seed_of(self, item: Item) -> int:
        """The seed of an item's noise: its own, or its sequence's where frames share the noise."""
        if self.temporal and item.seed is None:
            sequence = [self.seed, item.sequence or item.name, item.task]
            return int(digest(sequence), 16) >> (256 - SEED_BITS)
        return item.own_seed(self.seed)

    def key(self, item: Item, before: str = "") -> str:
        """Names the result of an item under this job. before: key of the previous frame, where a
        result depends on it."""
        palette = self.palette and [self.palette.title, self.palette.names, self.palette.colours]
        return digest(
            {
                "format": FORMAT,
                "version": __version__,
                "model": self.model_hash,
                "device": self.device.split(":")[0],
                "settings": _settings(self.settings_of(item.task)),
                "canvas": [self.fit, self.centre, self.batch],
                "palette": palette if item.task == "segmentation" else None,
                "depth": [self.near, self.range_m] if item.task == "depth" else None,
                "temporal": self.temporal and [asdict(self.temporal), before],
                "save": self.save,
                "content": [item.content, item.frame, *([item.shot.mark] if item.shot else [])],
                "asked": [item.task, item.instruction, item.words, self.seed_of(item)],
                "truth": item.truth,
                **self._beyond(item),
            }
        )

    def _beyond(self, item: Item) -> dict[str, Any]:
        """What only some jobs add to a key, so that results without it stay known."""
        found: dict[str, Any] = {}
        if self.sharp:
            found["sharp"] = True
        if self.best is not None:
            found["best"] = [self.best, item.given]
        if self.tiles is not None:
            found["tiles"] = asdict(self.tiles)
        return found


def _settings(settings: SampleSettings) -> dict[str, Any]:
    """The settings as a key knows them: a part that is not left out changes no key."""
    return {name: value for name, value in asdict(settings).items() if name != "without" or value}


def _hash_place(place: Path) -> str:
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    kinds = {".safetensors", ".json", ".pth", ".bin", ".model", ".txt"}
    return digest([[path.name, _hash_weights(path)] for path in files if path.suffix in kinds])


def _hash_lora(path: Path) -> list[str]:
    """The file, and the settings beside it that may give its strength."""
    from ..weights.lora_strength import CONFIG

    if not path.is_file():
        raise CheckpointError(f"there is no LoRA file {path.name} in {path.parent.absolute()}")
    beside = path.parent / CONFIG
    return [_hash_weights(path), *([file_hash(beside)] if beside.is_file() else [])]


def _hash_weights(path: Path) -> str:
    size = path.stat().st_size
    if size <= WHOLE_FILE:
        return file_hash(path)
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for block in range(SAMPLED_BLOCKS):
            file.seek((size - SAMPLED_BYTES) * block // (SAMPLED_BLOCKS - 1))
            total.update(file.read(SAMPLED_BYTES))
    return total.hexdigest()


@lru_cache(maxsize=2)
def _header(model: ModelFiles) -> tuple[OwnSettings, Taught]:
    """What the headers of the transformer's file and of its LoRA files say."""
    from ..weights.lora_header import tasks_taught

    opened = _opened(model)
    own = own_settings(opened.metadata, RELEASED if model.released else bundled_settings())
    taught = taught_by(opened.metadata, opened.config, opened.info.path.name)
    return own, with_tasks(taught, tasks_taught(model.loras))


def _opened(model: ModelFiles):
    """The checkpoint.Checkpoint of the transformer."""
    from ..bundle import MODEL_FILE
    from ..encoders.tiny import BUNDLE
    from ..weights.checkpoint import open_checkpoint

    folder = Path(model.folder or BUNDLE)
    return open_checkpoint(model.released[0] if model.released else folder / MODEL_FILE)


@lru_cache(maxsize=100_000)
def _token_count(model: ModelFiles, sentence: str) -> int:
    from ..encoders.tokenizer import gemma_batch

    return int(gemma_batch(_tokenizer(model), [sentence])[1].sum())


@lru_cache(maxsize=2)
def _tokenizer(model: ModelFiles):
    from ..encoders.tiny import BUNDLE
    from ..encoders.tokenizer import load_tokenizer

    place = Path(model.released[1] if model.released else model.folder or BUNDLE)
    return load_tokenizer(place if place.is_dir() else place.parent)
