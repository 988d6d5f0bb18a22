"""Find, recognise and load text and vision encoders from folders or single files.

A file is recognised by the names and shapes of its tensors. One with its configuration in the
header (the bundled encoders, or ones trained like them) may have any size; all others must be the
models the released PixWizard was trained with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from ..errors import EncoderError
from ..json_text import json_object, read_json
from ..weights.published import ENCODERS_WANTED as WANTED
from ..weights.quantised_files import is_helper
from ..weights.recognise import LATER_GEMMA, recognise
from .architectures import (
    CLIP_L_TEXT,
    CLIP_L_VISION,
    GEMMA_2B,
    Encoder,
    Weights,
    filled,
    own_name,
)
from .clip import ClipText, ClipVision
from .gemma import Gemma
from .shards import weight_files, weights_at
from .text import TextEncoder, Tokenizers
from .tokenizer import CLIP_TOKENS, GEMMA_TOKENS, TextTokenizer, load_tokenizer
from .vision import VisionEncoder

HEADER_KEYS = {
    "gemma": "pixwizard.gemma",
    "clip_text": "pixwizard.clip_text",
    "clip_vision": "pixwizard.clip_vision",
}
OFFICIAL: dict[str, dict[str, Any]] = {
    "gemma": GEMMA_2B,
    "clip_text": CLIP_L_TEXT,
    "clip_vision": CLIP_L_VISION,
}
# A tensor that every file of a kind has.
KEY_TENSORS = {
    "gemma": "embed_tokens.weight",
    "clip_text": "text_model.embeddings.token_embedding.weight",
    "clip_vision": "vision_model.embeddings.patch_embedding.weight",
}
ROOTS = {
    "gemma": ("",),
    "clip_text": ("text_model.", "text_projection."),
    "clip_vision": ("vision_model.", "visual_projection."),
}
OPTIONAL = ("initializer_range",)
ACTIVATIONS = ("gelu_pytorch_tanh", "gelu", "quick_gelu")
LARGEST = 1 << 19  # the largest number allowed in settings: twice Gemma's vocabulary
LARGEST_OF = {"num_hidden_layers": 1024}
LEFT_OUT = ("lm_head.weight", "position_ids", "rotary_emb.inv_freq")  # computed, or never used


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """A recognised encoder: its settings and weights. own: the settings came with the file. files:
    those that hold the weights."""

    config: dict[str, Any]
    weights: Weights
    folder: Path
    own: bool
    files: tuple[Path, ...]


def read_source(kind: str, path: str | Path) -> EncoderSource:
    """Recognise an encoder by its content. kind: "gemma", "clip_text" or "clip_vision".

    Raises EncoderError saying what the file is, what is needed and where to get it.
    """
    files = weight_files(path)
    owner = {
        own_name(kind, name): (file, name)
        for file in files
        for name in file.shapes
        if not is_helper(name)
    }
    shapes = {name: file.shapes[inner] for name, (file, inner) in owner.items()}
    every = dict(shapes)
    owner = {
        name: place
        for name, place in owner.items()
        if name.startswith(ROOTS[kind]) and not name.endswith(LEFT_OUT)
    }
    shapes = {name: shapes[name] for name in owner}
    path = Path(path)
    headers = [
        file.metadata[HEADER_KEYS[kind]] for file in files if HEADER_KEYS[kind] in file.metadata
    ]
    if headers:
        settings = projected(read_settings(kind, headers[0], path.name), shapes)
    else:
        trouble = mismatch(kind, every)
        if trouble:
            raise EncoderError(f"{path.name} is {trouble}. {WANTED[kind]}")
        settings = projected(OFFICIAL[kind], shapes)
    return EncoderSource(
        settings,
        weights_at(path.name, owner),
        path if path.is_dir() else path.parent,
        own=bool(headers),
        files=tuple(file.path for file in files),
    )


def projected(
    settings: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    """An encoder's settings with the width of the image projection, if its file has one."""
    shape = shapes.get("visual_projection.weight", ())
    return settings | ({"projection_dim": shape[0]} if len(shape) == 2 else {})


def read_settings(kind: str, text: str, source: str) -> dict[str, Any]:
    """An encoder's settings from a file's header: those of the official encoder with other numbers.

    Raises EncoderError for anything else.
    """
    found = read_json(text, f"{source}: the settings in its header are", EncoderError)
    values = json_object(found)
    official = OFFICIAL[kind]
    if not values or set(values) - {*official, *OPTIONAL}:
        raise EncoderError(
            f"{source}: the settings in its header are not those of {kind}; the file is damaged "
            "or needs a newer release"
        )
    wrong = [name for name, value in values.items() if not plausible(name, value, official)]
    if wrong:
        told = f"{wrong[0]} = {values[wrong[0]]!r:.60}"
        raise EncoderError(f"{source}: the settings in its header make no sense ({told})")
    return {**official, **values}


def plausible(name: str, value: object, official: Mapping[str, object]) -> bool:
    """Whether a setting has a type and size that an encoder can have."""
    if isinstance(official.get(name, 0.0), str):
        return value in ACTIVATIONS
    if isinstance(official.get(name, 0.0), float):
        return isinstance(value, float) and 0 < value < 1
    least = 0 if name.endswith("_token_id") else 1
    return type(value) is int and least <= value <= LARGEST_OF.get(name, LARGEST)


