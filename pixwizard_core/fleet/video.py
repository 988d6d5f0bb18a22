"""Single frames of video files through PyAV, an optional package (`pip install pixwizard[video]`).

Any frame can be asked for; frames asked for in order are decoded once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CanvasError, PixWizardError

VIDEOS = frozenset((".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".wmv"))


def frame_count(path: Path) -> int:
    """Frames of a video. Raises PixWizardError without PyAV, CanvasError for a damaged file."""
    return len(_times(str(path)))


@lru_cache(maxsize=64)
def frame_size(path: Path) -> tuple[int, int]:
    """(width, height) in px."""
    with _open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


class VideoReader:
    """Frames of the video last asked for; the file stays open between calls, for one thread."""

    def __init__(self) -> None:
        self.path = ""
        self.container = self.frames = None
        self.next = 0

    def read(self, path: str, number: int) -> Tensor:
        """Frame `number` (from 0) as (1, 3, H, W) float32 in 0..1. Raises CanvasError."""
        times = _times(path)
        if not 0 <= number < len(times):
            raise CanvasError(f"{Path(path).name} has {len(times)} frames; there is no {number}")
        if path != self.path:
            self.close()
            self.container, self.path, self.next = _open(path), path, -1
        if number < self.next or self.next < 0 or number > self.next + 1:
            stream = self.container.streams.video[0]
            self.container.seek(times[number], stream=stream, backward=True)
            self.frames = self.container.decode(stream)
        try:
            frame = next(frame for frame in self.frames if frame.pts >= times[number])
        except (StopIteration, OSError, ValueError) as error:
            self.close()
            raise CanvasError(f"{Path(path).name}: frame {number} cannot be decoded") from error
        self.next = number + 1
        values = torch.from_numpy(frame.to_ndarray(format="rgb24"))
        return values.movedim(-1, 0)[None].float() / 255

    def close(self) -> None:
        if self.container is not None:
            self.container.close()
        self.container = self.frames = None
        self.path = ""


@lru_cache(maxsize=64)
def _times(path: str) -> list[int]:
    """When each frame is shown, in the stream's own unit; read without decoding."""
    with _open(path) as container:
        packets = container.demux(container.streams.video[0])
        return sorted({packet.pts for packet in packets if packet.pts is not None and packet.size})


def _open(path: str):
    try:
        import av
    except ImportError:
        raise PixWizardError(
            f"{Path(path).name} is a video, and reading it takes PyAV: pip install av, "
            "or give a folder of its frames with --frames"
        ) from None
    try:
        container = av.open(path)
    except (OSError, ValueError) as error:
        raise CanvasError(f"{Path(path).name} cannot be read as a video ({error})") from error
    if not container.streams.video:
        container.close()
        raise CanvasError(f"{Path(path).name} holds no video")
    container.streams.video[0].thread_type = "AUTO"
    return container
