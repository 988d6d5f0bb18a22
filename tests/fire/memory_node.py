"""A route that says what a host's process holds, for tests. Copied into custom_nodes of a private
host.

The size of a process alone cannot tell a leak from memory that the C library keeps for later: glibc
gives a heap of 64 MiB back only when its end is free, and a host that loads models again before the
old ones are collected takes another heap once. So what the library keeps is told apart.
"""

import ctypes
import gc
import sys
from pathlib import Path

from aiohttp import web
from server import PromptServer

FIELDS = (
    "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
    "keepcost",
)  # fmt: skip
MIB = 1 << 20


class MallInfo(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and newer, summed over all arenas."""

    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


library = ctypes.CDLL(None)


def resident() -> float:
    """VmRSS in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@PromptServer.instance.routes.get("/fire/memory")
async def memory(_request):
    """In MiB: rss, kept (free, but not given back by the C library), held (rss without it), and
    used (what the library gave out). blocks: of Python's own allocator."""
    gc.collect()
    library.mallinfo2.restype = MallInfo
    info, rss = library.mallinfo2(), resident()
    kept = info.fordblks / MIB
    found = {"rss": rss, "kept": kept, "held": rss - kept}
    found["used"] = (info.uordblks + info.hblkhd) / MIB
    return web.json_response(
        {
            **{name: round(value, 1) for name, value in found.items()},
            "blocks": sys.getallocatedblocks(),
        }
    )


NODE_CLASS_MAPPINGS = {}
