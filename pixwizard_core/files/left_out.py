"""What a run does not take of what it was given, and why: gathered, told and listed."""

from __future__ import annotations

from pathlib import Path

SHOWN = 10  # names in a line


class LeftOut:
    """rows: path and reason of each."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def tell(self, path: Path, reason: str) -> None:
        """A file that is no item, or a film of which not all is as it should be."""
        self.rows.append({"path": str(path), "reason": reason})

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
