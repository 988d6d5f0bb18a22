"""Reading a folder of reference vectors: cases as JSON, tensors as safetensors beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ..bundle import LAYERS
from ..config import ModelConfig
from ..errors import CheckpointError
from ..json_text import json_object, read_json_file
from ..model import PixWizard
from ..weights.checkpoint import load_model
from ..weights.examine import inspect

CLIP_SCALE = 32  # image tokens are stored as int8; value = int8 / 32
Case = dict[str, Any]  # a JSON object of a folder
NO_IMAGE = "zero"  # the name that stands for all-zero image tokens


@dataclass(frozen=True)
class VectorFile:
    """One JSON of cases and the tensors it names."""

    path: Path
    content: Case

    @property
    def kind(self) -> str | None:
        return self.content.get("kind")

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def cases(self) -> list[Case]:
        return self.content.get("cases") or []

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        file = self.path.with_name(self.content.get("file") or self.path.stem + ".safetensors")
        if not file.is_file():
            raise CheckpointError(f"{self.path.name} needs {file.name}, which is not beside it")
        try:
            return cast(Any, safetensors.torch).load_file(file)
        except SafetensorError as error:
            raise CheckpointError(f"{file.name} is damaged ({error})") from error


@dataclass
class Vectors:
    """Every file of one folder, with the models and image tokens that cases refer to by name."""

    folder: Path
    device: torch.device
    dtype: torch.dtype
    files: list[VectorFile] = field(default_factory=list[VectorFile])
    _models: dict[str, PixWizard] = field(default_factory=dict[str, PixWizard])

    @classmethod
    def open(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> Vectors:
        """Raises CheckpointError when the folder is missing, empty or holds a broken JSON."""
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is not a folder of reference vectors")
        files: list[VectorFile] = []
        for path in sorted(folder.glob("*.json")):
            content = json_object(read_json_file(path, CheckpointError))
            if content is not None:
                files.append(VectorFile(path, content))
        if not files:
            raise CheckpointError(f"{folder} holds no .json of reference vectors")
        return cls(folder, device, dtype, files)

    def place(self, tensor: Tensor) -> Tensor:
        """Tensor on the device; floats in the chosen dtype."""
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else None)

    def place_state(self, tensor: Tensor) -> Tensor:
        """A sampling state on the device: at least float32, as sampling keeps it."""
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        return tensor.to(self.device, wide)

    def image_tokens(self, file: VectorFile, name: str, config: ModelConfig) -> Tensor:
        """Image tokens (N, image_feat_dim) by the name a case uses; zeros for no image."""
        if name == NO_IMAGE:
            return torch.zeros(1, config.image_feat_dim).expand(self._token_count(), -1)
        for source in (file, *self._token_files()):
            if name in source.tensors:
                return source.tensors[name].float()
            if f"{name}_i8" in source.tensors:
                return source.tensors[f"{name}_i8"].float() / CLIP_SCALE
        raise CheckpointError(f"image tokens {name!r} of {file.path.name} are in no file here")

    def model(self, file: VectorFile, case: Case) -> PixWizard:
        """The model a case names, or whose weights its file names; loaded once."""
        arguments, source = file.content, None
        if "weights" in file.content:
            source = self.folder / file.content["weights"]
        else:
            name = case.get("model") or file.content.get("model")
            source = self.folder / f"{name}.safetensors"
            for other in self.files:
                if "model_args" in other.content and other.name == name:
                    arguments = other.content
                    source = self.folder / (other.content.get("file") or source.name)
        key = str(source)
        if key not in self._models:
            config = stated_config(inspect(source).config, arguments)
            self._models[key] = load_model(
                source, dtype=self.dtype, device=self.device, config=config, ops=LAYERS
            )
        return self._models[key]

    def _token_files(self) -> list[VectorFile]:
        return [
            file
            for file in self.files
            if file.kind is None and "model_args" not in file.content and "tensors" in file.content
        ]

    def _token_count(self) -> int:
        counts = [t.shape[0] for file in self._token_files() for t in file.tensors.values()]
        return counts[0] if counts else 576


def stated_config(config: ModelConfig | None, arguments: Case) -> ModelConfig | None:
    """The file's configuration with what the JSON states about the model put in."""
    if config is None:
        return None
    known = {item.name for item in fields(ModelConfig)}
    stated = {**arguments.get("model_args", {})}
    if "sample_tokens" in arguments:
        stated["sample_tokens"] = arguments["sample_tokens"]
    return replace(config, **{k: v for k, v in stated.items() if k in known and v is not None})
