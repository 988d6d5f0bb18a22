"""What a folder contains, in a few words, for a message about files that are missing in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from .kinds import ending
from .walk import is_hidden, natural

SHOWN = 6  # folders, and kinds of files


def contents(root: Path) -> str:
    """A short list of what a folder contains, for a message about missing files."""
    if not root.is_dir():
        return "no such folder"
    entries = sorted((e for e in root.iterdir() if not is_hidden(e.name)), key=natural)
    folders = [entry.name + "/" for entry in entries if entry.is_dir()]
    kinds = Counter(ending(entry) or "no ending" for entry in entries if not entry.is_dir())
    shown = folders[:SHOWN] + ["…"] * (len(folders) > SHOWN)
    files = [f"{count} {kind}" for kind, count in kinds.most_common(SHOWN)]
    return ", ".join([*shown, *files]) or "nothing"
