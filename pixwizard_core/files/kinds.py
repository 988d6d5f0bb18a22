"""Which files are pictures, films or lists: by their endings, in one place for every command."""

from __future__ import annotations

from pathlib import Path

PICTURES = frozenset(
    f".{kind}"
    for kind in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "tif", "tiff", "gif"),
        *("ppm", "pgm", "pnm", "pbm", "jp2", "j2k", "jpx", "avif", "heic", "heif", "hif", "tga"),
    )
)
FILMS = frozenset(
    f".{kind}"
    for kind in (
        *("mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "wmv", "asf", "flv", "f4v", "mpg"),
        *("mpeg", "m2v", "vob", "ts", "mts", "m2ts", "3gp", "3g2", "ogv"),
    )
)
LISTS = frozenset((".csv", ".jsonl", ".ndjson"))
HEIF = frozenset((".heic", ".heif", ".hif"))
PAGED = frozenset((".gif", ".webp", ".png", ".apng", ".tif", ".tiff", ".avif"))  # may hold several

# TypeScript ends like transport streams, whose packets of 188 bytes each begin with this byte; a
# camera's packets have four bytes of time before it.
SHARED = frozenset((".ts", ".mts"))
SYNC, PACKET, TIMED = 0x47, 188, 4


def ending(path: str | Path) -> str:
    """A path's ending in lower case, with its dot."""
    return Path(path).suffix.lower()


def is_picture(path: str | Path) -> bool:
    """Whether a path ends like a picture."""
    return ending(path) in PICTURES


def is_film(path: str | Path) -> bool:
    """Whether a path ends like a film. Of a file whose ending TypeScript uses too, its first bytes
    decide. Raises OSError where they cannot be read."""
    if ending(path) not in SHARED:
        return ending(path) in FILMS
    with Path(path).open("rb") as file:
        head = file.read(2 * PACKET)
    return any(
        head[start : start + 1] == bytes([SYNC])
        and (len(head) <= start + step or head[start + step] == SYNC)
        for start, step in ((0, PACKET), (TIMED, PACKET + TIMED))
    )


def is_list(path: str | Path) -> bool:
    """Whether a path ends like a list of pictures."""
    return ending(path) in LISTS
