"""PixWizard without a host: image-to-image by instruction.

`load()` gives a model to call with a task and a picture (see interface.py). What it is made of has
a room each; CONTRIBUTING.md is their map. Names are fetched when first used, so that importing the
package costs nothing; __init__.pyi tells type checkers what they are.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "Answer": "interface",
    "Bundle": "pipeline",
    "Pipeline": "interface",
    "Request": "pipeline",
    "Result": "pipeline",
    "TASKS": "tasks",
    "instruction": "tasks",
    "load": "interface",
    "load_released": "bundle",
    "load_tiny": "bundle",
    "run": "pipeline",
}
__all__ = [
    "TASKS",
    "Answer",
    "Bundle",
    "Pipeline",
    "Request",
    "Result",
    "instruction",
    "load",
    "load_released",
    "load_tiny",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
