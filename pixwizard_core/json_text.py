"""JSON that others wrote."""

from __future__ import annotations

import json
from typing import Any

from .errors import PixWizardError


def read_json(text: str | bytes, what: str, error: type[PixWizardError]) -> Any:
    """What the text holds. Raises error, beginning with what, also for lists nested so deeply and
    numbers so long that Python gives up on them."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} not valid JSON: {problem}") from None
