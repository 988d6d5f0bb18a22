"""What is known of encoders without loading them: the digest of their weights and their widths.

Results in a cache are named by the weights of their encoder. A digest is kept beside them with the
paths, sizes and times of the encoder's files; it holds as long as these are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from ...errors import CheckpointError, PixWizardError
from ...json_text import json_object, read_json
from ...whole_file import whole_file
from .store import key_of

LIST = "encoders.json"


@dataclass(frozen=True, slots=True)
class KnownEncoder:
    """digest: of the weights. widths: of what it gives, as ModelParts checks them."""

    digest: str
    widths: tuple[int, ...] = ()


class KnownEncoders:
    """The encoders whose results a cache has seen. folder: of the cache."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LIST

    def get(self, kind: str, files: Sequence[Path]) -> KnownEncoder | None:
        """The encoder of these files, or None when it was not seen or the files changed. kind: what
        it gives. files: files and folders; none for one that is not on disk."""
        found = json_object(self._all().get(_identity(kind, files))) if files else None
        if found is None or not isinstance(found.get("digest"), str):
            return None
        widths = cast("list[int]", found.get("widths", []))
        return KnownEncoder(str(found["digest"]), tuple(widths))

    def put(self, kind: str, files: Sequence[Path], encoder: KnownEncoder) -> None:
        """Keep what is known of an encoder. Raises CheckpointError when it cannot be written."""
        if not files:
            return
        known = {**self._all(), _identity(kind, files): asdict(encoder)}
        with whole_file(self.path, CheckpointError) as file:
            file.write(json.dumps(known, indent=1, sort_keys=True).encode())

    def _all(self) -> dict[str, Any]:
        """The whole list; empty for a missing or damaged file, since it can be made again."""
        try:
            text = self.path.read_bytes()
            return json_object(read_json(text, f"{self.path.name} is", PixWizardError)) or {}
        except (OSError, PixWizardError):
            return {}


def _identity(kind: str, files: Iterable[Path]) -> str:
    facts: list[tuple[str, int, int, int]] = []
    for file in files:
        inside = sorted(file.rglob("*")) if file.is_dir() else [file]
        for path in inside:
            if path.is_file():
                stat = path.stat()
                place = str(path.resolve())
                facts.append((place, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return key_of(kind, files=facts)
