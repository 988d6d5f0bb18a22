"""The three encoders by kind: their published settings, building, and strict filling.

Everything is checked by the names and shapes of the weights, never by a file's name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import EncoderError, PixWizardWarning
from ..model import Attention, Ops, sdpa
from ..weights.finite import require_range
from ..weights.quantised import WHY_UNPACKED, QuantisedWeight, unpacked_line
from .clip import ClipText, ClipVision
from .gemma import Gemma
from .settings import ClipTextConfig, ClipVisionConfig, GemmaConfig, config_from

# google/gemma-2b, the first generation. Its config.json is not needed: nothing else fits the DiT.
GEMMA_2B = {
    "vocab_size": 256000,
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 18,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 2,
}
# openai/clip-vit-large-patch14-336. eos_token_id is the true id: the published config has 2, which
# means the largest id of a text, the same token.
CLIP_L_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "pad_token_id": 49407,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}
CLIP_L_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "num_channels": 3,
    "hidden_act": "quick_gelu",
}
Encoder = Gemma | ClipText | ClipVision
KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "gemma": (GemmaConfig, Gemma),
    "clip_text": (ClipTextConfig, ClipText),
    "clip_vision": (ClipVisionConfig, ClipVision),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Named tensors of one model, fetched on demand. source: their name in messages. packed: the
    quantised ones by name; fetch unpacks them, and dtypes say what to."""

    source: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype]
    fetch: Callable[[str], Tensor]
    packed: Mapping[str, QuantisedWeight] = field(default_factory=dict[str, QuantisedWeight])


def build(
    kind: str,
    settings: Mapping[str, object],
    *,
    ops: Ops = nn,
    attention: Attention = sdpa,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Encoder:
    """Build an encoder whose weights are not yet filled or drawn.

    kind: "gemma", "clip_text" or "clip_vision". settings: under their published names. Raises
    ValueError or KeyError for sizes and activations that no such model can have.
    """
    config_class, model_class = KINDS[kind]
    config = config_from(config_class, settings)
    return model_class(config, ops=ops, attention=attention, device=device, dtype=dtype)


def expected_shapes(kind: str, settings: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """Every weight of an encoder and its shape, without allocating any. Raises as build does."""
    return shapes(weights_of(build(kind, settings, device="meta")))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """An encoder's tensors under the names that published files use."""
    return model.state_dict()


def own_name(kind: str, published: str) -> str:
    """Our name of a published tensor: language models are saved with or without a leading
    "model."."""
    return published.removeprefix("model.") if kind == "gemma" else published


def require_fit(
    wanted: Mapping[str, tuple[int, ...]], met: Mapping[str, Sequence[int]], source: str
) -> None:
    """Raise EncoderError unless met holds exactly the wanted names and shapes. The error counts
    the missing, unknown and misshapen tensors and names the first ones."""
    problems = [f"missing {name}" for name in wanted if name not in met]
    problems += [f"unknown {name}" for name in met if name not in wanted]
    problems += [
        f"{name} is {tuple(shape)}, wanted {wanted[name]}"
        for name, shape in met.items()
        if name in wanted and tuple(shape) != wanted[name]
    ]
    if problems:
        raise EncoderError(
            f"{source}: {len(problems)} weights do not fit: {'; '.join(problems[:3])}"
        )


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shape of each named tensor."""
    return {name: tuple(value.shape) for name, value in tensors.items()}


def filled(
    kind: str,
    settings: Mapping[str, object],
    weights: Weights,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
) -> Encoder:
    """A model with exactly these weights, in eval mode and frozen.

    Built on the meta device first, so that it is never in memory twice. Warns of quantised weights,
    which plain layers need unpacked. Raises EncoderError when the settings do not define a model,
    or the weights do not fit it (see require_fit).
    """
    if weights.packed:
        line = unpacked_line(weights.source, weights.packed, WHY_UNPACKED)
        warnings.warn(line, PixWizardWarning, stacklevel=2)
    try:
        model = build(kind, settings, device="meta", dtype=dtype)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as problem:
        raise EncoderError(
            f"{weights.source}: no {kind} model can be built from its settings ({problem})"
        ) from problem
    wanted = shapes(weights_of(model))
    require_fit(wanted, weights.shapes, weights.source)
    tensors = {
        name: require_range(weights.fetch(name), name, dtype).to(device, dtype) for name in wanted
    }
    model.load_state_dict(tensors, assign=True)
    return model.eval().requires_grad_(False)
