"""Pictures with several frames or pages as films, through Pillow: GIF, WebP, PNG, AVIF, TIFF."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import reason_of
from .picture_files import opened, tiff_tags, to_tensor, upright

if TYPE_CHECKING:
    from PIL import Image

REDUCED, KIND_OF_PAGE = 1, 254  # TIFF's tag for what a page is, and its bit for a smaller copy


def page_count(path: str | Path) -> int:
    """How many frames or pages a picture's header announces, without the reduced copies in a TIFF;
    1 for most files. Raises CanvasError for a file that is no picture."""
    with opened(Path(path)) as file:
        count = getattr(file, "n_frames", 1)
        if file.format != "TIFF" or count == 1:
            return count
        return sum(_is_whole(file, number) for number in range(count))


class Pages:
    """A picture file with several frames. It cannot jump: Pillow has to decode all frames before as
    well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opening = opened(path)
        self.file = self.opening.__enter__()
        self.told = getattr(self.file, "n_frames", 1)
        self.done, self.stopped = 0, ""

    def frames(self) -> Iterator[Page]:
        for number in range(self.told):
            try:
                if self.file.format == "TIFF" and not _is_whole(self.file, number):
                    self.done += 1
                    continue
                self.file.seek(number)
                page = Page(upright(self.file).copy())
            except Exception as error:  # its readers raise a dozen kinds for broken files
                self.stopped = reason_of(error, 120)
                return
            self.done += 1
            yield page

    def seek(self, time: int) -> Iterator[Page]:
        return iter(())

    def listening(self) -> AbstractContextManager[object]:
        return nullcontext()  # Pillow raises where it cannot decode

    def note(self) -> str:
        if self.done == self.told:
            return ""
        return f"its header says {self.told} frames, but {self.done} are there ({self.stopped})"

    def close(self) -> None:
        self.opening.__exit__(None, None, None)


class Page:
    """One frame of a picture file, as it is shown."""

    time: int | None = None
    is_key: bool = False

    def __init__(self, image: Image.Image) -> None:
        self.image = image

    @property
    def mark(self) -> str:
        """Sum of the pixels, and what they stand for."""
        seen = self.image.convert("RGBA") if self.image.mode in ("P", "PA") else self.image
        return f"{zlib.crc32(seen.tobytes()):08x} {seen.mode}"

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size

    def picture(self) -> Tensor:
        return to_tensor(self.image, "this frame")


def _is_whole(file: Image.Image, number: int) -> bool:
    file.seek(number)
    return not tiff_tags(file).get(KIND_OF_PAGE, 0) & REDUCED
