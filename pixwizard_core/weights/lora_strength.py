"""The strength that a LoRA file was trained with, if stated outside its tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import CheckpointError
from ..json_text import json_object, read_json, read_json_file
from .weightfile import WeightFile

HEADER = "lora_adapter_metadata"  # of diffusers
CONFIG = "adapter_config.json"  # of PEFT, beside adapter_model.safetensors
PARTS = ("transformer.", "unet.", "diffusion_model.", "model.", "")  # of a pipeline, in HEADER
OTHER_BASE = ("pissa", "olora", "corda", "loftq")  # initialisations that also change the model
LONGEST, MOST_WILD = 200, 4
Number = TypeVar("Number", int, float)
# Characters allowed in a name pattern; none of them can make a search slow.
_SAFE = re.compile(r"(?:\w|\\\.|\\d\+?|\[0-9\]\+?|-|\^|\$|\((?:\?:)?[\w|]+\)|(?P<wild>\.\*)|\.)*")


@dataclass(frozen=True)
class Strength:
    """alpha and rank of every layer. source: where they were read, for messages.

    alpha: None when only the rank is stated. alphas, ranks: exceptions by patterns of names.
    """

    source: str
    alpha: float | None = None
    rank: int | None = None
    alphas: Mapping[str, float] = field(default_factory=dict[str, float])
    ranks: Mapping[str, int] = field(default_factory=dict[str, int])
    root: bool = False  # divide by the root of the rank
    dora: bool = False

    def scale(self, layer: str, rank: int | None) -> float | None:
        """Factor of a layer's change, or None if not stated. rank: of its tensors.

        Raises CheckpointError when the tensors have another rank than stated.
        """
        alpha = _chosen(self.alphas, layer, self.alpha, self.source)
        said = _chosen(self.ranks, layer, self.rank, self.source)
        if None not in (said, rank) and said != rank:
            raise CheckpointError(
                f"{self.source} says rank {said} for {layer}, but its weights are of rank {rank}; "
                "it belongs to another LoRA, or the file was changed. Remove it, or use the right "
                "one"
            )
        rank = rank or said
        if alpha is None or rank is None:
            return None
        return alpha / (math.sqrt(rank) if self.root else rank)


def said_strength(file: WeightFile) -> Strength | None:
    """The strength in the header of a LoRA file or in the configuration beside it, None without.

    Raises CheckpointError for settings that are damaged, or that change more than the file holds.
    """
    header = file.metadata.get(HEADER)
    if header is not None:
        source = f"the header {HEADER} of {file.path.name}"
        values = read_json(header, f"{source} is", CheckpointError)
        return _from_peft(_of_the_model(_dict(values, source)), source)
    config = file.path.parent / CONFIG
    if _is_peft_file(file) and config.is_file():
        return _from_peft(_dict(read_json_file(config, CheckpointError), str(CONFIG)), CONFIG)
    source = f"the header of {file.path.name}"
    for alpha in ("ss_network_alpha", "lora_alpha"):
        if alpha in file.metadata:
            # The rank in such a header is that of most layers; the tensors are more exact.
            return Strength(source, _number(file.metadata[alpha], alpha, source))
    return None


def _is_peft_file(file: WeightFile) -> bool:
    """Whether a configuration beside the file belongs to it and not to another file."""
    if file.path.name.startswith("adapter_model."):
        return True
    if not any(name.startswith("base_model.model.") for name in file.shapes):
        return False
    others = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
    return all(p.suffix not in others or p == file.path for p in file.path.parent.iterdir())


def _of_the_model(values: dict[str, Any]) -> dict[str, Any]:
    """The network's settings, picked from among those of text encoders, without their prefix."""
    for prefix in PARTS:
        chosen = {
            name.removeprefix(prefix): value
            for name, value in values.items()
            if name.startswith(prefix) and "." not in name.removeprefix(prefix)
        }
        if chosen:
            return chosen
    return {}


def _from_peft(values: dict[str, Any], source: str) -> Strength:
    begun = values.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower().startswith(OTHER_BASE):
        raise CheckpointError(
            f"{source} says that training began by {begun}, which changes the model itself as "
            "well; convert the file to a plain LoRA (in PEFT, save it with "
            "path_initial_model_for_weight_conversion)"
        )
    alpha = values.get("lora_alpha", values.get("alpha"))
    return Strength(
        source,
        None if alpha is None else _number(alpha, "lora_alpha", source),
        None if values.get("r") is None else int(_number(values["r"], "r", source)),
        _numbers(values, "alpha_pattern", source),
        {k: int(v) for k, v in _numbers(values, "rank_pattern", source).items()},
        bool(values.get("use_rslora")),
        bool(values.get("use_dora")),
    )


def _dict(value: object, source: str) -> dict[str, Any]:
    settings = json_object(value)
    if settings is None:
        raise CheckpointError(f"{source} is damaged: settings by name are wanted")
    return settings


def _number(value: Any, name: str, source: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or abs(number) > 2**31:
        raise CheckpointError(f"{source} is damaged: {name} is no usable number")
    if name in ("r", "rank_pattern") and number < 1:
        raise CheckpointError(f"{source} is damaged: {name} must be 1 or more. Got: {number:g}")
    return number


def _numbers(values: dict[str, Any], name: str, source: str) -> dict[str, float]:
    patterns: object = values.get(name) or {}
    return {k: _number(v, name, source) for k, v in _dict(patterns, f"{name} of {source}").items()}


def _chosen(
    patterns: Mapping[str, Number], layer: str, usual: Number | None, source: str
) -> Number | None:
    """The value of the first pattern that matches the layer's name or its ending, as in PEFT."""
    for pattern, value in patterns.items():
        if any(name == pattern or name.endswith(f".{pattern}") for name in _with_prefixes(layer)):
            return value
        safe = _SAFE.fullmatch(pattern) if len(pattern) <= LONGEST else None
        if safe is None or pattern.count(".*") + pattern.count("+") > MOST_WILD:
            raise CheckpointError(
                f"{source} chooses layers by the pattern {pattern[:80]!r}, which is not read here; "
                "write the layers' names instead"
            )
        if any(re.fullmatch(rf"(?:.*\.)?(?:{pattern})", n) for n in _with_prefixes(layer)):
            return value
    return usual


def _with_prefixes(layer: str) -> Iterable[str]:
    return layer, f"transformer.{layer}"
