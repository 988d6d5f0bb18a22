"""The transformers classes behind the encoders: their settings, building and strict filling.

Everything is checked by the names and shapes of the weights; a file's own name means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import EncoderError

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
# openai/clip-vit-large-patch14-336. eos_token_id is the true id: with the legacy value 2 of the
# published config transformers takes the largest id instead, which is the same token.
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


@dataclass(frozen=True, slots=True)
class Weights:
    """Named tensors of one model, fetched when wanted. source: what to call them in messages."""

    source: str
    shapes: dict[str, tuple[int, ...]]
    fetch: Callable[[str], Tensor]


def build(kind: str, config: dict) -> nn.Module:
    """A transformers model with fresh weights. kind: "gemma", "clip_text" or "clip_vision"."""
    import transformers

    config_class, model_class = {
        "gemma": ("GemmaConfig", "GemmaModel"),
        "clip_text": ("CLIPTextConfig", "CLIPTextModelWithProjection"),
        "clip_vision": ("CLIPVisionConfig", "CLIPVisionModel"),
    }[kind]
    settings = getattr(transformers, config_class).from_dict(dict(config))
    return getattr(transformers, model_class)(settings)


def key_prefix(kind: str, names: list[str]) -> str:
    """What published names begin with and the model's lack: transformers 5 dropped a level."""
    public = {"gemma": "", "clip_text": "", "clip_vision": "vision_model."}[kind]
    return "" if any(name.startswith(public) for name in names) else public


def weights_of(kind: str, model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors under the names published files use, whatever transformers' version."""
    own = model.state_dict()
    prefix = key_prefix(kind, list(own))
    return {
        prefix + name: value for name, value in own.items() if not name.endswith("position_ids")
    }


def filled(
    kind: str, config: dict, weights: Weights, *, device: torch.device | str, dtype: torch.dtype
) -> nn.Module:
    """A model with exactly these weights, in eval mode and frozen.

    Built without memory first, so that it never exists twice. Raises EncoderError that counts the
    missing, unknown and misshapen tensors and names the first ones.
    """
    try:
        with torch.device("meta"):
            model = build(kind, config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as problem:
        raise EncoderError(
            f"{weights.source}: no {kind} model can be built from its settings ({problem})"
        ) from problem
    own = model.state_dict()
    own = {name: value for name, value in own.items() if not name.endswith("position_ids")}
    prefix = key_prefix(kind, list(own))
    wanted = {prefix + name: tuple(value.shape) for name, value in own.items()}
    problems = [f"missing {name}" for name in wanted if name not in weights.shapes]
    problems += [f"unknown {name}" for name in weights.shapes if name not in wanted]
    problems += [
        f"{name} is {shape}, wanted {wanted[name]}"
        for name, shape in weights.shapes.items()
        if name in wanted and shape != wanted[name]
    ]
    if problems:
        raise EncoderError(
            f"{weights.source}: {len(problems)} weights do not fit: {'; '.join(problems[:3])}"
        )
    tensors = {name: weights.fetch(prefix + name).to(device, dtype) for name in own}
    model.load_state_dict(tensors, assign=True, strict=False)
    restore_buffers(model, torch.device(device))
    return model.eval().requires_grad_(False)


def restore_buffers(model: nn.Module, device: torch.device) -> None:
    """Compute the buffers that no file holds and that building without memory left empty."""
    import transformers

    for module in model.modules():
        for name, buffer in list(module._buffers.items()):
            if buffer is None or not buffer.is_meta:
                continue
            if name in ("inv_freq", "original_inv_freq"):
                values = rotary_frequencies(2 * len(buffer))
                module.original_inv_freq = values.to(device)  # a plain attribute in transformers 4
            elif name == "position_ids":
                values = torch.arange(buffer.shape[-1]).expand(buffer.shape)
            elif name == "embed_scale":
                values = torch.tensor(module.scalar_embed_scale)
            else:
                raise EncoderError(
                    f"transformers {transformers.__version__} keeps a buffer {name!r} that this "
                    "version of PixWizard cannot fill; update PixWizard, or use transformers 5.23"
                )
            module._buffers[name] = values.to(device)


def rotary_frequencies(head_dim: int, base: float = 10000.0) -> Tensor:
    """Gemma's rotary frequencies (head_dim/2,) float32."""
    return base ** -(torch.arange(0, head_dim, 2).float() / head_dim)
