"""Write an answer that arrives in bands of rows, as write_answer() does a whole one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from torch import Tensor

from ..canvas import Size
from ..decode import decode
from .answers import Writer
from .picture_bands import png_rows

IN_BANDS = ("image", "edge")  # kinds of answers of which each row can be read by itself

Emit = Callable[[int, Tensor], None]


@contextmanager
def answer_bands(
    folder: Path, stem: str, kind: str, size: Size
) -> Generator[tuple[Emit, dict[str, Path]]]:
    """Open the files of one answer; the same files with the same pixels as from write_answer().

    kind: of IN_BANDS. size: of the answer in px. Yields a function that takes the first row and the
    rows (3, n, W) in 0..1, from top to bottom, and the files by what they hold. They appear when
    the block ends, or not at all. Raises ValueError for another kind, CanvasError when a file
    cannot be written.
    """
    if kind not in IN_BANDS:
        raise ValueError(f"answers of kind {kind!r} cannot be written in bands")
    folder.mkdir(parents=True, exist_ok=True)
    writer = Writer(folder, stem)
    with ExitStack() as files:
        painted = files.enter_context(png_rows(writer.path("answer"), size))
        grey = None
        if kind == "edge":
            grey = files.enter_context(png_rows(writer.path("grey"), size, colour=False))

        def emit(row: int, rows: Tensor) -> None:
            painted.add(rows)
            if grey is not None:
                grey.add(decode("edge", rows[None])[0])

        yield emit, writer.files
