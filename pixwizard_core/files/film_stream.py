"""Films through PyAV, an optional package (`pip install pixwizard[video]`).

Decoding is done by one thread: with several, what a damaged film gives depends on their number.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from ..errors import CanvasError, PixWizardError, one_line
from ..torch_types import from_numpy

if TYPE_CHECKING:  # PyAV is optional, and these names serve types alone
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

MATRIX = "DISPLAYMATRIX"
LEAST_MISSING_S = 0.2  # of a film's length; less is rounding and the time of its last frame
SIXTEEN_BIT = 9  # bits from which a sample takes two bytes


class Stream:
    """The film in a file: its best stream of frames, cover pictures left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.av, self.container = _opened(path)
        stream = _film_of(self.container)
        if stream is None:
            self.container.close()
            raise CanvasError(f"{path.name} holds no video")
        self.stream = stream
        self.stream.thread_type = "NONE"
        self.packets = self.bad = self.others = 0
        self.end: int | None = None
        self.complaints: list[str] = []
        self.stopped = ""

    def frames(self) -> Iterator[StreamFrame]:
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:  # of a stream that begins only here; it is read past
                self.others += 1
                packets = self.container.demux(self.stream)
                continue
            except (self.av.FFmpegError, ValueError) as error:
                self.stopped = getattr(error, "strerror", None) or str(error)
                yield from self._decoded(None)
                return
            yield from self._decoded(packet)

    def _decoded(self, packet: Packet[VideoStream] | None) -> Iterator[StreamFrame]:
        cut = packet is not None and packet.is_corrupt
        self.packets += packet is not None and packet.size > 0
        self.bad += cut
        try:
            found = packet.decode() if packet else self._rest()
        except (self.av.FFmpegError, ValueError):
            self.bad += not cut
            return
        for frame in found:
            if frame.pts is not None:
                self.end = frame.pts + (getattr(frame, "duration", 0) or 0)
            yield StreamFrame(frame)

    def _rest(self) -> list[VideoFrame]:
        """The frames that the decoder still holds."""
        return cast(Any, self.stream.codec_context).decode(None)

    def seek(self, time: int) -> Iterator[StreamFrame]:
        try:
            self.container.seek(time, stream=self.stream, backward=True)
        except (self.av.FFmpegError, OSError, ValueError):
            return iter(())
        return self.frames()

    @contextmanager
    def listening(self) -> Generator[None]:
        with _complaints() as heard:
            yield
            self.complaints = [one_line(line[2].strip(), 80) for line in heard]

    def note(self) -> str:
        told: list[str] = []
        if self.bad:
            told.append(f"{self.bad} of {self.packets} packets are damaged")
        elif self.complaints:  # the decoder paints over what it cannot read, and says so only here
            count = len(self.complaints)
            told.append(f"the decoder found damage ({count} messages, first: {self.complaints[0]})")
        if self.stopped:
            told.append(f"it breaks off ({self.stopped})")
        if self.others:
            told.append("another film begins in it, which is not read")
        if missing := self._missing():
            told.append(missing)
        square = self.stream.sample_aspect_ratio
        if square and square != 1:
            told.append(f"its pixels are not square ({square}); frames are left as stored")
        return "; ".join(told)

    def _missing(self) -> str:
        """What the container declares but does not hold."""
        size = self.path.stat().st_size
        entries = getattr(self.stream, "index_entries", ())
        if "mov" in self.container.format.name.split(","):
            # Lengths in there count what an edit list leaves out, so only places tell.
            beyond = sum(entry.pos + entry.size > size for entry in entries)
            return f"{beyond} packets lie beyond the end of the file" if beyond else ""
        if self.stream.frames > self.packets:
            return f"its header says {self.stream.frames} frames, but {self.packets} are there"
        told = self._told_s()
        if told is None or self.end is None or self.stream.time_base is None:
            return ""
        start = self.stream.start_time or 0
        end = float((self.end - start) * self.stream.time_base)
        if told - end < LEAST_MISSING_S:
            return ""
        return f"it ends after {end:.1f} s, but its header says {told:.1f} s"

    def _told_s(self) -> float | None:
        """The length in seconds that the container declares, if it can only be the film's; else
        None."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration and len(self.container.streams) == 1:
            return self.container.duration / self.av.time_base
        return None

    def close(self) -> None:
        self.container.close()


class StreamFrame:
    """A decoded frame of a film."""

    def __init__(self, frame: VideoFrame) -> None:
        self.frame = frame
        self.time, self.is_key = frame.pts, bool(frame.key_frame)

    @property
    def mark(self) -> str:
        """Sums of the planes, and how they are to be read."""
        frame = self.frame
        sums = [f"{zlib.crc32(rows):08x}" for rows in _planes(frame)]
        return " ".join((*sums, frame.format.name, f"{int(frame.colorspace)}{_range(frame)}"))

    @cached_property
    def turn(self) -> tuple[bool, bool, bool]:
        return _turn(self.frame)

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.frame.width, self.frame.height
        return (height, width) if self.turn[0] else (width, height)

    def picture(self) -> Tensor:
        values = from_numpy(self.frame.to_ndarray(format="rgb24"))
        image_01 = values.movedim(-1, 0)[None].float() / 255
        transposed, left, up = self.turn
        if transposed:
            image_01 = image_01.transpose(-1, -2)
        axes = [axis for axis, flipped in ((-1, left), (-2, up)) if flipped]
        return image_01.flip(axes).contiguous() if axes or transposed else image_01


def _range(frame: VideoFrame) -> int:
    return int(frame.color_range)


def _planes(frame: VideoFrame) -> Iterator[NDArray[Any]]:
    """The samples of each plane without the padding of its rows; for rare formats, the RGB
    values."""
    import numpy as np

    parts = frame.format.components
    if frame.format.is_planar and len(parts) == len(frame.planes):
        for part, plane in zip(parts, frame.planes, strict=True):
            row = plane.width * (2 if part.bits >= SIXTEEN_BIT else 1)
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            yield np.ascontiguousarray(rows[: plane.height, :row])
    else:
        yield np.ascontiguousarray(frame.to_ndarray(format="rgb24"))


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """(swap the sides, then mirror left and right, then up and down) for display."""
    import numpy as np

    data = frame.side_data.get(MATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = (int(n) for n in np.frombuffer(bytes(data), np.int32)[:5])
    # The matrix sends (x, y) to (a x + c y, b x + d y).
    return (True, c < 0, b < 0) if abs(b) > abs(a) else (False, a < 0, d < 0)


def _film_of(container: InputContainer) -> VideoStream | None:
    films = [s for s in container.streams.video if not _is_cover(s)]
    best = container.streams.best("video")
    return next((film for film in films if film is best), next(iter(films), None))


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is a single cover picture of a film or a song."""
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


_listeners = 0
_level = None  # of FFmpeg's messages before anyone listened
_lock = threading.Lock()


@contextmanager
def _complaints() -> Generator[list[tuple[int, str, str]]]:
    """The error messages that FFmpeg logs in this thread, which are not shown otherwise."""
    import av.logging

    global _listeners, _level
    with _lock:
        _listeners += 1
        if _listeners == 1:
            _level = av.logging.get_level()
            av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture(local=True) as heard:
            yield heard
    finally:
        with _lock:
            _listeners -= 1
            if not _listeners:
                av.logging.set_level(_level)


def _opened(path: Path) -> tuple[ModuleType, InputContainer]:
    try:
        import av
    except ImportError:
        raise PixWizardError(
            f"{path.name} is a video, and reading it needs PyAV: pip install av, "
            "or give a folder of its frames with --frames"
        ) from None
    try:
        with _complaints():  # decoding meets the same again, where it is heard
            return av, av.open(str(path))
    except (OSError, ValueError) as error:
        raise CanvasError(f"{path.name} cannot be read as a video ({error})") from error
