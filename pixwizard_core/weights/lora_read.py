"""Read a LoRA file of any trainer. A file with an entry that has no place in the model is
refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import CheckpointError
from .adapters import RANKS_IN, Adapter, changed_shape, rank_of
from .finite import require_finite
from .lora_names import BIAS, WEIGHT, layer_of, spellings, split_entry
from .lora_strength import Strength, said_strength
from .weightfile import WeightFile, open_weights

SHOWN = 8  # names listed in a message
Shape = tuple[int, ...]
# Parts that define a kind: all of one row. Other parts of the same kind are optional.
KIND_PARTS = {
    "lora": [("lora_up", "lora_down")],
    "loha": [("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")],
    "lokr": [
        (*one, *other)
        for one in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
        for other in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))
    ],
    "glora": [("a1", "a2", "b1", "b2")],
    "oft": [("oft_blocks",)],
    "diff": [("diff",)],
    "set": [("set_weight",)],
}
EXTRAS = {
    **dict.fromkeys(("lora", "loha", "lokr", "glora"), ("alpha", "dora_scale", "magnitude")),
    "oft": ("alpha", "rescale", "dora_scale", "magnitude"),
}
DORA = {"dora_scale", "magnitude"}


@dataclass(frozen=True)
class LoraFile:
    """adapters: in the file's order. elsewhere: entries that fit no layer of the model.
    guessed: the file states no strength, so its weights were used unscaled."""

    adapters: tuple[Adapter, ...]
    elsewhere: tuple[str, ...]
    guessed: bool


def listed(names: Iterable[str]) -> str:
    """Names for a message: the first SHOWN and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def read_adapters(
    path: str | Path, shapes: Mapping[str, Shape], *, strict: bool = True
) -> LoraFile:
    """Read the changes that a LoRA file makes to a model. shapes: of the model's weights, by name.

    strict: refuse a file with entries for layers that the model does not have; otherwise they are
    listed in `elsewhere`. Raises CheckpointError, naming the first wrong entries, when nothing
    fits, a weight has another size, a layer has unsupported entries or an incomplete set, or
    numbers are not finite. Sizes are checked before any tensor is read.
    """
    file = open_weights(Path(path))
    name = file.path.name
    layers, elsewhere = _by_layer(file, shapes)
    if not layers:
        raise CheckpointError(
            f"nothing in {name} fits this PixWizard model; the LoRA was made for another model, or "
            f"the file is no LoRA. It holds: {listed(file.shapes)}"
        )
    drafts = [draft for layer, parts in layers.items() for draft in _drafts(layer, parts, shapes)]
    used = {entry for draft in drafts for entry in draft.entries.values()}
    unread = [entry for entry in file.shapes if entry not in used and entry not in elsewhere]
    if unread:
        raise CheckpointError(
            f"{len(unread)} of {len(file.shapes)} entries of {name} cannot be used: "
            f"{listed(unread)}. Their layers are in this model, but entries that belong with them "
            "are missing, or this kind of adapter is not read here. Save the LoRA again as a "
            "whole, or convert it to a plain one"
        )
    for draft in drafts:
        _require_fit(file, draft, shapes[draft.target])
    if elsewhere and strict:
        raise CheckpointError(
            f"{len(elsewhere)} of {len(file.shapes)} entries of {name} fit no layer of this model: "
            f"{listed(elsewhere)}. Use a LoRA trained for this model, or a copy of the file "
            "without these entries. In ComfyUI, Load LoRA loads the rest with allow_unmatched on"
        )
    strength = said_strength(file)
    if strength and strength.dora and not any(DORA & set(draft.entries) for draft in drafts):
        raise CheckpointError(
            f"{strength.source} says that {name} is a DoRA, but its magnitudes are missing; save "
            "it again with them"
        )
    found = [_adapter(file, draft, strength) for draft in drafts]
    guessed = any(scale is None for _, scale in found)
    return LoraFile(tuple(adapter for adapter, _ in found), tuple(elsewhere), guessed)


