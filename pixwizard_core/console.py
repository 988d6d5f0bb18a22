"""Output that cannot end a run: characters that a console cannot show are escaped, and output that
nobody reads any more is dropped."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO

CLOSED = (errno.EPIPE, errno.EBADF)  # the reader has gone, which is not an error


class Output:
    """A text stream that never raises. lost: why later output was lost, if it was.

    stream: None drops everything, for a program without a console.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        if self.stream is None or self.lost:
            return len(text)
        try:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                encoding = self.stream.encoding or "ascii"
                escaped = text.encode(encoding, "backslashreplace").decode(encoding)
                self.stream.write(escaped)
        except (OSError, ValueError) as error:  # ValueError: of a closed file
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        if self.stream is None or self.lost:
            return
        try:
            self.stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def isatty(self) -> bool:
        try:
            return self.stream is not None and self.stream.isatty()
        except (OSError, ValueError):
            return False

    def _lose(self, error: Exception) -> None:
        self.lost = error
        # Python flushes the buffer again on exit, which must not raise.
        if self.stream is None:
            return
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def patient_output() -> Generator[Output]:
    """Redirect stdout and stderr to an Output each inside the block; yields the one for stdout."""
    out, err = Output(sys.stdout), Output(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield out
        finally:
            out.flush()
            err.flush()


def was_cut_off(out: Output) -> bool:
    """Whether expected results were lost, for example because the disk is full."""
    return out.lost is not None and getattr(out.lost, "errno", None) not in CLOSED
