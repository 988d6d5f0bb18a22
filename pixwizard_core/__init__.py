"""PixWizard without a host: image-to-image by instruction.

`load()` gives a model to call with a task and a picture (see interface.py). Each part has its own
package; CONTRIBUTING.md lists them. Names are fetched when first used, so that importing the
package costs nothing; __init__.pyi tells type checkers what they are.
"""

from __future__ import annotations

from .version import __version__

INTERFACE = ("Answer", "Pipeline", "load")
BUNDLES = ("load_released", "load_tiny")
PIPELINE = ("Bundle", "Request", "Result", "run")
WORDS = ("TASKS", "instruction")
__all__ = [
    "TASKS",
    "Answer",
    "Bundle",
    "Pipeline",
    "Request",
    "Result",
    "__version__",
    "instruction",
    "load",
    "load_released",
    "load_tiny",
    "run",
]


def __getattr__(name: str) -> object:
    if name in INTERFACE:
        from . import interface as place
    elif name in BUNDLES:
        from . import bundle as place
    elif name in PIPELINE:
        from . import pipeline as place
    elif name in WORDS:
        from . import tasks as place
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(place, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
