"""An endless supply of training crops, cut from pools of rendered pictures that are refreshed.

Everything depends on (seed, chunk number) or (seed, step) only, never on a generator's state: a
resumed run rebuilds the same pools and cuts the same crops as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# (count, height, width, generator, device) -> (count,3,height,width) in 0..1
Pictures = Callable[[int, int, int, torch.Generator, torch.device], Tensor]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One picture size: how many to keep, how many to render at a time, and its share of steps."""

    height: int
    width: int
    pictures: int
    chunk: int
    share: float


# The demo world is painted at 128 px; larger pictures have wider flat surfaces and softer curves.
POOLS = (
    PoolSpec(128, 128, 4096, 256, 0.7),
    PoolSpec(192, 192, 768, 64, 0.2),
    PoolSpec(256, 256, 256, 32, 0.1),
)
SMALL_POOLS = (PoolSpec(128, 128, 256, 32, 1.0),)  # for a CPU


def generator_for(seed: int, *position: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends only on the seed and a position (step, chunk, ...)."""
    state = seed & 0xFFFFFFFF
    for number in position:
        state = (
            state * 6364136223846793005 + number * 1442695040888963407 + 1
        ) & 0x7FFFFFFFFFFFFFFF
    return torch.Generator(device=device).manual_seed(state)


class Pool:
    """A ring of 8-bit pictures of one size on the training device."""

    def __init__(
        self, spec: PoolSpec, pictures: Pictures, *, seed: int, refreshed: int, device: torch.device
    ):
        """refreshed: how many chunks the run has rendered after the first filling."""
        self.spec, self.pictures, self.seed = spec, pictures, seed
        self.slots = max(1, spec.pictures // spec.chunk)
        self.rendered = refreshed
        self.images = torch.empty(
            self.slots * spec.chunk, 3, spec.height, spec.width, dtype=torch.uint8, device=device
        )
        for _ in range(self.slots):
            self.refresh()

    def refresh(self) -> None:
        """Render the next chunk over the oldest one."""
        spec = self.spec
        source = generator_for(self.seed, spec.height, spec.width, self.rendered)
        fresh = self.pictures(spec.chunk, spec.height, spec.width, source, self.images.device)
        start = self.rendered % self.slots * spec.chunk
        self.images[start : start + spec.chunk] = fresh.clamp(0, 1).mul(255).round().to(torch.uint8)
        self.rendered += 1


def crops(images: Tensor, count: int, side: int, generator: torch.Generator) -> Tensor:
    """Cut `count` random squares, half of them mirrored in each direction.

    images: (N,3,H,W) uint8; side: at most H and W; generator: on the CPU.
    Returns (count,3,side,side) float in 0..1.
    """
    picture, row, column, flip_rows, flip_columns = torch.rand(5, count, generator=generator)
    n, _, height, width = images.shape
    device = images.device
    picture = (picture * n).long().to(device)
    rows = window(row, height - side, flip_rows, side).to(device)
    columns = window(column, width - side, flip_columns, side).to(device)
    channels = torch.arange(3, device=device)
    cut = images[
        picture.view(-1, 1, 1, 1),
        channels.view(1, 3, 1, 1),
        rows.view(count, 1, side, 1),
        columns.view(count, 1, 1, side),
    ]
    return cut.float().div(255)


def window(position: Tensor, room: int, flip: Tensor, side: int) -> Tensor:
    """Indices (B,side) of windows that start at position x room, backwards where flip >= 0.5."""
    start = (position * (room + 1)).long()[:, None]
    steps = torch.arange(side)[None]
    return start + torch.where(flip[:, None] >= 0.5, side - 1 - steps, steps)


class CropSource:
    """Batches of crops for numbered steps."""

    def __init__(
        self,
        pictures: Pictures,
        specs: tuple[PoolSpec, ...],
        sides: tuple[int, ...],
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        refresh_every: int,
        start_step: int = 0,
    ):
        """batch_size: in crops of the smallest side; a step with larger crops has fewer."""
        self.sides, self.batch_size, self.seed, self.refresh_every = (
            sides,
            batch_size,
            seed,
            refresh_every,
        )
        self.shares = torch.tensor([spec.share for spec in specs])
        self.pools = [
            Pool(
                spec,
                pictures,
                seed=seed,
                refreshed=self.turns(index, len(specs), start_step),
                device=device,
            )
            for index, spec in enumerate(specs)
        ]

    def turns(self, index: int, pools: int, step: int) -> int:
        """How often pool `index` was refreshed in steps 0..step-1; the pools take turns."""
        refreshes = max(0, step - 1) // self.refresh_every
        return (refreshes + pools - 1 - index) // pools

    def batch(self, step: int) -> Tensor:
        """The crops of a step, (B,3,side,side) in 0..1.

        Ask for steps in order, because the pools are refreshed on the way.
        """
        if step and step % self.refresh_every == 0:
            self.pools[(step // self.refresh_every - 1) % len(self.pools)].refresh()
        return self.cut(generator_for(self.seed, 1, step))

    def cut(self, generator: torch.Generator) -> Tensor:
        """Crops of one randomly chosen pool and side."""
        pool = self.pools[int(torch.multinomial(self.shares, 1, generator=generator))]
        fitting = [side for side in self.sides if side <= min(pool.spec.height, pool.spec.width)]
        side = fitting[int(torch.randint(len(fitting), (1,), generator=generator))]
        count = max(1, round(self.batch_size * (self.sides[0] / side) ** 2))
        return crops(pool.images, count, side, generator)
