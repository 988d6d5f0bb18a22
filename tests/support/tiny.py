"""Small random models and conditions that drive the real code in milliseconds."""

from __future__ import annotations

import torch

from pixwizard_core.conditioning import Condition
from pixwizard_core.config import ModelConfig
from pixwizard_core.model import PixWizard


def tiny_config(**changes) -> ModelConfig:
    """Two layers, width 32, grouped heads: every path of the real model, none of its weight."""
    settings = {
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "multiple_of": 32,
        "cap_feat_dim": 12,
        "cap_clip_feat_dim": 10,
        "image_feat_dim": 6,
        "sample_tokens": 5,
    }
    return ModelConfig.build(**{**settings, **changes})


def tiny_model(seed: int = 0, **changes) -> PixWizard:
    """A model whose parameters are all non-zero, so that each of them matters."""
    model = PixWizard(tiny_config(**changes)).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model.requires_grad_(False)


def tiny_condition(
    rows: int = 2, seed: int = 0, size: tuple[int, int] = (6, 8), tokens: int = 16, text: int = 7
) -> Condition:
    """Random conditions; the last text token of every row but the first is padding."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    mask = torch.ones(rows, text, dtype=torch.bool)
    mask[1:, -1] = False
    return Condition(
        text=draw(rows, text, 12),
        text_mask=mask,
        pooled=draw(rows, 10),
        image_tokens=draw(rows, tokens, 6),
        has_image=torch.ones(rows, dtype=torch.bool),
        image_latent=draw(rows, 4, *size),
    )
