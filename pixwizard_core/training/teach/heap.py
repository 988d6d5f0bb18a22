"""How the C library keeps freed memory, which decides what a large training step takes on a CPU."""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's mallopt(3)
LARGE = 1 << 20  # bytes


def return_large_tensors() -> bool:
    """Give freed tensors of 1 MB or more back to the system at once, for the rest of the process.

    Left alone, glibc keeps those of up to 32 MB on its heap, where what is still in use holds the
    free space around it: a checkpointed step at 1024 px took 0.28 GB more for each block. Fresh
    pages cost some time. Returns whether the C library knows the setting; others stay as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS; Windows
        return False
    return all(mallopt(key, LARGE) == 1 for key in (MMAP_THRESHOLD, TRIM_THRESHOLD))