def mismatch(kind: str, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """None if the shapes are those the released model was trained with, otherwise a description."""
    if KEY_TENSORS[kind] not in shapes:
        return describe(shapes)
    if kind == "gemma":
        fits = shapes[KEY_TENSORS[kind]] == (256000, 2048) and layer_count(shapes) == 18
        return None if fits and not is_gemma_2(shapes) else describe(shapes)
    if kind == "clip_text":
        if shapes[KEY_TENSORS[kind]][1] != CLIP_L_TEXT["hidden_size"]:
            return describe(shapes)
        if "text_projection.weight" not in shapes:
            return "a CLIP-L text model without text_projection (such as Stable Diffusion's clip_l)"
        return None
    positions = shapes.get("vision_model.embeddings.position_embedding.weight")
    return None if positions == (577, 1024) else describe(shapes)


def layer_count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Number of layers, from the numbers in the names."""
    found = (re.search(r"layers\.(\d+)\.", name) for name in shapes)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def is_gemma_2(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether this is a later Gemma, which has a norm on both sides of the feed-forward part."""
    return any(LATER_GEMMA in name for name in shapes)


def describe(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Describe a model in words, from its tensors' names and shapes."""
    shapes = {name.removeprefix("model."): shape for name, shape in shapes.items()}
    embedding = shapes.get("embed_tokens.weight")
    if embedding:
        words, width = embedding
        later = "Gemma 3" if any("self_attn.q_norm" in name for name in shapes) else "Gemma 2"
        family = later if is_gemma_2(shapes) else "a language model"
        return f"{family} ({layer_count(shapes)} layers, width {width}, {words} words)"
    text = any(name.startswith("text_model.") for name in shapes)
    patches = shapes.get("vision_model.embeddings.patch_embedding.weight")
    if patches and not text:
        places = shapes.get("vision_model.embeddings.position_embedding.weight", (0,))[0]
        side = round(max(0, places - 1) ** 0.5) * patches[-1]
        return f"CLIP vision alone, without text (width {patches[0]}, {side} px pictures)"
    if text:
        width = shapes.get("text_model.embeddings.token_embedding.weight", (0, 0))[1]
        return f"CLIP{' text alone' if not patches else ''} (text width {width})"
    return recognise(shapes) or (
        f"something else (its first of {len(shapes)} tensors is {next(iter(shapes), 'none')})"
    )


def load_text_encoder(
    gemma: str | Path,
    clip: str | Path,
    *,
    gemma_tokenizer: str | Path | None = None,
    clip_tokenizer: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TextEncoder:
    """Load Gemma and CLIP text from folders or files.

    Each tokenizer.json is expected beside its weights unless its path is given. Raises
    EncoderError for wrong models, missing files and vocabularies that do not match.
    """
    parts: dict[str, Encoder] = {}
    tokenizers: dict[str, TextTokenizer] = {}
    for kind, path, place in (
        ("gemma", gemma, gemma_tokenizer),
        ("clip_text", clip, clip_tokenizer),
    ):
        source = read_source(kind, path)
        tokenizers[kind] = source_tokenizer(kind, source, place)
        parts[kind] = filled(kind, source.config, source.weights, device=device, dtype=dtype)
    words, pooled = cast(Gemma, parts["gemma"]), cast(ClipText, parts["clip_text"])
    length = pooled.config.max_position_embeddings
    both = Tokenizers(tokenizers["gemma"], tokenizers["clip_text"], length)
    return TextEncoder(words, pooled, both)


def source_tokenizer(
    kind: str, source: EncoderSource, place: str | Path | None = None
) -> TextTokenizer:
    """The tokenizer beside a source or at `place`. Raises EncoderError when it is too large."""
    # Encoders with their own settings share one vocabulary with Gemma's names for special tokens.
    tokens = CLIP_TOKENS if kind == "clip_text" and not source.own else GEMMA_TOKENS
    tokenizer = load_tokenizer(place or source.folder, tokens)
    if tokenizer.size > source.config["vocab_size"]:
        raise EncoderError(
            f"the tokenizer beside {source.weights.source} has {tokenizer.size} words, the model "
            f"{source.config['vocab_size']}; use the tokenizer.json that came with the weights"
        )
    return tokenizer


def load_vision_encoder(
    path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> VisionEncoder:
    """Load CLIP vision from a folder or file. Raises EncoderError for any other model."""
    source = read_source("clip_vision", path)
    model = filled("clip_vision", source.config, source.weights, device=device, dtype=dtype)
    return VisionEncoder(cast(ClipVision, model))


def require_widths(
    text: TextEncoder, vision: VisionEncoder, *, words: int, pooled: int, image: int
) -> None:
    """Raise EncoderError unless the encoders have the output widths a transformer was trained
    with."""
    met = {
        "Gemma": (text.width, words),
        "CLIP text": (text.pooled_width, pooled),
        "CLIP vision": (vision.width, image),
    }
    wrong = [
        f"{name} gives {own}, wanted {wanted}"
        for name, (own, wanted) in met.items()
        if own != wanted
    ]
    if wrong:
        raise EncoderError(
            f"these encoders have another size than the model: {'; '.join(wrong)}. The bundled "
            "encoders belong to the bundled model, Gemma 2B and CLIP-L to the released one"
        )
