"""What a run leaves out of its input, and why: collected, printed and listed."""

from __future__ import annotations

from pathlib import Path

SHOWN = 10  # names in a line


class LeftOut:
    """rows: path and reason of each file that is left out, then path and note of each film with a
    fault."""

    def __init__(self) -> None:
        self.files: list[tuple[Path, str]] = []
        self.notes: dict[Path, str] = {}

    def tell(self, path: Path, reason: str) -> None:
        """Record a file that is not an item."""
        self.files.append((path, reason))

    def note(self, path: Path, note: str) -> None:
        """Record what is wrong with a film whose other frames are items."""
        self.notes[path] = note

    @property
    def rows(self) -> list[dict[str, str]]:
        left = [{"path": str(path), "reason": reason} for path, reason in self.files]
        return left + [{"path": str(path), "note": note} for path, note in self.notes.items()]

    def lines(self) -> list[str]:
        """One line for each reason, with the first names, and one for each of the first films."""
        reasons: dict[str, list[str]] = {}
        for path, reason in self.files:
            reasons.setdefault(reason, []).append(path.name)
        told = [
            f"left out ({reason}): {len(names)}: {', '.join(names[:SHOWN])}"
            + (" …" if len(names) > SHOWN else "")
            for reason, names in sorted(reasons.items())
        ]
        told += [f"{path.name}: {note}" for path, note in list(self.notes.items())[:SHOWN]]
        if len(self.notes) > SHOWN:
            told.append(f"and {len(self.notes) - SHOWN} more films with a note")
        return told
