"""Float pictures as OpenEXR files: one part, scan lines, 32-bit floats, zlib or no compression.

Source: "OpenEXR File Layout" and "Technical Introduction to OpenEXR", openexr.com.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import torch
from torch import Tensor

MAGIC, VERSION = 0x01312F76, 2
FLOAT = 2  # pixel type
COMPRESSION = {"none": (0, 1), "zip": (3, 16)}  # number in the file, scan lines of a chunk
NAME_LIMIT = 31  # bytes, without the long-name flag


def encode_exr(
    channels: Mapping[str, Tensor],
    attributes: Mapping[str, str | float] | None = None,
    compression: str = "zip",
) -> bytes:
    """An EXR file. channels: (H, W) each, by name ("Y", "Z", or "R", "G", "B").

    attributes: texts and numbers for the file's header. Raises ValueError for an unknown
    compression, no channel or channels of different sizes.
    """
    if compression not in COMPRESSION:
        raise ValueError(f"compression must be one of {', '.join(COMPRESSION)}: {compression!r}")
    names = sorted(channels)  # the order that the format asks for
    sizes = {tuple(channels[name].shape) for name in names}
    if len(sizes) != 1 or len(next(iter(sizes))) != 2:
        raise ValueError(f"channels must be (H, W) and of one size. Got: {sorted(sizes)}")
    height, width = sizes.pop()
    number, lines = COMPRESSION[compression]
    head = _header(names, width, height, number, attributes or {})
    rows = torch.stack([channels[name].float().cpu() for name in names], 1).contiguous()
    chunks: list[bytes] = []
    for y in range(0, height, lines):
        data = rows[y : y + lines].numpy().astype("<f4").tobytes()
        if compression == "zip":
            packed = zlib.compress(_predicted(data), 6)
            data = packed if len(packed) < len(data) else data  # equal length means not packed
        chunks.append(struct.pack("<ii", y, len(data)) + data)
    offsets: list[int] = []
    position = len(head) + 8 * len(chunks)
    for chunk in chunks:
        offsets.append(position)
        position += len(chunk)
    return b"".join([head, struct.pack(f"<{len(offsets)}Q", *offsets), *chunks])


def _header(
    names: list[str],
    width: int,
    height: int,
    compression: int,
    attributes: Mapping[str, str | float],
) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    listed = b"".join(_text(name) + struct.pack("<iB3xii", FLOAT, 0, 1, 1) for name in names)
    fields = [
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", bytes([compression])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]
    for name, value in attributes.items():
        if isinstance(value, str):
            fields.append((name, "string", value.encode()))
        else:
            fields.append((name, "float", struct.pack("<f", value)))
    written = b"".join(
        _text(name) + _text(kind) + struct.pack("<i", len(data)) + data
        for name, kind, data in fields
    )
    return struct.pack("<ii", MAGIC, VERSION) + written + b"\0"


def _text(name: str) -> bytes:
    if not 0 < len(name.encode()) <= NAME_LIMIT:
        raise ValueError(f"a name in an EXR file has 1 to {NAME_LIMIT} bytes. Got: {name!r}")
    return name.encode() + b"\0"


def _predicted(data: bytes) -> bytes:
    """Bytes of even places, then of odd ones, each as its difference to the one before."""
    raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    parted = torch.cat([raw[0::2], raw[1::2]])
    parted[1:] = parted[1:] - parted[:-1] - 128  # modulo 256
    return parted.numpy().tobytes()
