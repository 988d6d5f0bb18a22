"""How trainers name the entries of a LoRA file: a prefix, a layer's path, and the part it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

WEIGHT, BIAS = ".weight", ".bias"
# Prefixes of a layer's path, and those of a path with _ for every dot.
DOTTED = (
    "", "diffusion_model.", "model.diffusion_model.", "transformer.", "unet.", "net.", "model.",
    "module.", "base_model.model.", "base_model.model.transformer.",
    "base_model.model.diffusion_model.", "base_model.model.model.",
    "transformer.base_model.model.", "unet.base_model.model.",
)  # fmt: skip
UNDERSCORED = ("lora_unet_", "lora_unet__", "lora_transformer_", "lora_dit_", "lycoris_")

_ADAPTER = r"(?:\.default(?:_\d+)?)?"  # PEFT's name of the adapter, if it was kept
_MAGNITUDE = rf"\.lora_magnitude_vector{_ADAPTER}(?:\.weight)?"
# Every part by the endings of its names. The parts are named as in comfy.weight_adapter.
_ENDS = {
    "lora_up": (
        rf"\.lora_up{_ADAPTER}(?:\.weight)?", r"[._]lora\.up\.weight", r"\.lora_B",
        r"\.lora_B(?:\.\w+)?\.weight", r"\.lora_linear_layer\.up\.weight",
    ),
    "lora_down": (
        rf"\.lora_down{_ADAPTER}(?:\.weight)?", r"[._]lora\.down\.weight", r"\.lora_A",
        r"\.lora_A(?:\.\w+)?\.weight", r"\.lora_linear_layer\.down\.weight",
    ),
    **{
        part: (rf"\.{part}{_ADAPTER}",)
        for part in (
            "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b",
            "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b",
        )
    },
    **{part: (rf"\.{part}\.weight",) for part in ("a1", "a2", "b1", "b2")},
    "oft_blocks": (r"\.oft_blocks",),
    "rescale": (r"\.rescale",),
    "diff": (r"\.diff", r"\.w_norm"),
    "diff_b": (r"\.diff_b", r"\.b_norm"),
    "set_weight": (r"\.set_weight",),
    "alpha": (r"\.alpha",),
    # One length for each row or column of the weight: LyCORIS and OneTrainer, then PEFT.
    "dora_scale": (r"\.dora_scale",),
    "magnitude": (
        _MAGNITUDE, r"\.(?:lora_|dora_)?magnitude(?:_vector)?(?:\.weight)?",
        r"\.weight_m_wdecomp\.weight",
    ),
}  # fmt: skip
_PATTERNS = {part: re.compile(f"(?:{'|'.join(ends)})\\Z") for part, ends in _ENDS.items()}
_LONGEST = 80  # characters of an end


def spellings(weights: Iterable[str]) -> dict[str, str]:
    """Map every spelling of a layer's path to the path. weights: names of the model's weights.

    A weight whose name does not end in ".weight", such as a gate, is a layer of its own.
    """
    found: dict[str, str] = {}
    for weight in weights:
        if not weight.endswith(BIAS):
            path = weight.removesuffix(WEIGHT)
            found |= {prefix + path: path for prefix in DOTTED}
            found |= {prefix + path.replace(".", "_"): path for prefix in UNDERSCORED}
    return found


def split_entry(name: str) -> tuple[str, str] | None:
    """(layer name as in the file, part) of an entry, or None for an unknown ending."""
    start = max(0, len(name) - _LONGEST)
    for part, pattern in _PATTERNS.items():
        match = pattern.search(name, start)
        if match:
            return name[: match.start()], part
    return None


def layer_of(name: str, names: dict[str, str]) -> str | None:
    """The path of the layer that an entry of any part belongs to, or None. names: spellings()."""
    stem = name
    while stem:
        for layer in (stem, stem.removesuffix("_lora")):
            if layer in names:
                return names[layer]
        stem = stem.rpartition(".")[0]
    return None


def bare(name: str) -> str:
    """A layer's name without a trainer's prefix."""
    prefix = max((p for p in DOTTED if name.startswith(p)), key=len)
    return name.removeprefix(prefix)
