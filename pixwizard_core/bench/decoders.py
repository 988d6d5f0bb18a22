"""Time and memory of each decoder, on an answer picture of its kind."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..decode import DECODERS, Hints, ade20k, decode, paint
from .memory import peak_bytes

SIDE = 1024
NOISE = 0.02  # of the range, about what an autoencoder leaves on flat colours
MIB = 2**20


@dataclass(frozen=True)
class Decoding:
    """Seconds of one picture, the median, and the most tensors alive at once beside it."""

    kind: str
    seconds: float
    bytes: int


def answer(kind: str, side: int, generator: torch.Generator) -> Tensor:
    """A noisy answer picture (1, 3, side, side) in 0..1 as a model would paint it."""

    def blocks(low: int, high: int, cells: int, channels: int) -> Tensor:
        drawn = torch.randint(low, high, (1, channels, cells, cells), generator=generator)
        return F.interpolate(drawn.float(), size=(side, side))

    if kind == "segmentation":
        palette = ade20k()
        clean = paint(blocks(0, len(palette), 32, 1)[:, 0].long(), palette)
    elif kind in ("mask", "edge"):
        clean = blocks(0, 2, 8, 1).expand(-1, 3, -1, -1)
    elif kind == "box":
        clean = torch.full((1, 3, side, side), 0.5)
        low, high, line = side // 8, side // 2, max(side // 128, 2)
        for rows, cols in (
            ((low, low + line), (low, high)),
            ((high - line, high), (low, high)),
            ((low, high), (low, low + line)),
            ((low, high), (high - line, high)),
        ):
            clean[..., slice(*rows), slice(*cols)] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    else:
        clean = blocks(0, 256, 16, 3) / 255
    noise = torch.randn(clean.shape, generator=generator)
    return (clean + NOISE * noise).clamp(0, 1)


def compare(
    side: int = SIDE, rounds: int = 5, now: Callable[[], float] = time.perf_counter
) -> list[Decoding]:
    """Measure every kind of answer, after one warm-up. now: see bench.steps.clock."""
    found = []
    for kind in DECODERS:
        picture = answer(kind, side, torch.Generator().manual_seed(0))
        hints = Hints(palette=ade20k())
        peak = peak_bytes(lambda k=kind, p=picture, h=hints: decode(k, p, h), [picture])
        seconds = []
        for _ in range(rounds):
            start = now()
            decode(kind, picture, hints)
            seconds.append(now() - start)
        found.append(Decoding(kind, statistics.median(seconds), peak))
    return found


def table(found: Sequence[Decoding]) -> str:
    lines = [f"{'answer':<14} {'ms':>8} {'MiB':>6}"]
    lines += [f"{one.kind:<14} {1e3 * one.seconds:>8.1f} {one.bytes / MIB:>6.0f}" for one in found]
    return "\n".join(lines)
