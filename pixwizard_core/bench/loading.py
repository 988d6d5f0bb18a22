"""Reading and converting weights: a random checkpoint of a model's size, written and removed.

Each measurement runs in a process of its own, whose high-water mark of memory is what it took.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config import ModelConfig
from ..errors import PixWizardError
from ..weights.checkpoint import expected_shapes, header, load_model
from ..weights.convert import convert
from ..weights.weightfile import write_safetensors

GIB = 2**30
PART = "consolidated.00-of-01.pth"  # the released file's name
NEEDED = 6.2  # of the bfloat16 size: that file, the float32 one twice, the converted one
READ_BYTES = 2**24


@dataclass(frozen=True)
class Reading:
    """Seconds of an action, the most memory (resident bytes) it added to its process, and the same
    as a share of the bfloat16 weights. Files were just written, so they are read from memory."""

    action: str
    seconds: float
    bytes: int
    share: float


def compare(config: ModelConfig | None = None, folder: Path | None = None) -> list[Reading]:
    """Measure with a checkpoint of this shape (None: a small one) below folder (None: the system's
    place for temporary files). Raises PixWizardError when the disk is too full."""
    from .steps import CPU_CONFIG

    config = config or CPU_CONFIG
    size = 2 * sum(torch.Size(shape).numel() for shape in expected_shapes(config).values())
    place = Path(tempfile.mkdtemp(prefix="pixwizard_bench_", dir=folder))
    try:
        free = shutil.disk_usage(place).free
        if free < NEEDED * size:
            raise PixWizardError(
                f"{free / GIB:.1f} GB are free in {place.parent}; this takes "
                f"{NEEDED * size / GIB:.1f}. Set TMPDIR to a larger disk"
            )
        return _all(config, place, size)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _all(config: ModelConfig, place: Path, size: int) -> list[Reading]:
    half, released, made = place / "half.safetensors", place / PART, place / "made.safetensors"
    _apart(_write_half, config, half)
    found = [
        _measured("read the file", size, _read, half),
        _measured("load and check every number", size, _open, half),
    ]
    _apart(_write_released, config, released)
    found.append(_measured("convert fp32 .pth to bf16", size, _convert, released, made))
    return found


def _random(shape: tuple[int, ...], dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
    """Random numbers of the size of weights. One seed serves all, since the values do not
    matter."""
    generator = torch.Generator().manual_seed(0)
    made = torch.empty(shape, dtype=dtype) if out is None else out
    return made.normal_(0, 0.02, generator=generator)


def _write_half(config: ModelConfig, path: Path) -> None:
    shapes, dtype = expected_shapes(config), torch.bfloat16
    write_safetensors(
        path,
        shapes,
        dict.fromkeys(shapes, dtype),
        lambda name: _random(shapes[name], dtype),
        header(config, {}),
    )


def _write_released(config: ModelConfig, path: Path) -> None:
    """Write a float32 pickle. Until then its tensors wait in files of their own, not in memory."""
    raw = path.parent / "raw"
    raw.mkdir()
    weights = {}
    for number, (name, shape) in enumerate(expected_shapes(config).items()):
        count = torch.Size(shape).numel()
        backing = torch.from_file(str(raw / str(number)), shared=True, size=count)
        weights[name] = _random(shape, torch.float32, backing.view(shape))
    torch.save(weights, path)
    weights.clear()
    shutil.rmtree(raw)


def _read(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(READ_BYTES)
        while file.readinto(buffer):
            pass


def _open(path: Path) -> None:
    load_model(path)


def _convert(source: Path, target: Path) -> None:
    convert(source, target, "bf16")


def _measured(action: str, size: int, run: Callable[..., None], *arguments) -> Reading:
    seconds, added = _apart(run, *arguments)
    return Reading(action, seconds, added, added / size)


def _apart(run: Callable[..., None], *arguments) -> tuple[float, int]:
    """Seconds and added memory of run(*arguments) in a fresh process."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(send, run, arguments))
    process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        raise PixWizardError(
            f"measuring {run.__name__.strip('_')} ended early (exit status {process.exitcode}); "
            "there may be too little memory"
        ) from None
    finally:
        process.join()


def _report(send, run: Callable[..., None], arguments: tuple) -> None:
    before = high_water()
    start = time.perf_counter()
    run(*arguments)
    send.send((time.perf_counter() - start, high_water() - before))


def high_water() -> int:
    """The most resident memory this process has had so far, in bytes. Raises PixWizardError on
    systems that do not tell."""
    try:
        import resource
    except ImportError:
        raise PixWizardError("bench loading needs Linux or macOS") from None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def table(found: Sequence[Reading]) -> str:
    lines = [f"{'action':<30} {'seconds':>8} {'MiB':>7} {'of bf16':>8}"]
    for one in found:
        lines.append(
            f"{one.action:<30} {one.seconds:>8.2f} {one.bytes / 2**20:>7.0f} {one.share:>8.2f}"
        )
    return "\n".join(lines)
