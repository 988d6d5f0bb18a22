"""Add LoRA files to a model, in memory or while it is converted, and say what they change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..json_text import read_json
from .adapters import Adapter, change, largest_change, require_finite_change
from .finite import all_finite
from .lora_header import LORAS_KEY, header_of
from .lora_read import LoraFile, read_adapters
from .lora_use import Applied, LoraUse

Shapes = Mapping[str, tuple[int, ...]]
Files = Sequence[tuple[LoraUse, LoraFile]]
Changes = Sequence[tuple[Adapter, float]]  # adapters with the strength of each


def read_uses(uses: Iterable[LoraUse], shapes: Shapes) -> list[tuple[LoraUse, LoraFile]]:
    """All files as read_adapters reads them. shapes: of the model's weights. Raises
    CheckpointError."""
    return [(use, read_adapters(use.path, shapes)) for use in uses]


def expected(files: Files) -> list[Applied]:
    """What files will change, without the model's weights: layers whose change is surely nothing
    are not counted."""
    return [
        Applied(
            use,
            tuple(
                dict.fromkeys(
                    _layer(adapter.target)
                    for adapter in file.adapters
                    if use.strength != 0 and largest_change(adapter) != 0
                )
            ),
            file.guessed,
        )
        for use, file in files
    ]


@torch.no_grad()
def changed_weight(weight: Tensor, changes: Changes) -> Tensor:
    """A weight with changes added one after another, in float32 and rounded once to its type.

    Raises CheckpointError for changes that take it out of the range of its type.
    """
    total = weight.detach().float()
    for adapter, strength in changes:
        require_finite_change(adapter, weight, strength)
        total = total + change(adapter, total) * strength
    result = total.to(weight.dtype)
    if len(changes) > 1 and not all_finite(result):
        named = " and ".join(adapter.entries[0] for adapter, _ in changes)
        raise CheckpointError(
            f"{named} together take {changes[0][0].target} beyond the numbers of "
            f"{str(weight.dtype).removeprefix('torch.')}: lower the strengths"
        )
    return result


@torch.no_grad()
def apply_files(model: nn.Module, files: Files) -> list[Applied]:
    """Add LoRA files to a model's weights, in place. Returns what each one changed.

    Raises CheckpointError, having changed nothing, for a change that overflows.
    """
    weights, planned = dict(model.named_parameters()), _by_target(files)
    for target, changes in planned.items():
        if len(changes) > 1:  # their sum can overflow where neither does
            changed_weight(weights[target], [one[1:] for one in changes])
        for _, adapter, strength in changes:
            require_finite_change(adapter, weights[target], strength)
    layers: list[dict[str, None]] = [{} for _ in files]
    for target, changes in planned.items():
        weight = weights[target]
        total, rounded = weight.data.float(), weight.data
        for number, adapter, strength in changes:
            total = total + change(adapter, total) * strength
            before, rounded = rounded, total.to(weight.dtype)
            if not torch.equal(before, rounded):
                layers[number][_layer(target)] = None
        weight.data = rounded
    return [
        Applied(use, tuple(changed), file.guessed)
        for (use, file), changed in zip(files, layers, strict=True)
    ]


def _by_target(files: Files) -> dict[str, list[tuple[int, Adapter, float]]]:
    """By weight: number of the file, adapter, strength."""
    found: dict[str, list[tuple[int, Adapter, float]]] = {}
    for number, (use, file) in enumerate(files):
        for adapter in file.adapters:
            found.setdefault(adapter.target, []).append((number, adapter, use.strength))
    return found


def add_loras(model: nn.Module, uses: Iterable[LoraUse]) -> list[Applied]:
    """Read LoRA files and add them to a model's weights, in place. Raises CheckpointError, having
    changed nothing, for a file that does not fit."""
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    return apply_files(model, read_uses(uses, shapes))


def merging(fetch: Callable[[str], Tensor], files: Files) -> Callable[[str], Tensor]:
    """A fetch whose tensors have the files' changes, in float32. It raises CheckpointError for a
    change that overflows float32."""
    planned = _by_target(files)

    def merged(name: str) -> Tensor:
        weight = fetch(name)
        if name not in planned:
            return weight
        return changed_weight(weight.float(), [one[1:] for one in planned[name]])

    return merged


def merged_header(metadata: Mapping[str, str], uses: Iterable[LoraUse]) -> dict[str, str]:
    """The header entry of a model into which LoRA files were merged: file, strength, base, words
    and tasks of each, after those that it had before. Raises CheckpointError for a damaged one."""
    rows: list[Any] = []
    if LORAS_KEY in metadata:
        before = read_json(metadata[LORAS_KEY], f"the header entry {LORAS_KEY} is", CheckpointError)
        rows += cast(list[Any], before) if isinstance(before, list) else [before]
    for use in uses:
        said = header_of(use.path)
        row = {"file": use.name, "strength": use.strength, "base": said.base}
        rows.append({**row, "words": list(said.words), "tasks": list(said.tasks)})
    return {LORAS_KEY: json.dumps(rows, ensure_ascii=False)}


def _layer(target: str) -> str:
    return target.removesuffix(".weight")