def _by_layer(
    file: WeightFile, shapes: Mapping[str, Shape]
) -> tuple[dict[str, dict[str, str]], dict[str, None]]:
    """Parts and their entries for each layer of the model; also the entries of other layers.

    Raises CheckpointError when two entries are the same part of a layer.
    """
    names = spellings(shapes)
    layers: dict[str, dict[str, str]] = {}
    elsewhere: dict[str, None] = {}
    for entry in file.shapes:
        stem, part = split_entry(entry) or ("", "")
        layer, owner = names.get(stem), layer_of(entry, names)
        if layer is not None:
            parts = layers.setdefault(layer, {})
            if part in parts:
                raise CheckpointError(
                    f"{file.path.name} has {part} of {layer} twice: {parts[part]} and {entry}; it "
                    "holds more than one LoRA. Save them as files of their own"
                )
            parts[part] = entry
        elif owner is None:
            elsewhere[entry] = None
        else:
            layers.setdefault(owner, {})
    return layers, elsewhere


@dataclass(frozen=True)
class _Draft:
    """An adapter before its tensors are read. entries: names in the file, by part."""

    layer: str
    target: str
    kind: str
    entries: dict[str, str]


def _drafts(layer: str, parts: dict[str, str], shapes: Mapping[str, Shape]) -> list[_Draft]:
    weight = layer + WEIGHT if layer + WEIGHT in shapes else layer
    drafts: list[_Draft] = []
    for kind, choices in KIND_PARTS.items():
        chosen = next((choice for choice in choices if set(choice) <= set(parts)), ())
        if chosen:
            extras = [part for part in EXTRAS.get(kind, ()) if part in parts]
            entries = {part: parts[part] for part in (*chosen, *extras)}
            drafts.append(_Draft(layer, weight, kind, entries))
    if "diff_b" in parts and layer + BIAS in shapes:
        drafts.append(_Draft(layer, layer + BIAS, "diff", {"diff": parts["diff_b"]}))
    return drafts


def _kind(file: WeightFile, draft: _Draft) -> str:
    blocks = draft.entries.get("oft_blocks")
    return "boft" if blocks and len(file.shapes[blocks]) == 4 else draft.kind


def _require_fit(file: WeightFile, draft: _Draft, wanted: Shape) -> None:
    """Raises CheckpointError for parts that do not fit the weight, or one another."""
    kind, first = _kind(file, draft), next(iter(draft.entries.values()))
    begin = f"{file.path.name}: {draft.target.removesuffix(WEIGHT)} is {wanted} in this model"
    has = {part: file.shapes[entry] for part, entry in draft.entries.items()}
    for part, shape in has.items():
        odd = kind in RANKS_IN and part not in DORA and len(shape) not in (2, 4)
        if 0 in shape or (math.prod(shape) != 1 if part == "alpha" else odd):
            raise CheckpointError(
                f"{begin}, and {draft.entries[part]} has the shape {shape}; the file is damaged or "
                "of another kind"
            )
    shown = ", ".join(f"{part} {shape}" for part, shape in has.items() if part != "alpha")
    if kind in RANKS_IN and len(wanted) < 2:
        raise CheckpointError(f"{begin}, which is no matrix, so that {first} fits nothing there")
    try:
        parts = {n: torch.empty(s, dtype=torch.float32, device="meta") for n, s in has.items()}
        shape = changed_shape(kind, parts, wanted)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise CheckpointError(
            f"{begin}; the LoRA's {first} and what belongs to it do not fit it or one another "
            f"({shown}); it was made for a model of another size, or is damaged"
        ) from error
    if shape != wanted:
        raise CheckpointError(
            f"{begin}, the LoRA's is {shape} by {first} ({shown}); it was made for a model of "
            "another size"
        )


def _adapter(
    file: WeightFile, draft: _Draft, strength: Strength | None
) -> tuple[Adapter, float | None]:
    """The adapter with its tensors; also its scale as stated in the file, or None."""
    parts = {
        part: require_finite(file.fetch(entry), entry, file.path.name)
        for part, entry in draft.entries.items()
    }
    kind = _kind(file, draft)
    scale = None if kind in RANKS_IN else 1.0
    if scale is None:
        rank, layer = rank_of(kind, parts), draft.layer
        if "alpha" in parts:
            scale = parts["alpha"].item() / rank if rank else 1.0
        elif strength:
            scale = strength.scale(layer, rank)
        elif kind == "lokr" and rank is None:
            scale = 1.0  # whole matrices need no scale
    used = 1.0 if scale is None else scale
    return Adapter(draft.target, kind, parts, used, tuple(draft.entries.values())), scale
