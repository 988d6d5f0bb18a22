"""A small random model as a host MODEL, its core twin, and conditionings for both."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace

import comfy.sample
import comfy.samplers
import torch

SIZES = {
    "dim": 64,
    "n_layers": 3,
    "n_heads": 4,
    "n_kv_heads": 2,
    "multiple_of": 32,
    "cap_feat_dim": 32,
    "cap_clip_feat_dim": 24,
    "image_feat_dim": 16,
}
TOKENS = 576
SCALE = 0.13025  # of the host's SDXL latents
LATENT = (8, 12)
TRAINED = (48, 96, 144)  # px: no size sampled here is far from these
STEPS, SEED = 4, 3


class Small:
    """Everything a sampling check needs. batch: pictures. sizes: what differs from SIZES."""

    def __init__(
        self, setup, batch: int = 2, dtype=torch.float32, centre: int = 128, sizes=None
    ) -> None:
        self.transformer = setup.module("nodes.model.transformer")
        self.native = setup.module("nodes.model.host_model")
        self.guider = setup.module("nodes.sampling.guider")
        self.sample = setup.module("nodes.sampling.sample")
        self.schedule = setup.module("nodes.sampling.schedule")
        self.core = setup.module("pixwizard_core")
        build = setup.module("pixwizard_core.config").ModelConfig.build
        config = build(**SIZES | (sizes or {}))
        self.conditioning = setup.module("pixwizard_core.conditioning")
        self.generate = setup.module("pixwizard_core.generate")
        self.twin = setup.module("pixwizard_core.model").PixWizard(config).eval()
        generator = torch.Generator().manual_seed(0)
        for parameter in self.twin.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.15
        self.weights = {name: p.detach().clone() for name, p in self.twin.named_parameters()}
        self.options = self.transformer.RunOptions((centre,))
        own = replace(self.native.RELEASED, centres=TRAINED)
        self.patcher = self.native.make_patcher(
            config, dict(self.weights), self.options, own=own, dtype=dtype
        )
        self.batch, self.centre, self.config = batch, centre, config
        self.picture = torch.randn(batch, 4, *LATENT, generator=generator) / SCALE
        self.tokens = torch.randn(batch, TOKENS, SIZES["image_feat_dim"], generator=generator)
        self.texts = {
            name: (
                torch.randn(1, length, 32, generator=generator),
                torch.randn(1, 24, generator=generator),
            )
            for name, length in (("words", 7), ("empty", 3))
        }
        self.empty_latent = torch.zeros(batch, 4, *LATENT)
        self.noise = comfy.sample.prepare_noise(self.empty_latent, SEED)

    def conds(self, text: str, image: bool) -> list:
        """CONDITIONING of the host."""
        features, pooled = self.texts[text]
        values = {"pooled_output": pooled, "attention_mask": torch.ones(features.shape[:2])}
        if image:
            values |= {
                self.native.IMAGE_LATENT: self.picture,
                self.native.IMAGE_TOKENS: self.tokens,
            }
        return [[features, values]]

    def branches(self) -> tuple[list, list, list]:
        return self.conds("words", True), self.conds("empty", True), self.conds("empty", False)

    def condition(self, text: str):
        """The core's Condition with the picture."""
        features, pooled = self.texts[text]
        return self.conditioning.Condition(
            text=features.expand(self.batch, -1, -1),
            text_mask=torch.ones(self.batch, features.shape[1], dtype=torch.bool),
            pooled=pooled.expand(self.batch, -1),
            image_tokens=self.tokens,
            has_image=torch.ones(self.batch, dtype=torch.bool),
            image_latent=self.picture * SCALE,
        )

    def by_core(self, **settings) -> torch.Tensor:
        """The core's own sampling, in the host's latent scale."""
        chosen = self.generate.SampleSettings(steps=STEPS, centre=self.centre, **settings)
        words, empty = self.condition("words"), self.condition("empty")
        seeds = [SEED + row for row in range(self.batch)]
        latent = self.generate.sample(self.twin, words, empty, self.noise, chosen, seeds=seeds)
        return latent / SCALE

    def by_guider(self, text, image, all_channels=False, patcher=None, **rest) -> torch.Tensor:
        guidance = self.guider.Guidance(text, image, all_channels, **rest)
        made = self.sample.make_guider(patcher or self.patcher, *self.branches(), guidance)
        return self.run(made)

    def run(self, guider) -> torch.Tensor:
        sampler = comfy.samplers.sampler_object("euler")
        return guider.sample(
            self.noise, self.empty_latent, sampler, self.sample.sigmas(STEPS, 1.0), seed=SEED
        )

    def by_ksampler(self, positive, negative, cfg, patcher=None) -> torch.Tensor:
        """The stock KSampler."""
        return comfy.sample.sample(
            patcher or self.patcher, self.noise, STEPS, cfg, "euler", "simple", positive, negative,
            self.empty_latent, seed=SEED,
        )  # fmt: skip


class Spy:
    """Records (rows, sigma) of every forward of a host model while the block runs."""

    def __init__(self, patcher) -> None:
        self.model, self.calls, self.times = patcher.model, [], []

    def __enter__(self) -> Spy:
        inner = type(self.model.diffusion_model).forward

        def forward(x, timesteps, *arguments, **named):
            self.calls.append(x.shape[0])
            self.times.append(float(timesteps.flatten()[0]))
            return inner(self.model.diffusion_model, x, timesteps, *arguments, **named)

        self.model.diffusion_model.forward = forward
        return self

    def __exit__(self, *_) -> None:
        del self.model.diffusion_model.forward


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference relative to the largest value."""
    return float((one - other).abs().max() / other.abs().max())


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float, what: str) -> float:
    distance = apart(one, other)
    assert one.shape == other.shape, f"{what}: shapes {tuple(one.shape)} and {tuple(other.shape)}"
    assert distance <= tolerance, f"{what}: apart by {distance:.2e}, allowed {tolerance:.0e}"
    return distance


def refused(error: type[Exception], words: tuple[str, ...], function, *arguments) -> str:
    """The message with which function refuses these arguments; it must hold all words."""
    message = None
    try:
        function(*arguments)
    except error as met:
        message = str(met)
    assert message is not None, f"{function.__name__} accepted what it must refuse"
    missing = [word for word in words if word not in message]
    assert not missing, f"the message lacks {missing}: {message}"
    return message


@contextmanager
def logged():
    """What is written to the log while the block runs, line by line."""
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)
