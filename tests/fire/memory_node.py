"""A route that says what a host's process holds, for tests. Copied into custom_nodes of a private
host.

The process's size alone cannot tell a leak from memory that the C library keeps for later: glibc
gives a heap back only when its end is free. mallinfo2 counts what is in use, and malloc_trim gives
the rest back.
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
    """Memory that this process has, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@PromptServer.instance.routes.get("/fire/memory")
async def memory(request):
    """In MiB: used, of what the C library gave out; kept, free and not given back; resident.
    blocks: of Python's own allocator. With ?trim the library first gives back what it can."""
    gc.collect()
    if "trim" in request.rel_url.query:
        library.malloc_trim(ctypes.c_size_t(0))
    library.mallinfo2.restype = MallInfo
    info = library.mallinfo2()
    return web.json_response(
        {
            "used": round((info.uordblks + info.hblkhd) / MIB, 1),
            "kept": round(info.fordblks / MIB, 1),
            "resident": round(resident(), 1),
            "blocks": sys.getallocatedblocks(),
        }
    )


NODE_CLASS_MAPPINGS = {}
