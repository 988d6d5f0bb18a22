"""Messages between a test and a process of its own: a length, then torch.save's bytes."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import torch


def read_frame(source: BinaryIO) -> Any:
    """The next message, or None at the end. Only from a process that the test itself started."""
    head = source.read(8)
    if len(head) < 8:
        return None
    return torch.load(io.BytesIO(source.read(struct.unpack("<Q", head)[0])), weights_only=False)


def write_frame(target: BinaryIO, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    target.write(struct.pack("<Q", len(buffer.getvalue())) + buffer.getvalue())
    target.flush()
