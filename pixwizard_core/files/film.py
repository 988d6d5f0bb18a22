"""Frames of films and of pictures with several frames, by their number.

Frame k is the k-th that decoding from the start gives, upright. What a container says of itself
(counts, lengths, places of its packets) is not believed: a film is decoded once in whole to learn
its frames, each with a mark of its pixels. A frame that is read later is taken only if it bears its
mark, so a jump that lands elsewhere shows, and is made good by decoding from the start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from ..errors import CanvasError
from .kinds import PAGED, ending

Size = tuple[int, int]  # width, height in px


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame of a film. number: from 0. mark: of its pixels. size: upright. time: in the stream's
    own unit, or None. keys: number and time of the last key frames up to it, the last first; with
    none, decoding starts with the film."""

    number: int
    mark: str
    size: Size
    time: int | None = None
    keys: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Film:
    """All frames that can be decoded. note: what is wrong with the rest; empty if nothing is."""

    shots: tuple[Shot, ...]
    note: str = ""


class Frame(Protocol):
    """A decoded frame. time: in the stream's own unit. is_key: whether decoding can start here.
    mark: a sum of its samples. size: (width, height) in px, as shown."""

    @property
    def time(self) -> int | None: ...
    @property
    def is_key(self) -> bool: ...
    @property
    def mark(self) -> str: ...
    @property
    def size(self) -> Size: ...

    def picture(self) -> Tensor:
        """(1, 3, H, W) float32 in 0..1."""
        ...


class FilmSource(Protocol):
    """An open film."""

    def frames(self) -> Iterator[Frame]:
        """The frames from the current position to the end."""
        ...

    def seek(self, time: int) -> Iterator[Frame]:
        """Frames from a key frame at or before a time, as far as the container finds it; none where
        it cannot."""
        ...

    def listening(self) -> AbstractContextManager[object]:
        """Collect the decoder's complaints while this block decodes."""
        ...

    def note(self) -> str:
        """After the end: what was wrong."""
        ...

    def close(self) -> None: ...


_looked: dict[tuple[str, int, int], Film] = {}
_lock = threading.Lock()
REMEMBERED = 4096  # films
TRIES = 3  # jumps to a frame, each to an earlier key frame


def look(path: str | Path, on_frame: Callable[[int], None] = lambda count: None) -> Film:
    """Decode a film once. A file that has not changed since is not decoded again.

    on_frame: called with the number of frames so far. Raises PixWizardError without PyAV,
    CanvasError for a file of which no frame can be decoded, OSError for a missing file.
    """
    path = Path(path)
    status = path.stat()
    who = (str(path.absolute()), status.st_size, status.st_mtime_ns)
    with _lock:
        known = _looked.get(who)
    if known is None:
        known = _decoded(path, on_frame)
        with _lock:
            while len(_looked) >= REMEMBERED:
                _looked.pop(next(iter(_looked)))
            _looked[who] = known
    return known


def _decoded(path: Path, on_frame: Callable[[int], None]) -> Film:
    shots: list[Shot] = []
    keys: tuple[tuple[int, int], ...] = ()
    rising = True
    source = open_source(path)
    try:
        with source.listening():
            for number, frame in enumerate(source.frames()):
                before = shots[-1].time if shots else None
                rising &= frame.time is not None and (before is None or frame.time > before)
                if frame.is_key and frame.time is not None:
                    keys = ((number, frame.time), *keys)[:TRIES]
                shots.append(Shot(number, frame.mark, frame.size, frame.time, keys))
                on_frame(number + 1)
        note = source.note()
    finally:
        source.close()
    if not shots:
        raise CanvasError(f"{path.name} cannot be read as a video: no frame of it can be decoded")
    if not rising:  # times that do not order the frames tell no place to jump to
        shots = [Shot(shot.number, shot.mark, shot.size) for shot in shots]
    return Film(tuple(shots), note)


def open_source(path: Path) -> FilmSource:
    """The decoder for a file: Pillow's for pictures with several frames, FFmpeg's for films."""
    if ending(path) in PAGED:
        from .film_pages import Pages

        return Pages(path)
    from .film_stream import Stream

    return Stream(path)


class FilmReader:
    """Reads frames of one film after another. The file stays open between calls. For one thread."""

    def __init__(self) -> None:
        self.path = ""
        self.source: FilmSource | None = None  # closed while there is none
        self.frames: Iterator[Frame] = iter(())
        self.next = 0  # number of the frame that comes next
        self.walked = True  # from the start, without a jump
        self.back = 0  # which of a shot's key frames to jump to; TRIES where no jump is right

    def read(self, path: str, shot: Shot) -> Tensor:
        """A frame as (1, 3, H, W) float32 in 0..1. Raises CanvasError when the file no longer gives
        what it gave to look()."""
        if path != self.path:
            self.close()
            self._start(path)
            self.back = 0
        frame = self._found(shot)
        while frame is None and not self.walked:
            self.back += 1  # streams without an index land behind the place that was meant
            self._start(path)
            frame = self._found(shot)
        if frame is None:
            self.close()
            raise CanvasError(
                f"frame {shot.number} of {Path(path).name} differs from the first pass over the "
                "film: it is damaged there, or the file was changed; if so, start the run again"
            )
        return frame.picture()

    def _found(self, shot: Shot) -> Frame | None:
        """The frame, reached the shorter way; None where that way leads to another frame."""
        behind = shot.number < self.next
        key = shot.keys[self.back] if self.back < len(shot.keys) else None
        if key and self.source and (behind or key[0] > self.next):
            self.walked, self.next = False, shot.number + 1
            self.frames = self.source.seek(key[1])
            for frame in self.frames:
                if frame.time is None or shot.time is None or frame.time >= shot.time:
                    return frame if _is(frame, shot) else None
            return None
        if behind:
            self._start(self.path)
        for frame in self.frames:
            self.next += 1
            if self.next > shot.number:
                return frame if _is(frame, shot) else None
        return None

    def _start(self, path: str) -> None:
        if self.source is not None:
            self.source.close()
        self.source = None
        self.source = source = open_source(Path(path))
        self.path, self.frames, self.next, self.walked = path, source.frames(), 0, True

    def close(self) -> None:
        """Close the file."""
        if self.source is not None:
            self.source.close()
        self.path, self.source, self.frames = "", None, iter(())


def _is(frame: Frame, shot: Shot) -> bool:
    return (frame.time, frame.size, frame.mark) == (shot.time, shot.size, shot.mark) or (
        shot.time is None and (frame.size, frame.mark) == (shot.size, shot.mark)
    )
