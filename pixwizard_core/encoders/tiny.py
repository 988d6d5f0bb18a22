"""The bundled encoders: their sizes, untrained ones for training, and their three files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import EncoderError
from ..whole_file import whole_file
from .architectures import Encoder, weights_of
from .clip import ClipText, ClipVision
from .gemma import Gemma
from .initial import draw_weights
from .load import HEADER_KEYS, OFFICIAL, load_text_encoder, load_vision_encoder
from .settings import ClipTextConfig, ClipVisionConfig, GemmaConfig, config_from
from .text import TextEncoder, Tokenizers
from .tokenizer import load_tokenizer
from .vae import LatentCoder, load_latent_coder
from .vision import VisionEncoder, sinusoid_positions

BUNDLE = Path(__file__).resolve().parent.parent / "tiny"
TEXT_FILE, CLIP_FILE, VAE_FILE = "text.safetensors", "clip.safetensors", "vae.safetensors"

AnyEncoder = TypeVar("AnyEncoder", Gemma, ClipText, ClipVision)
SPECIAL_IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
# The last layer is never read, since features are hidden_states[-2]: three of four layers work.
TINY_GEMMA = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "initializer_range": 0.06,  # about 1/sqrt(fan-in); Gemma's 0.02 suits wide layers
    **SPECIAL_IDS,
}
CLIP_TEXT_LENGTH = 64  # tokens
# eos_token_id must not be 2, which means "the largest id ends the text".
TINY_CLIP_TEXT = {
    "hidden_size": 96,
    "intermediate_size": 384,
    "projection_dim": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CLIP_TEXT_LENGTH,
    "hidden_act": "quick_gelu",
    **SPECIAL_IDS,
}
TINY_CLIP_VISION = {
    "hidden_size": 96,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 336,
    "patch_size": 28,  # 144 tokens: a quarter of CLIP-L's, to be fast on a CPU
    "num_channels": 3,
    "hidden_act": "quick_gelu",
}


def load_tokenizer_only(folder: str | Path = BUNDLE) -> Tokenizers:
    """The bundled tokenizer in both roles, without any weights."""
    tokenizer = load_tokenizer(folder)
    return Tokenizers(tokenizer, tokenizer, CLIP_TEXT_LENGTH)


def build_tiny_encoders(
    device: torch.device | str = "cpu", *, seed: int = 0, tokenizer: str | Path = BUNDLE
) -> tuple[TextEncoder, VisionEncoder]:
    """Untrained encoders in training mode; the same for a seed on every machine."""
    tokenizers = load_tokenizer_only(tokenizer)
    words = {"vocab_size": tokenizers.gemma.size}
    generator = torch.Generator().manual_seed(seed)
    # Built on "meta": layers built on the CPU would draw from the global generator.
    meta: dict[str, Any] = {"device": "meta", "dtype": torch.float32}
    gemma = fresh(Gemma(config_from(GemmaConfig, {**TINY_GEMMA, **words}), **meta), generator)
    clip_text = fresh(
        ClipText(config_from(ClipTextConfig, {**TINY_CLIP_TEXT, **words}), **meta), generator
    )
    clip_vision = fresh(
        ClipVision(config_from(ClipVisionConfig, TINY_CLIP_VISION), **meta), generator
    )
    spread_positions(clip_vision)
    text = TextEncoder(gemma, clip_text, tokenizers)
    return text.to(device).train(), VisionEncoder(clip_vision).to(device).train()


def fresh(model: AnyEncoder, generator: torch.Generator) -> AnyEncoder:
    """Move an encoder from "meta" to the CPU, with untrained weights from the generator."""
    model = model.to_empty(device="cpu")
    draw_weights(model, generator)
    return model


@torch.no_grad()
def spread_positions(clip_vision: ClipVision, strength: float = 0.3) -> None:
    """Start the learned positions as 2-D sinusoids; the class token's is zero."""
    table = clip_vision.vision_model.embeddings.position_embedding.weight
    side = round((len(table) - 1) ** 0.5)
    table[0] = 0
    table[1:] = strength * sinusoid_positions(side, table.shape[1])


def save_encoders(text: TextEncoder, vision: VisionEncoder, folder: str | Path) -> None:
    """Write text.safetensors (Gemma) and clip.safetensors (CLIP text and vision), float16.

    Names are Hugging Face's and the configurations are in the headers, so a host can read them. The
    tokenizer is not written: it never changes with the weights.
    """
    from safetensors.torch import save

    folder = Path(folder)
    for name, parts in (
        (TEXT_FILE, {"gemma": text.gemma}),
        (CLIP_FILE, {"clip_text": text.clip, "clip_vision": vision.model}),
    ):
        tensors: dict[str, Tensor] = {}
        header = {"format": "pt"}
        for kind, model in parts.items():
            header[HEADER_KEYS[kind]] = json.dumps(tiny_config(kind, model), sort_keys=True)
            for key, value in weights_of(model).items():
                tensors[key] = value.detach().to("cpu", torch.float16).contiguous()
        data = save(tensors, header)
        with whole_file(folder / name, EncoderError) as file:
            file.write(data)


def tiny_config(kind: str, model: Encoder) -> dict[str, object]:
    """The settings that one of our models was built with, read from the model."""
    tiny = {"gemma": TINY_GEMMA, "clip_text": TINY_CLIP_TEXT, "clip_vision": TINY_CLIP_VISION}
    return {**tiny[kind], **{k: v for k, v in asdict(model.config).items() if k in OFFICIAL[kind]}}


def load_encoders(
    folder: str | Path = BUNDLE,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[TextEncoder, VisionEncoder]:
    """The trained encoders of a folder, frozen. Raises EncoderError when a file is wrong."""
    folder = Path(folder)
    clip = folder / CLIP_FILE
    text = load_text_encoder(folder / TEXT_FILE, clip, device=device, dtype=dtype)
    return text, load_vision_encoder(clip, device=device, dtype=dtype)


def load_vae(
    folder: str | Path = BUNDLE,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LatentCoder:
    """The trained autoencoder of a folder, frozen."""
    return load_latent_coder(Path(folder) / VAE_FILE, device=device, dtype=dtype)
