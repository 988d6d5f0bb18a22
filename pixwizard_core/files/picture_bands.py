"""Large pictures by parts: rectangles of a file, and PNG files written row by row.

Pillow decodes a whole picture and writes a whole one. Here the decoded 8-bit source is kept, and
nothing of what is written.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ..canvas import Rect, Size
from ..errors import CanvasError
from ..whole_file import whole_file
from .picture_files import EIGHT_BIT, PNG_HEAD, opened, to_tensor, upright

BITS, COLOUR, GREY = 8, 2, 0  # PNG's numbers for kinds of pixels
UP = 2  # the filter that stores what differs from the row above
LEVEL = 6  # of compression
ROWS_AT_ONCE = 64  # that are packed at a time, so that a high band needs no copies of its size


class PictureBands:
    """A picture file that is read by rectangles.

    size: in px, upright. The decoded picture stays in memory as Pillow holds it, mostly 4 bytes a
    pixel. Raises CanvasError for a file that is no picture.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.is_file():
            raise CanvasError(f"there is no picture {path.name} in {path.parent.absolute()}")
        self.name = path.name
        with opened(path) as file:
            self._picture = upright(file)
        self.size = Size(*self._picture.size)

    def read(self, rect: Rect) -> Tensor:
        """The pixels inside as (3, h, w) float32 in 0..1; transparency is laid on white."""
        return to_tensor(self._picture.crop(rect), self.name)[0]


class PngRows:
    """A PNG file of 8 bits that grows by rows; made by png_rows()."""

    def __init__(self, file: BinaryIO, size: Size, colour: bool) -> None:
        self.size, self.written = size, 0
        self._file, self._packer = file, zlib.compressobj(LEVEL)
        length = size.width * (3 if colour else 1)
        self._above = torch.zeros(1, length, dtype=torch.uint8, device="cpu")
        file.write(PNG_HEAD)
        kind = COLOUR if colour else GREY
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", *size, BITS, kind, 0, 0, 0))

    def add(self, values: Tensor) -> None:
        """The next rows in 0..1: colour (3, n, W), or grey (n, W)."""
        for start in range(0, values.shape[-2], ROWS_AT_ONCE):
            self._add(values[..., start : start + ROWS_AT_ONCE, :])

    def _add(self, values: Tensor) -> None:
        if values.ndim == 3:
            values = values.movedim(0, -1).flatten(1)
        rows = (values.float().clamp(0, 1) * EIGHT_BIT).round().to(torch.uint8).cpu()
        above = torch.cat([self._above, rows[:-1]])
        self._above = rows[-1:].clone()
        packed = torch.full((len(rows), rows.shape[1] + 1), UP, dtype=torch.uint8, device="cpu")
        packed[:, 1:] = rows - above  # modulo 256
        self._store(self._packer.compress(packed.numpy().tobytes()))
        self.written += len(rows)

    def finish(self) -> None:
        """Write the rest. Raises ValueError unless all rows were added."""
        if self.written != self.size.height:
            raise ValueError(f"{self.written} of {self.size.height} rows were written")
        self._store(self._packer.flush())
        self._chunk(b"IEND", b"")

    def _store(self, data: bytes) -> None:
        if data:
            self._chunk(b"IDAT", data)

    def _chunk(self, name: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + name + data)
        self._file.write(struct.pack(">I", zlib.crc32(name + data)))


@contextmanager
def png_rows(path: str | Path, size: Size, *, colour: bool = True) -> Generator[PngRows]:
    """Open a PNG file of a size in px, to add() its rows from top to bottom.

    colour: else grey. The file appears whole when the block ends, or not at all. Raises CanvasError
    when it cannot be written.
    """
    with whole_file(Path(path), CanvasError) as file:
        rows = PngRows(file, size, colour)
        yield rows
        rows.finish()
