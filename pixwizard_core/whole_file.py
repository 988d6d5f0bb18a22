"""Write files completely or not at all, even if a write is interrupted."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import PixWizardError

NAME_SHOWN = 100  # characters of the file's name kept in the name of its .part file


@contextmanager
def whole_file(path: Path, error: type[PixWizardError]) -> Generator[BinaryIO]:
    """Open a file for writing bytes that replaces path when the block ends without an exception.

    It is written beside path (.NAME.PROCESS.THREAD.part), flushed to the disk and renamed, so that
    a reader, a crash or a full disk leaves the old file or the new one, never half of it. Raises
    error, saying why, when the system refuses; the file at path is then kept.
    """
    mark = f"{os.getpid()}.{threading.get_native_id()}"
    beside = path.with_name(f".{path.name[:NAME_SHOWN]}.{mark}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _settle(path.parent)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error(
            f"cannot write {path}: {reason}; free some space, or choose another name or folder"
        ) from problem
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Make a rename survive a power cut, if the system can flush folders."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
