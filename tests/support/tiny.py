"""Small random models and conditions that drive the real code in milliseconds."""

from __future__ import annotations

import torch

from pixwizard_core.conditioning import Condition
from pixwizard_core.config import ModelConfig
from pixwizard_core.encoders.taesd import Autoencoder
from pixwizard_core.encoders.tiny import build_tiny_encoders
from pixwizard_core.encoders.vae import TaesdCoder
from pixwizard_core.generate import SampleSettings
from pixwizard_core.model import PixWizard
from pixwizard_core.pipeline import Bundle


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


def tiny_bundle(seed: int = 0) -> Bundle:
    """Untrained encoders of the bundled sizes around a two-layer transformer: fast, and real."""
    text, vision = build_tiny_encoders(seed=seed)
    model = tiny_model(
        seed,
        cap_feat_dim=text.width,
        cap_clip_feat_dim=text.pooled_width,
        image_feat_dim=vision.width,
        sample_tokens=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = TaesdCoder(Autoencoder().requires_grad_(False))
    settings = SampleSettings(steps=2, w_text=1.0, w_image=1.0, centre=128)
    encoders = (text.eval().requires_grad_(False), vision.eval().requires_grad_(False))
    return Bundle(model, *encoders, vae, (128,), settings)
