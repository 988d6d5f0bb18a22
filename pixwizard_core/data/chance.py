"""Random choices that an item's identity and a seed decide, so that building again, in another
order or on another machine, makes the same choices."""

from __future__ import annotations

import hashlib
import json

import torch

SEED_BYTES = 8


def digest_of(*identity: object) -> str:
    """A hexadecimal name of a list of texts and numbers."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def generator_of(*identity: object) -> torch.Generator:
    """A generator on the CPU whose numbers depend on the identity alone."""
    number = int(digest_of(*identity)[: 2 * SEED_BYTES], 16)
    return torch.Generator().manual_seed(number)


def between(generator: torch.Generator, low: float, high: float) -> float:
    """A number from low to high, evenly."""
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def whole(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))
