"""Small films for tests: any container and codec, trimmed, turned, cut off."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, RATE = 96, 64, 25


def shade(number: int) -> int:
    """The grey of frame `number`, of 255; told apart after any compression."""
    return 16 + 5 * number


def write_film(
    path: Path,
    codec: str = "libx264",
    count: int = 40,
    *,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times=None,
    turn: tuple[int, bool] | None = None,
    format: str | None = None,
    **options: str,
) -> Path:
    """A film in which frame n is grey of shade(n) with a white square at its top left, a key frame
    each 10 frames and B-frames where the codec has them.

    times: when each frame is shown, in 1/1000 s. turn: for display, degrees against the clock, and
    whether it is mirrored left to right after that.
    """
    import av

    options = {
        "g": "10",
        **({"preset": "veryfast", "sc_threshold": "0"} if codec == "libx264" else {}),
        **options,
    }
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if turn:
            stream.set_display_rotation(turn[0], hflip=turn[1])
        for number in range(count):
            values = np.full((size[1], size[0], 3), shade(number), np.uint8)
            values[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(values, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def trim_film(source: Path, target: Path, first: int) -> Path:
    """Copy a film without decoding it so that it begins near frame `first`; an MP4 gets an edit
    list, and holds the packets from the key frame before, which are not shown."""
    import av

    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"avoid_negative_ts": "disabled"}) as new,
    ):
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        start = int(first / RATE / stream.time_base)
        key = (first // 10) * 10
        begin = int(key / RATE / stream.time_base)
        for packet in old.demux(stream):
            if packet.dts is None or packet.pts < begin:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, copy
            new.mux(packet)
    return target


def cut_film(source: Path, target: Path, packet: int) -> Path:
    """What is left of a film that breaks off in the middle of a packet, counted as they lie."""
    import av

    with av.open(str(source)) as film:
        packets = [one for one in film.demux(video=0) if one.size]
        end = packets[packet].pos + packets[packet].size // 2
    target.write_bytes(source.read_bytes()[:end])
    return target
