"""Progress on the terminal: a bar with tqdm, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_PER_LINE = 10.0  # when a bar cannot be drawn


class OnProgress(Protocol):
    """Called during work with the counts done and failed, and the total, 0 if unknown."""

    def __call__(self, done: int, total: int, failed: int = 0) -> None: ...


@contextmanager
def progress(label: str, unit: str = "step") -> Iterator[OnProgress]:
    """Yield a callback that shows progress, speed and remaining time on stderr: a bar with tqdm on
    a terminal, else a line now and then."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    if tqdm is None or not sys.stderr.isatty():
        yield _lines(label, unit)
        return
    bar = tqdm(desc=label, unit=f" {unit}", leave=False)

    def advance(done: int, total: int, failed: int = 0) -> None:
        bar.total = total or None
        if failed:
            bar.set_postfix(failed=failed, refresh=False)
        bar.update(done + failed - bar.n)

    try:
        yield advance
    finally:
        bar.close()


def _lines(label: str, unit: str) -> OnProgress:
    begun = shown = time.monotonic()

    def advance(done: int, total: int, failed: int = 0) -> None:
        nonlocal shown
        now, past = time.monotonic(), done + failed
        if not past or (now - shown < SECONDS_PER_LINE and not 0 < total <= past):
            return
        shown = now
        speed = past / max(now - begun, 1e-6)
        if not total:
            print(f"{label}: {past} {unit}s, {speed:.2f} a second", file=sys.stderr, flush=True)
            return
        told = f"{label}: {past} of {total} {unit}s" + (f", {failed} failed" if failed else "")
        left = clock((total - past) / speed)
        print(f"{told}, {speed:.2f} a second, {left} left", file=sys.stderr, flush=True)

    return advance


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
