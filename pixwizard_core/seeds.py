"""One range of seeds for lists, commands and nodes."""

from __future__ import annotations

import argparse
import re
from typing import Any

from .errors import PixWizardError

LARGEST_SEED = (1 << 64) - 1


def as_seed(value: Any, what: str = "the seed") -> int:
    """A seed from a number or its digits. Raises PixWizardError, starting with what, for anything
    but a whole number from 0 to LARGEST_SEED."""
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,20}", text, re.ASCII):
        raise PixWizardError(_refusal(what, value))
    if int(text) > LARGEST_SEED:
        raise PixWizardError(_refusal(what, value))
    return int(text)


def later_seed(seed: int, steps: int) -> int:
    """The seed this many steps later; 0 follows the largest."""
    return (seed + steps) % (LARGEST_SEED + 1)


def seed_argument(text: str) -> int:
    """as_seed for argparse."""
    try:
        return as_seed(text, "a seed")
    except PixWizardError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _refusal(what: str, value: Any) -> str:
    shown = value if len(repr(value)) <= 40 else f"{str(value)[:40]}…"
    return f"{what} is a whole number from 0 to {LARGEST_SEED} (2^64 - 1). Got: {shown!r}"
