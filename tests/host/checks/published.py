"""The transformers library's encoders: the reference that ours are compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLASSES = {
    "gemma": ("GemmaConfig", "GemmaModel"),
    "clip_text": ("CLIPTextConfig", "CLIPTextModelWithProjection"),
    "clip_vision": ("CLIPVisionConfig", "CLIPVisionModel"),
}


def reference(kind: str, settings: dict, seed: int = 4, spread: float = 0.2) -> nn.Module:
    """A model of the library with random weights all of which matter, float32, frozen."""
    import transformers

    config_class, model_class = (getattr(transformers, name) for name in CLASSES[kind])
    model = model_class(config_class.from_dict(dict(settings))).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * spread
    return model


def published_weights(kind: str, model: nn.Module) -> dict[str, Tensor]:
    """The library's weights under the names of published files: its version 5 left a level out."""
    own = {k: v for k, v in model.state_dict().items() if not k.endswith("position_ids")}
    level = "vision_model." if kind == "clip_vision" else ""
    prefix = "" if any(name.startswith(level) for name in own) else level
    return {prefix + name: value for name, value in own.items()}


@torch.no_grad()
def reference_text(gemma: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    """The next-to-last hidden states (B, T, D)."""
    out = gemma(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
    return out.hidden_states[-2]


@torch.no_grad()
def reference_pooled(clip: nn.Module, ids: Tensor) -> Tensor:
    """The projected text (B, P)."""
    return clip(input_ids=ids).text_embeds


@torch.no_grad()
def reference_tokens(vision: nn.Module, pixels: Tensor) -> Tensor:
    """The last layer's patch tokens (B, N, D), before the closing norm."""
    out = vision(pixel_values=pixels, output_hidden_states=True)
    return out.hidden_states[-1][:, 1:]
