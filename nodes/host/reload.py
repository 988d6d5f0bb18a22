"""Read a loaded part from its files a second time.

The host's dynamic memory manager cannot compile, train, attach a LoRA to a conditioning, or use a
second GPU by itself. It then asks for another instance of the model, which it manages in its older
way. The loader gives the patcher a factory for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ...pixwizard_core.errors import CheckpointError


def reloadable(loaded, files: Iterable[Path], load: Callable, *arguments):
    """loaded, a MODEL, CLIP, CLIP_VISION or VAE, with a factory for the host: it calls
    load(*arguments, disable_dynamic=...) to read these files again. The factory keeps nothing of
    loaded."""
    stamps = tuple((path, _stamp(path)) for path in files)
    patcher_of(loaded).cached_patcher_init = (reload, (load, stamps, arguments))
    return loaded


def reload(load: Callable, stamps: tuple, arguments: tuple, disable_dynamic: bool = False):
    """Patcher of another instance with its own weights.

    stamps: pairs of a path and its stamp at the first reading. Raises CheckpointError when a file
    has changed, because patches made for the first weights would meet others.
    """
    for path, stamp in stamps:
        if _stamp(path) != stamp:
            raise CheckpointError(
                f"{path.name} was changed or removed after it was loaded, and this step has to "
                "read it again; free the models and the node cache, and run the workflow again"
            )
    return patcher_of(load(*arguments, disable_dynamic=disable_dynamic))


def patcher_of(loaded):
    """Patcher of a MODEL, CLIP, CLIP_VISION or VAE."""
    return getattr(loaded, "patcher", loaded)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file; None without a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
