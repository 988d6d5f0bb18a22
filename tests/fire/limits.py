"""What every hostile case is held to: nothing left open, bounded memory, a sentence as reason."""

from __future__ import annotations

import gc
import os
from pathlib import Path

MEMORY_MIB = 64  # that a refusal may need at its highest, beyond what the process had before
LONGEST = 1200  # characters of a message


def open_files() -> set[str]:
    """Files this process has open or mapped."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # the listing's own
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return found | {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.count("/")}


def left_open(folder: Path) -> list[str]:
    """Files below folder that are open or mapped."""
    found = [name for name in open_files() if name.startswith(str(folder))]
    if found:
        gc.collect()  # an exception's frames may form a cycle
        found = [name for name in open_files() if name.startswith(str(folder))]
    return found


def memory_mib(what: str) -> float:
    """VmRSS (now) or VmHWM (highest since reset_peak) in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise ValueError(what)


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


CHECKLIST = "missing: "  # how errors.MissingPartsError begins


def check_message(error: Exception | str) -> None:
    """A sentence that a page can show: a line of text, not endless, nothing unprintable. A list of
    missing parts has several such lines."""
    text = str(error)
    if text.startswith(CHECKLIST):
        for line in text.split("\n"):
            check_message(line.removeprefix(CHECKLIST))
        return
    assert 15 < len(text) <= LONGEST, f"{len(text)} characters: {text[:200]!r}"
    assert text.isprintable(), repr(text[:300])
    assert "Traceback" not in text
