"""Turn conditions and noise into a latent: guidance, token selection and a solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .conditioning import Condition
from .errors import SamplingError
from .model import NO_SCALING, PixWizard, Prepared, RopeScaling, gumbel_noise
from .sampling import SOLVERS, combine, needed_branches, times

TOKEN_SELECTIONS = ("topk", "gumbel")
PARTS = ("", "image_tokens", "image_latent")
PIXELS_PER_TOKEN_SIDE = 16
WATERSHED = 0.3  # times below it are scaled linearly: the layout is decided there
REFERENCE_STEPS = 59  # the reference's 60 time points

OnStep = Callable[[int, Tensor], None]


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How a latent is sampled. The defaults are the reference's.

    steps: solver intervals. shift: time shift, 1 = even. w_text, w_image: guidance scales.
    all_channels: guide all latent channels (paper) instead of the first three (reference).
    interval: times (from, to) in which guidance acts; outside, only the full branch runs. tokens:
    "topk" keeps the best image tokens, deterministic; "gumbel" draws them again at each evaluation,
    from the seed, as the reference does. proportional: scale self-attention with the number of
    tokens, relative to centre (px). rope: extrapolation beyond the trained size. kept: image tokens
    that each block keeps; None takes the model's own number. without: for studies, which of PARTS
    of the picture's conditions to leave out; the run's noise replaces the latent.
    """

    steps: int = REFERENCE_STEPS
    solver: str = "euler"
    shift: float = 1.0
    w_text: float = 4.0
    w_image: float = 1.0
    all_channels: bool = False
    interval: tuple[float, float] = (0.0, 1.0)
    tokens: str = "topk"
    proportional: bool = True
    centre: int = 1024
    rope: RopeScaling = NO_SCALING
    kept: int | None = None
    without: str = ""

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise SamplingError(f"solver {self.solver!r} is unknown; choose one of {list(SOLVERS)}")
        if self.tokens not in TOKEN_SELECTIONS:
            raise SamplingError(
                f"token selection {self.tokens!r} is unknown; choose one of {TOKEN_SELECTIONS}"
            )
        if self.without not in PARTS:
            raise SamplingError(f"there is no part {self.without!r}; choose one of {PARTS}")
        low, high = self.interval
        if not 0 <= low <= high <= 1:
            raise SamplingError(
                f"guidance interval must lie in 0..1 with its start first. Got: {self.interval}"
            )

    @property
    def base_seqlen(self) -> int | None:
        """Token count at which proportional attention equals plain attention, None when off."""
        return (self.centre // PIXELS_PER_TOKEN_SIDE) ** 2 if self.proportional else None


def trained_centre(tokens: int, centres: Sequence[int]) -> int:
    """The training size for a picture of this many tokens. centres: sides in px of the squares a
    model was trained at. Returns the smallest that holds the picture, or else the largest."""
    fitting = [side for side in centres if (side // PIXELS_PER_TOKEN_SIDE) ** 2 >= tokens]
    return min(fitting, default=max(centres))


def extrapolation(tokens: int, centres: Sequence[int]) -> RopeScaling:
    """Scaling of positions for a picture of this many tokens: none up to the largest trained size;
    beyond it, the ratio of the sides of squares of both areas."""
    beyond = math.sqrt(tokens) * PIXELS_PER_TOKEN_SIDE / max(centres)
    return RopeScaling(beyond, WATERSHED) if beyond > 1 else NO_SCALING


def initial_noise(shape: tuple[int, ...], seeds: list[int]) -> Tensor:
    """Unit noise (len(seeds), *shape), float32, CPU; each row depends on its own seed only."""
    rows = [
        torch.randn(
            shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32, device="cpu"
        )
        for seed in seeds
    ]
    return torch.stack(rows)


def branch_conditions(
    full: Condition, empty: Condition, noise: Tensor, names: tuple[str, ...]
) -> dict[str, Condition]:
    """The conditions of the named guidance branches. empty: the text of the empty caption."""
    image_only = full.without_text(empty)
    table = {
        "full": full,
        "image_only": image_only,
        "none": image_only.without_image(noise),
    }
    return {name: table[name] for name in names}


def guides(settings: SampleSettings, t: float) -> bool:
    """Whether guidance acts at time t; otherwise the full branch runs alone."""
    low, high = settings.interval
    return low <= t <= high


def evaluations(settings: SampleSettings) -> int:
    """How often the model runs for one picture: each branch at each point that the solver visits.

    Raises ValueError for dopri5, which chooses its points from the model's output.
    """
    if settings.solver == "dopri5":
        raise ValueError("dopri5 chooses its own steps, so they cannot be counted beforehand")
    guided = len(needed_branches(settings.w_text, settings.w_image, settings.all_channels))
    count = 0

    def velocity(x: Tensor, t: float) -> Tensor:
        nonlocal count
        count += guided if guides(settings, t) else 1
        return torch.zeros_like(x)

    SOLVERS[settings.solver](
        velocity,
        torch.zeros(1, dtype=torch.float32, device="cpu"),
        times(settings.steps, settings.shift),
        None,
    )
    return count


class GuidedVelocity:
    """velocity(x, t) for a solver: prepares each needed branch once and combines them by guidance.

    Branches run one after another, so that none is padded to another's length.
    """

    def __init__(
        self,
        model: PixWizard,
        full: Condition,
        empty: Condition,
        noise: Tensor,
        settings: SampleSettings,
        seeds: list[int],
    ) -> None:
        self.model, self.settings = model, settings
        if settings.without:
            full = full.without_part(settings.without, noise)
        names = needed_branches(settings.w_text, settings.w_image, settings.all_channels)
        low, high = settings.interval
        if (low, high) != (0.0, 1.0) and "full" not in names:
            names = ("full", *names)
        self.names = names
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.dtype = model.x_embedder.weight.dtype
        self.prepared: dict[str, Prepared] = {
            name: model.prepare(
                condition.to(dtype=self.dtype),
                keep=settings.kept,
                keep_candidates=settings.tokens == "gumbel",
                rope=settings.rope,
                base_seqlen=settings.base_seqlen,
            )
            for name, condition in branch_conditions(full, empty, noise, names).items()
        }
        self.draw_shape = (len(model.layers), full.image_tokens.shape[1])

    def __call__(self, x: Tensor, t: float) -> Tensor:
        settings = self.settings
        if not guides(settings, t):
            return self._branch("full", x, t)
        guided = needed_branches(settings.w_text, settings.w_image, settings.all_channels)
        velocities = {name: self._branch(name, x, t) for name in guided}
        return combine(velocities, settings.w_text, settings.w_image, settings.all_channels)

    def _branch(self, name: str, x: Tensor, t: float) -> Tensor:
        prepared = self.prepared[name]
        if prepared.candidates is not None:
            rows = [gumbel_noise(self.draw_shape, row, x.device) for row in self.generators]
            prepared = prepared.redraw(torch.stack(rows, dim=1))
        time = torch.full((len(x),), t, device=x.device, dtype=torch.float32)
        return self.model.velocity(x.to(self.dtype), time, prepared).to(x.dtype)


class Start(NamedTuple):
    """Where sampling starts other than at the noise: at a time in 0..1 (1 excluded) on the straight
    line from the noise to an earlier latent (B, 4, h, w)."""

    time: float
    latent: Tensor


@torch.no_grad()
def sample(
    model: PixWizard,
    full: Condition,
    empty: Condition,
    noise: Tensor,
    settings: SampleSettings,
    *,
    seeds: list[int],
    start: Start | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Solve from noise (B, 4, h, w) to latents of the same shape, float32, in model space.

    full: conditions with the instruction; empty: conditions whose text is the empty caption. seeds:
    one per row, for drawing image tokens when settings ask for it. start: start later, with as many
    steps as the remaining time needs at the usual step length. on_step(index, latents): called
    after each interval; an exception from it stops the run. Raises SamplingError when the result is
    not finite.
    """
    velocity = GuidedVelocity(model, full, empty, noise, settings, seeds)
    grid, begin = times(settings.steps, settings.shift), noise
    if start is not None:
        left = 1 - start.time
        grid = start.time + left * times(max(1, math.ceil(settings.steps * left)), settings.shift)
        begin = start.latent.to(noise) * start.time + noise * left
    latent = SOLVERS[settings.solver](velocity, begin.float(), grid, on_step)
    if not bool(torch.isfinite(latent).all()):
        damaged = full.not_finite() or empty.not_finite()
        if damaged:
            raise SamplingError(
                f"the condition's {damaged} holds numbers that are not finite, so the result does "
                "too; encode it again, with the encoder in float32 or bfloat16"
            )
        raise SamplingError(
            f"sampling ended in numbers that are not finite (compute type {velocity.dtype}); "
            "run the model in bfloat16 or float32, or lower the guidance scales"
        )
    return latent
