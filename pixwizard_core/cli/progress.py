"""Progress on the terminal: a bar with tqdm, otherwise a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OnProgress = Callable[[int, int], None]
PLAIN_PARTS = 4  # how often the plain line is printed


@contextmanager
def progress(label: str, unit: str = "step") -> Iterator[OnProgress]:
    """A callback on_progress(done, total) that shows on stderr how far the work is."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not sys.stderr.isatty():
        yield _plain(label, unit)
        return
    bar = tqdm(desc=label, unit=f" {unit}", leave=False)

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield advance
    finally:
        bar.close()


def _plain(label: str, unit: str) -> OnProgress:
    printed = 0

    def advance(done: int, total: int) -> None:
        nonlocal printed
        part = done * PLAIN_PARTS // max(total, 1)
        if part > printed:
            printed = part
            print(f"{label}: {done} of {total} {unit}s", file=sys.stderr, flush=True)

    return advance
