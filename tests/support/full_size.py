"""The four parts of the released model with random weights, in the layouts they are published in.

    python -m tests.support.full_size FOLDER [PART …] [--small]

writes them below FOLDER as a host's models folder has them, at their real sizes (15 GB) or small.
Values repeat one random block, read at another place for each name, so that the time goes into
writing and no layer equals another.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pixwizard_core.config import PRESETS, ModelConfig
from pixwizard_core.encoders.architectures import (
    CLIP_L_TEXT,
    CLIP_L_VISION,
    GEMMA_2B,
    expected_shapes,
)
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.model import PixWizard
from pixwizard_core.weights import checkpoint
from pixwizard_core.weights.lora import LoraSettings, add_lora, lora_state
from pixwizard_core.weights.weightfile import write_safetensors

Shapes = Mapping[str, tuple[int, ...]]
RELEASED = "PixWizard_2B_GQA_patch2"
BLOCK = 40_000_000  # numbers; the largest tensor of a pickle fits in
SPREAD, GATES = 0.02, 0.5  # of the random numbers; gates of 0.02 would hide what they let through
LOG_VARIANCE = -20.0  # of the autoencoder's latents, near that of the published one
MODEL, GEMMA = "diffusion_models/PixWizard", "LLM/gemma-2b"
CLIP, VAE = "text_encoders/clip-vit-large-patch14-336", "vae/sdxl_vae.safetensors"
LORA = "loras/random.safetensors"
CLIP_SPECIAL = ("<|startoftext|>", "<|endoftext|>")  # the last two ids


@dataclass(frozen=True)
class Sizes:
    """Sizes of the four parts. vae: channels at each of its four scales."""

    model: ModelConfig = PRESETS[RELEASED]
    gemma: dict = field(default_factory=lambda: dict(GEMMA_2B))
    clip_text: dict = field(default_factory=lambda: dict(CLIP_L_TEXT))
    clip_vision: dict = field(default_factory=lambda: CLIP_L_VISION | {"projection_dim": 768})
    vae: tuple[int, ...] = (128, 256, 512, 512)


FULL = Sizes()
SMALL = Sizes(
    ModelConfig.build(
        dim=64, n_layers=2, n_heads=4, n_kv_heads=2, multiple_of=32, cap_feat_dim=32,
        cap_clip_feat_dim=24, image_feat_dim=32,
    ),
    GEMMA_2B | {"vocab_size": 1100, "hidden_size": 32, "intermediate_size": 64, "head_dim": 8,
                "num_hidden_layers": 3, "num_attention_heads": 4},
    CLIP_L_TEXT | {"vocab_size": 1100, "hidden_size": 32, "intermediate_size": 64,
                   "projection_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
                   "eos_token_id": 1099},
    CLIP_L_VISION | {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                     "num_attention_heads": 4, "projection_dim": 24},
    (32, 32, 32, 32),
)  # fmt: skip


@cache
def block() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(BLOCK, dtype=np.float32) * SPREAD


def drawn(name: str, shape: tuple[int, ...], *, norms: bool = True) -> Tensor:
    """Random numbers for a weight, float32. norms: vectors called weight are a norm's, around 1.

    Matrices that fit into the block share its memory; torch.save writes each of them as its own.
    """
    size = prod(shape)
    start = zlib.crc32(name.encode()) % max(1, BLOCK - size)
    made = torch.from_numpy(block()[start : start + size])
    if size > BLOCK:
        made = made.repeat(-(-size // len(made)))[:size]
    made = made.view(shape)
    if norms and len(shape) == 1 and name.endswith("weight"):
        return 1 + made
    return made * (GATES / SPREAD) if re.search(r"\.gate(_for_ii)?$", name) else made


def write_model(models: Path, sizes: Sizes) -> Path:
    """The transformer: a float32 pickle, and its training arguments beside it."""
    folder = models / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    shapes = checkpoint.expected_shapes(sizes.model)
    weights = {name: drawn(name, shape) for name, shape in shapes.items()}
    torch.save(weights, folder / "consolidated_ema.00-of-01.pth")
    arguments = Namespace(model=RELEASED, image_size=768, vae="sdxl", qk_norm=True, ema=0.9999)
    torch.save(arguments, folder / "model_args.pth")
    return folder


def write_gemma(models: Path, sizes: Sizes) -> Path:
    """Two bfloat16 shards with an index; the second begins in the last layer, as published."""
    folder = models / GEMMA
    folder.mkdir(parents=True, exist_ok=True)
    own = expected_shapes("gemma", sizes.gemma)
    shapes = {f"model.{name}": shape for name, shape in own.items()}
    last = f"model.layers.{sizes.gemma['num_hidden_layers'] - 1}.mlp."
    files = {name: 2 if name.startswith((last, "model.norm.")) else 1 for name in shapes}
    titles = {name: f"model-{number:05}-of-00002.safetensors" for name, number in files.items()}
    for title in dict.fromkeys(titles.values()):
        part = {name: shape for name, shape in shapes.items() if titles[name] == title}
        draw = _drawing(part, torch.bfloat16, norms=False)
        write_safetensors(folder / title, part, dict.fromkeys(part, torch.bfloat16), draw, {})
    total = 2 * sum(map(prod, shapes.values()))
    index = {"metadata": {"total_size": total}, "weight_map": titles}
    _write_json(folder / "model.safetensors.index.json", index)
    _write_json(folder / "config.json", {"model_type": "gemma", **sizes.gemma})
    _write_json(folder / "tokenizer.json", tokenizer(sizes.gemma["vocab_size"]))
    return folder


def write_clip(models: Path, sizes: Sizes) -> Path:
    """Both halves in one float32 pickle, with the buffers and the scale that are published too."""
    folder = models / CLIP
    folder.mkdir(parents=True, exist_ok=True)
    shapes = expected_shapes("clip_text", sizes.clip_text)
    shapes = {**shapes, **expected_shapes("clip_vision", sizes.clip_vision), "logit_scale": ()}
    weights = {name: drawn(name, shape) for name, shape in shapes.items()}
    for half in ("text_model", "vision_model"):
        places = shapes[f"{half}.embeddings.position_embedding.weight"][0]
        weights[f"{half}.embeddings.position_ids"] = torch.arange(places)[None]
    torch.save(weights, folder / "pytorch_model.bin")
    halves = {"text_config": sizes.clip_text, "vision_config": sizes.clip_vision}
    _write_json(folder / "config.json", {"model_type": "clip", **halves})
    words = tokenizer(sizes.clip_text["vocab_size"], CLIP_SPECIAL)
    _write_json(folder / "tokenizer.json", words)
    return folder


def write_vae(models: Path, sizes: Sizes) -> Path:
    """The autoencoder under its first names, float32."""
    path = models / VAE
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = vae_shapes(sizes.vae)
    draw = _drawing(shapes, torch.float32)

    def with_little_noise(name: str) -> Tensor:
        if name != "quant_conv.bias":
            return draw(name)
        return draw(name) + torch.tensor([0.0] * 4 + [LOG_VARIANCE] * 4)

    dtypes = dict.fromkeys(shapes, torch.float32)
    write_safetensors(path, shapes, dtypes, with_little_noise, {})
    return path


def write_lora(models: Path, sizes: Sizes) -> Path:
    """A LoRA of rank 4 on every layer that training takes, as PixWizard writes them."""
    path = models / LORA
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        model = PixWizard(sizes.model)
    add_lora(model, LoraSettings(rank=4))
    shapes = {name: tuple(value.shape) for name, value in lora_state(model).items()}
    dtypes = dict.fromkeys(shapes, torch.float16)

    def draw(name: str) -> Tensor:
        whole = torch.tensor(4.0) if name.endswith("alpha") else drawn(name, shapes[name])
        return whole * 5 if name.endswith("lora_B.weight") else whole

    write_safetensors(path, shapes, dtypes, draw, {})
    return path


PARTS: dict[str, Callable[[Path, Sizes], Path]] = {
    "model": write_model, "gemma": write_gemma, "clip": write_clip, "vae": write_vae,
    "lora": write_lora,
}  # fmt: skip


def vae_shapes(channels: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Weights of the first Stable Diffusion autoencoders: 4 latent channels, factor 8."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, outputs: int, inputs: int | None = None, side: int = 1) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, side, side) if inputs else (outputs,)
        shapes[f"{name}.bias"] = (outputs,)

    def residual(name: str, inputs: int, outputs: int) -> None:
        add(f"{name}.norm1", inputs)
        add(f"{name}.conv1", outputs, inputs, 3)
        add(f"{name}.norm2", outputs)
        add(f"{name}.conv2", outputs, outputs, 3)
        if inputs != outputs:
            add(f"{name}.nin_shortcut", outputs, inputs)

    def middle(name: str, width: int) -> None:
        residual(f"{name}.mid.block_1", width, width)
        add(f"{name}.mid.attn_1.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            add(f"{name}.mid.attn_1.{part}", width, width)
        residual(f"{name}.mid.block_2", width, width)

    width = channels[0]
    add("encoder.conv_in", width, 3, 3)
    for level, outputs in enumerate(channels):
        for number in range(2):
            residual(f"encoder.down.{level}.block.{number}", width, outputs)
            width = outputs
        if level < len(channels) - 1:
            add(f"encoder.down.{level}.downsample.conv", width, width, 3)
    middle("encoder", width)
    add("encoder.norm_out", width)
    add("encoder.conv_out", 8, width, 3)
    add("decoder.conv_in", width, 4, 3)
    middle("decoder", width)
    for level, outputs in reversed(list(enumerate(channels))):
        for number in range(3):
            residual(f"decoder.up.{level}.block.{number}", width, outputs)
            width = outputs
        if level:
            add(f"decoder.up.{level}.upsample.conv", width, width, 3)
    add("decoder.norm_out", width)
    add("decoder.conv_out", 3, width, 3)
    add("quant_conv", 8, 8)
    add("post_quant_conv", 4, 4)
    return shapes


def tokenizer(words: int, special: tuple[str, ...] = ()) -> dict:
    """The bundled tokenizer, filled up to this many words. special: further special tokens, which
    get the last ids."""
    content = json.loads((BUNDLE / "tokenizer.json").read_text(encoding="utf-8"))
    known = content["model"]["vocab"]
    for number in range(len(known), words - len(special)):
        known[f"<unused{number}>"] = number
    for token in special:
        known[token] = len(known)
        content["added_tokens"].append(
            content["added_tokens"][0] | {"id": known[token], "content": token}
        )
    return content


def _drawing(shapes: Shapes, dtype: torch.dtype, *, norms: bool = True) -> Callable[[str], Tensor]:
    return lambda name: drawn(name, shapes[name], norms=norms).to(dtype)


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--small", action="store_true", help="sizes for a trial, in a few MB")
    arguments = parser.parse_args()
    for part in arguments.parts or PARTS:
        print(PARTS[part](arguments.folder, SMALL if arguments.small else FULL))


if __name__ == "__main__":
    main()
