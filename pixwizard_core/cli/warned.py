"""Warnings as plain lines on stderr."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..errors import PixWizardWarning


@contextmanager
def plain_warnings() -> Generator[None]:
    """Print our own warnings inside the block as lines of their own, without the place in the code
    that Python adds. Other warnings stay as they are."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, kind: type[Warning], *place: Any, **named: Any) -> None:
            if issubclass(kind, PixWizardWarning):
                print(f"note: {message}", file=sys.stderr)
            else:
                others(message, kind, *place, **named)

        warnings.showwarning = show
        warnings.simplefilter("always", PixWizardWarning)
        yield
