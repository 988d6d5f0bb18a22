"""JSON: read what others wrote, and write what people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import PixWizardError


def read_text(path: Path, error: type[PixWizardError]) -> str:
    """A text file in UTF-8, with or without a byte order mark. Raises error when it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path.name} is not UTF-8 text ({problem.reason})") from None
    except OSError as problem:
        raise error(f"cannot read {path.absolute()}: {problem.strerror}") from None


def read_json(text: str | bytes, what: str, error: type[PixWizardError]) -> Any:
    """What the text holds. Raises error, beginning with what, also for lists nested so deeply and
    numbers so long that Python gives up on them."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} not valid JSON: {problem}") from None


def read_json_file(path: Path, error: type[PixWizardError]) -> Any:
    """What a file of JSON holds. Raises error naming it."""
    return read_json(read_text(path, error), f"{path.name} is", error)


def json_lines(path: Path, error: type[PixWizardError]) -> Iterator[tuple[int, str, Any]]:
    """(number, text, value) of each line that is not empty. Raises error naming a broken one."""
    # Not splitlines(): JSON texts may hold other signs that Unicode takes for ends of lines.
    for number, line in enumerate(read_text(path, error).split("\n"), 1):
        if line.strip():
            yield number, line, read_json(line, f"{path.name}, line {number} is", error)


def json_bytes(value: Any) -> bytes:
    """JSON for a file that people read: indented, in UTF-8, with a line's end. Names of files that
    are no text are written in escapes."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, indent=2).encode() + b"\n"
