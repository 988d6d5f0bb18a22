"""Time and memory of a sampling step: as the reference computes it and as this package does.

The reference runs three branches in one batch, recomputes text, image tokens and their scores at
each step, and masks every attention. Here conditions are prepared once and branches that cancel are
not run. Both are timed with PyTorch's layers, so that the difference is the order of the work
alone; ours with the layers it comes with as well. The weights are shared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..bundle import LAYERS
from ..conditioning import Condition, concatenate
from ..config import ModelConfig
from ..generate import GuidedVelocity, SampleSettings, branch_conditions
from ..model import Ops, PixWizard
from ..sampling import combine
from .memory import peak_bytes

CASES = {"two branches": (4.0, 1.0), "three branches": (4.0, 1.5), "one branch": (1.0, 1.0)}
CPU_CONFIG = ModelConfig.build(dim=768, n_layers=8, n_heads=12, n_kv_heads=4)
EMPTY_TEXT = 8  # tokens of the empty caption, padded to a multiple of 8 as the encoder does
BRANCHES = ("full", "image_only", "none")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """One case. Seconds per step are medians of rounds in which each way has its turn.

    reference: in the reference's order of work. same_layers: in ours, on the same layers. ours: as
    shipped. prepare: once a run. difference: largest of the guided velocities against the
    reference's. *_bytes: most tensors alive at once beside the weights, ours with what is prepared.
    """

    case: str
    reference: float
    same_layers: float
    ours: float
    prepare: float
    difference: float
    reference_bytes: int
    ours_bytes: int

    @property
    def by_order(self) -> float:
        return self.reference / self.same_layers

    @property
    def speedup(self) -> float:
        return self.reference / self.ours

    @property
    def memory_share(self) -> float:
        return self.ours_bytes / self.reference_bytes


def random_model(
    config: ModelConfig,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> PixWizard:
    """A model whose weights are small random numbers: speed does not depend on what they mean."""
    with torch.device("meta"):
        model = PixWizard(config, dtype=dtype, ops=LAYERS)
    model = model.to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(seed)
    for parameter in model.parameters():
        parameter.normal_(0, 0.02, generator=generator)
    return model


def random_conditions(
    config: ModelConfig,
    side: int,
    text: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    tokens: int = 576,
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


def clock(
    function: Callable[[], Result], now: Callable[[], float] = time.perf_counter
) -> tuple[float, Result]:
    """Seconds of one call and what it gave, with a GPU's queue emptied around it.

    now: the clock; time.process_time counts this process's work alone, on a machine that others use
    at the same time.
    """
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    wait()
    start = now()
    result = function()
    wait()
    return now() - start, result


def with_layers(model: PixWizard, ops: Ops) -> PixWizard:
    """The same weights in another namespace of layers."""
    other = PixWizard(model.config, ops=ops, attention=model.attend, device="meta")
    other.load_state_dict(model.state_dict(), assign=True)
    return other.eval().requires_grad_(False)


@torch.no_grad()
def compare(
    model: PixWizard,
    *,
    side: int = 64,
    text: int = 64,
    pairs: int = 5,
    now: Callable[[], float] = time.perf_counter,
) -> list[Timing]:
    """Time each case, each way in turn, after one warm-up. side: latent cells. now: see clock."""
    parameter = model.x_embedder.weight
    full, empty, noise = random_conditions(
        model.config, side, text, parameter.device, parameter.dtype
    )
    plain, timings = with_layers(model, nn), []
    for case, scales in CASES.items():
        settings = SampleSettings(steps=1, w_text=scales[0], w_image=scales[1], proportional=False)

        def prepared(used: PixWizard, settings: SampleSettings = settings) -> GuidedVelocity:
            return GuidedVelocity(used, full, empty, noise, settings, [0])

        before = reference_step(plain, full, empty, noise, scales)
        prepare, ours = clock(lambda: prepared(model), now)
        ways = before, prepared(plain), ours
        first, *others = (way(noise, 0.5) for way in ways)
        rounds = [
            [clock(lambda w=way: w(noise, 0.5), now)[0] for way in ways] for _ in range(pairs)
        ]
        reference_s, same_layers_s, ours_s = (
            statistics.median(column) for column in zip(*rounds, strict=True)
        )
        weights = [*model.parameters()]
        timings.append(
            Timing(
                case,
                reference_s,
                same_layers_s,
                ours_s,
                prepare,
                max(float((first - other).abs().max()) for other in others),
                peak_bytes(lambda: before(noise, 0.5), weights),  # noqa: B023
                peak_bytes(lambda: prepared(model)(noise, 0.5), weights),
            )
        )
    return timings
