"""Random choices that depend only on an item's identity and a seed, so that every build makes the
same choices, in any order and on any machine."""

from __future__ import annotations

import hashlib
import json

import torch

SEED_BYTES = 8


def digest_of(*identity: object) -> str:
    """Return the SHA-256 of values that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def generator_of(*identity: object) -> torch.Generator:
    """Return a CPU generator seeded by values that JSON can hold."""
    number = int(digest_of(*identity)[: 2 * SEED_BYTES], 16)
    return torch.Generator().manual_seed(number)


def between(generator: torch.Generator, low: float, high: float) -> float:
    """Draw a number from low to below high, uniformly."""
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def whole(generator: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from low to high, both included, uniformly."""
    return int(torch.randint(low, high + 1, (), generator=generator))
