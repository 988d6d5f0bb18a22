"""Read JSON from outside, and write JSON for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from .errors import PixWizardError


def read_text(path: Path, error: type[PixWizardError]) -> str:
    """Read a UTF-8 text file, with or without a byte order mark. Raises error for any other
    file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path.name} is not UTF-8 text ({problem.reason})") from None
    except OSError as problem:
        raise error(f"cannot read {path.absolute()}: {problem.strerror}") from None


def read_json(text: str | bytes, what: str, error: type[PixWizardError]) -> Any:
    """Parse JSON text. Raises error, starting with what, for invalid JSON and also for lists nested
    too deeply and numbers too long for Python."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise error(f"{what} not valid JSON: {problem}") from None


def read_json_file(path: Path, error: type[PixWizardError]) -> Any:
    """Parse a JSON file. Raises error naming the file."""
    return read_json(read_text(path, error), f"{path.name} is", error)


def json_object(value: object) -> dict[str, Any] | None:
    """The value if it is a JSON object, otherwise None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def json_list(value: object) -> list[Any] | None:
    """The value if it is a JSON list, otherwise None."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def json_lines(path: Path, error: type[PixWizardError]) -> Iterator[tuple[int, str, Any]]:
    """(number, text, value) of each line that is not empty. Raises error naming a broken one."""
    # Not splitlines(): JSON texts may hold other characters that Unicode counts as line ends.
    for number, line in enumerate(read_text(path, error).split("\n"), 1):
        if line.strip():
            yield number, line, read_json(line, f"{path.name}, line {number} is", error)


def json_bytes(value: Any) -> bytes:
    """JSON for a file that people read: indented, in UTF-8, with a final newline. File names that
    are not valid text are escaped."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value, indent=2).encode() + b"\n"
