"""Recognise the model that a set of weight names belongs to. File names are never used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..config import TINY, ModelConfig

PIXWIZARD = "PixWizard"

# Wrappers that trainers leave anywhere in a name: sharding, checkpointing, compiling.
WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")
# Where savers put the transformer: ComfyUI, pipelines, wrapped training. Several may be stacked.
HOLDERS = ("diffusion_model.", "model.", "module.", "transformer.", "net.", "dit.")
FIRST, GATE = "x_embedder.weight", "layers.0.attention.gate"
# What each of our layers has and no relative's has: attention to an image.
IMAGE_ATTENTION = ("attention.wk_ii.", "input_image_proj.")
LATER_GEMMA = "pre_feedforward_layernorm."  # a norm that the first generation does not have


class Mark(NamedTuple):
    """A model and the pieces of names that give it away: all of `has`, none of `lacks`."""

    model: str
    has: tuple[str, ...]
    lacks: tuple[str, ...] = ()


# First match wins, so what is special stands before what is general.
MARKS = (
    Mark("a LoRA, not a whole model", ("lora_up.",)),
    Mark("a LoRA, not a whole model", ("lora_A.",)),
    Mark("a LoRA, not a whole model", ("lora_down.",)),
    Mark("a LoRA-like patch (LoHa), not a whole model", ("hada_w1",)),
    Mark("a LoRA-like patch (LoKr), not a whole model", ("lokr_w1",)),
    Mark(PIXWIZARD, tuple(f"layers.0.{name}" for name in IMAGE_ATTENTION)),
    Mark("Z-Image", ("noise_refiner.0.", "x_pad_token")),
    Mark("Lumina-Image-2.0", ("noise_refiner.0.", "context_refiner.0.")),
    Mark("Lumina-Next", ("layers.0.attention.wk_y.", "cap_embedder.")),
    Mark("Lumina-Next", ("layers.0.attn2.to_k.", "time_caption_embed.")),  # diffusers' names
    Mark("ControlNet", ("input_hint_block.",)),
    Mark("ControlNet", ("controlnet_cond_embedding.",)),
    Mark("HunyuanVideo", ("double_blocks.0.", "individual_token_refiner.")),
    Mark("Flux", ("double_blocks.0.",)),
    Mark("Flux (diffusers layout)", ("single_transformer_blocks.0.",)),
    Mark("Stable Diffusion 3", ("joint_blocks.0.",)),
    Mark("PixArt", ("blocks.0.scale_shift_table",)),
    Mark("PixArt", ("blocks.0.cross_attn.", "t_block.")),
    Mark("DiT", ("blocks.0.adaLN_modulation.", "y_embedder.embedding_table.")),
    Mark("SDXL", ("input_blocks.0.", "label_emb.")),
    Mark("Stable Diffusion 1 or 2", ("input_blocks.0.",)),
    Mark("a diffusers UNet (Stable Diffusion)", ("down_blocks.0.", "conv_in.", "time_embedding.")),
    Mark("a T5 text encoder", ("encoder.block.0.layer.0.",)),
    Mark("Gemma 2 (a text encoder)", ("self_attn.q_proj.", LATER_GEMMA)),
    Mark("CLIP (vision part)", ("vision_model.encoder.layers.0.",), ("text_model.encoder.",)),
    Mark("CLIP (text part)", ("text_model.encoder.layers.0.",), ("vision_model.encoder.",)),
    Mark("CLIP (text and vision)", ("text_model.encoder.layers.0.",)),
    Mark("CLIP (OpenCLIP layout)", ("transformer.resblocks.0.",)),
    Mark("a language model such as Gemma", ("layers.0.self_attn.q_proj.", "embed_tokens.")),
    Mark("TAESD (a small VAE)", ("taesd_",)),
    Mark("a VAE", ("encoder.conv_in.", "decoder.conv_in.")),
    Mark("a VAE decoder", ("decoder.conv_in.",)),
)


def recognise(names: Iterable[str]) -> str | None:
    """Name of the model these weight names belong to, PIXWIZARD for ours, None when unknown."""
    joined = "\n".join(names)
    for mark in MARKS:
        if any(part in joined for part in mark.lacks):
            continue
        if all(part in joined for part in mark.has):
            return mark.model
    return None


def without_wrappers(name: str) -> str:
    """A weight's name without the wrappers of trainers."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def find_prefix(names: Iterable[str]) -> str | None:
    """Prefix of PixWizard's weights, None when there are none. names: without wrappers."""
    known = set(names)
    found = (name.removesuffix(FIRST) for name in known if name.endswith(FIRST))
    return min((p for p in found if f"{p}{GATE}" in known), key=lambda p: (len(p), p), default=None)


def is_known_prefix(prefix: str) -> bool:
    """Whether a prefix is a stack of those that savers are known to write."""
    while prefix:
        holder = next((holder for holder in HOLDERS if prefix.startswith(holder)), None)
        if holder is None:
            return False
        prefix = prefix.removeprefix(holder)
    return True


def part_of_pixwizard(names: Iterable[str]) -> str | None:
    """What is there and what is missing, for names that are a part of PixWizard; else None."""
    names = list(names)
    ours = "|".join(re.escape(name) for name in IMAGE_ATTENTION)
    marked = [re.search(rf"(?:^|\.)layers\.(\d+)\.(?:{ours})", name) for name in names]
    layers = sorted({int(match[1]) for match in marked if match})
    if not layers:
        return None
    lacking = [name for name in (FIRST, GATE) if not any(n.endswith(name) for n in names)]
    lacks = " and ".join(lacking) or "whole layers"
    return f"it has layers {layers[0]} to {layers[-1]} and lacks {lacks}"


def config_from_shapes(shapes: Mapping[str, tuple[int, ...]]) -> ModelConfig:
    """Derive the configuration from the shapes of unprefixed weights.

    The token counts and norm_eps leave no trace in the weights: they keep their defaults, unless
    all shapes are the bundled model's. in_channels is taken as 4 unless that leaves no square
    patch. Raises KeyError for a weight that is not there, ValueError for shapes that
    contradict each other.
    """
    dim, embedded = shapes["x_embedder.weight"]
    heads = shapes["layers.0.attention.gate"][0]
    head_dim = shapes["layers.0.attention.wq.weight"][0] // heads
    cells = embedded // 2  # noisy and image latent share the embedder
    patch = round((cells / 4) ** 0.5)
    if patch < 1 or patch * patch * 4 != cells:
        patch = 2 if cells % 4 == 0 else 1
    layers = {int(name.split(".")[1]) for name in shapes if name.startswith("layers.")}
    found: dict[str, Any] = {
        "dim": dim,
        "n_layers": max(layers) + 1,
        "n_heads": heads,
        "n_kv_heads": shapes["layers.0.attention.wk.weight"][0] // head_dim,
        "ffn_dim": shapes["layers.0.feed_forward.w1.weight"][0],
        "patch_size": patch,
        "in_channels": cells // patch**2,
        "learn_sigma": shapes["final_layer.linear.weight"][0] == embedded,
        "qk_norm": "layers.0.attention.q_norm.weight" in shapes,
        "cap_feat_dim": shapes["layers.0.attention.wk_y.weight"][1],
        "cap_clip_feat_dim": shapes["task_embedder.1.weight"][1],
        "image_feat_dim": shapes["layers.0.input_image_proj.weight"][1],
    }
    known = TINY.to_dict()
    if all(known[name] == value for name, value in found.items()):
        found |= {name: known[name] for name in ("sample_tokens", "image_tokens")}
    return ModelConfig(**found)
