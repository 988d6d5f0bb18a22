"""What a run does not take of what it was given, and why: gathered, told and listed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .index import Record
from .sources import Found

SHOWN = 10  # names in a line


class LeftOut:
    """rows: path and reason of each."""

    def __init__(self) -> None:
        self.rows: list[Record] = []

    def tell(self, path: Path, reason: str) -> None:
        """A file that is no item."""
        self.rows.append({"path": str(path), "reason": reason})

    def note(self, found: Iterable[Found]) -> None:
        """The films of which not all could be decoded, or not all is as it should be."""
        for path, note in {one.path: one.note for one in found if one.note}.items():
            self.tell(path, note)

    def lines(self) -> list[str]:
        """One line for each reason, with the first names."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            reasons.setdefault(row["reason"], []).append(Path(row["path"]).name)
        return [
            f"left out ({reason}): {len(names)}: {', '.join(names[:SHOWN])}"
            + (" …" if len(names) > SHOWN else "")
            for reason, names in sorted(reasons.items())
        ]
