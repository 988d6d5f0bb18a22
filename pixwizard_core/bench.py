"""Time of a sampling step: as the reference computes it, and as this package does, side by side.

The reference runs three branches in one batch, recomputes text, image tokens and their scores at
each step, and masks every attention. Here conditions are prepared once and branches that cancel are
not run. Both use the same layers and weights, so the difference is the order of the work alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .conditioning import Condition, concatenate
from .config import ModelConfig
from .generate import GuidedVelocity, SampleSettings, branch_conditions
from .model import PixWizard
from .sampling import combine

CASES = {"two branches": (4.0, 1.0), "three branches": (4.0, 1.5), "one branch": (1.0, 1.0)}
CPU_CONFIG = ModelConfig.build(dim=768, n_layers=8, n_heads=12, n_kv_heads=4)
EMPTY_TEXT = 8  # tokens of the empty caption, padded to a multiple of 8 as the encoder does
BRANCHES = ("full", "image_only", "none")


@dataclass(frozen=True)
class Timing:
    """Seconds per step, the median of pairs. difference: largest of the two guided velocities."""

    case: str
    reference: float
    ours: float
    prepare: float
    difference: float

    @property
    def speedup(self) -> float:
        return self.reference / self.ours


def random_model(
    config: ModelConfig, seed: int = 0, device="cpu", dtype=torch.float32
) -> PixWizard:
    """A model whose weights are small random numbers: speed does not depend on what they mean."""
    with torch.device("meta"):
        model = PixWizard(config, dtype=dtype)
    model = model.to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(seed)
    for parameter in model.parameters():
        parameter.normal_(0, 0.02, generator=generator)
    return model


def random_conditions(
    config: ModelConfig, side: int, text: int, device="cpu", dtype=torch.float32, tokens: int = 576
) -> tuple[Condition, Condition, Tensor]:
    """Full condition, empty text of the same padded length, and noise, for a square latent."""
    generator = torch.Generator(device).manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device, dtype=dtype)

    size = (1, config.in_channels, side, side)
    mask = torch.ones(1, text, dtype=torch.bool, device=device)
    full = Condition(
        draw(1, text, config.cap_feat_dim),
        mask,
        draw(1, config.cap_clip_feat_dim),
        draw(1, tokens, config.image_feat_dim),
        torch.ones(1, dtype=torch.bool, device=device),
        draw(*size),
    )
    short = mask.clone()
    short[:, EMPTY_TEXT:] = False
    pooled = draw(1, config.cap_clip_feat_dim)
    return (
        full,
        replace(full, text=draw(*full.text.shape), text_mask=short, pooled=pooled),
        draw(*size),
    )


def reference_step(
    model: PixWizard, full: Condition, empty: Condition, noise: Tensor, scales: tuple[float, float]
) -> Callable[[Tensor, float], Tensor]:
    """A guided evaluation in the reference's order of work."""
    batch = concatenate(list(branch_conditions(full, empty, noise, BRANCHES).values()))
    tokens = noise.shape[-2] * noise.shape[-1] // model.config.patch_size**2
    everywhere = torch.ones(3, 1, 1, tokens, dtype=torch.bool, device=noise.device)

    def step(x: Tensor, t: float) -> Tensor:
        prepared = model.prepare(batch)
        masked = replace(prepared, layout=replace(prepared.layout, mask=everywhere))
        times = torch.full((3,), t, device=x.device)
        rows = model.velocity(x.expand(3, -1, -1, -1), times, masked)
        return combine(dict(zip(BRANCHES, rows.split(1), strict=True)), *scales)

    return step


def clock(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds of one call, with a GPU's queue emptied around it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    result = function()
    if result.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


@torch.no_grad()
def compare(model: PixWizard, *, side: int = 64, text: int = 64, pairs: int = 5) -> list[Timing]:
    """Time each case in alternating pairs, after one warm-up of both. side: latent cells."""
    parameter = model.x_embedder.weight
    full, empty, noise = random_conditions(
        model.config, side, text, parameter.device, parameter.dtype
    )
    timings = []
    for case, scales in CASES.items():
        settings = SampleSettings(steps=1, w_text=scales[0], w_image=scales[1], proportional=False)
        before = reference_step(model, full, empty, noise, scales)
        preparing = time.perf_counter()
        ours = GuidedVelocity(model, full, empty, noise, settings, [0])
        preparing = time.perf_counter() - preparing
        difference = float((before(noise, 0.5) - ours(noise, 0.5)).abs().max())
        rounds = [
            (clock(lambda: before(noise, 0.5))[0], clock(lambda: ours(noise, 0.5))[0])  # noqa: B023
            for _ in range(pairs)
        ]
        reference, own = (statistics.median(column) for column in zip(*rounds, strict=True))
        timings.append(Timing(case, reference, own, preparing, difference))
    return timings
