"""What pixwizard run takes: pictures one by one, and a size for new ones."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import CanvasError


def refuse_many(path: Path, *, alone: bool) -> None:
    """Raise CanvasError for a folder or film, and warn when a picture has more than one frame.
    alone: only this command does what was asked for."""
    from ..files.film_pages import page_count
    from ..files.kinds import PAGED, ending, is_film

    if path.is_dir():
        other = "give its pictures" if alone else "pixwizard batch processes all pictures in it"
        raise CanvasError(f"{path} is a folder; {other}")
    if path.is_file() and is_film(path):
        other = "give frames as pictures" if alone else "pixwizard batch processes its frames"
        raise CanvasError(f"{path.name} is a film; {other}")
    if path.is_file() and ending(path) in PAGED and (count := page_count(path)) > 1:
        other = "" if alone else " (pixwizard batch processes all)"
        print(f"{path.name} holds {count} frames; only the first is used{other}", file=sys.stderr)


def size_of(text: str) -> tuple[int, int]:
    """Width and height of --size. Raises CanvasError."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise CanvasError(f"--size is WIDTHxHEIGHT in px, such as 768x512. Got: {text}") from None
    if min(width, height) < 1:
        raise CanvasError(f"--size must be at least 1x1 px. Got: {text}")
    return width, height
