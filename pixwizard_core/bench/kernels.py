"""Time of one model evaluation with each attention kernel and with the compiler, as a share of the
fastest matrix product on the device. Made for GPUs; works anywhere."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..model import PixWizard
from .memory import peak_bytes
from .steps import clock, random_conditions, with_layers

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
PEAK_SIDE = {"cuda": 8192, "cpu": 1024}


@dataclass(frozen=True)
class Kernel:
    """seconds: of one branch at one step. peak_share: its arithmetic against the device's fastest
    product. bytes: most tensors alive beside weights and conditions. note: why a way is missing."""

    way: str
    seconds: float = 0.0
    peak_share: float = 0.0
    bytes: int = 0
    note: str = ""


def matmul_peak(device: torch.device, dtype: torch.dtype, rounds: int = 5) -> float:
    """Operations per second of a large square matrix product, the best of several rounds."""
    side = PEAK_SIDE.get(device.type, 1024)
    generator = torch.Generator(device).manual_seed(0)
    a = torch.randn(side, side, generator=generator, device=device, dtype=dtype)
    torch.mm(a, a)  # a first call, which is slower
    return 2 * side**3 / min(clock(lambda: a @ a)[0] for _ in range(rounds))


@torch.no_grad()
def compare(
    model: PixWizard, *, side: int = 64, text: int = 64, rounds: int = 5, compiled: bool = False
) -> tuple[float, list[Kernel]]:
    """Time one evaluation with each kernel. Returns the device's fastest product in operations per
    second, and the figures of each way.

    side: latent cells. compiled: also measure torch.compile, which takes minutes to prepare.
    """
    parameter = model.x_embedder.weight
    device, dtype = parameter.device, parameter.dtype
    full, _, noise = random_conditions(model.config, side, text, device, dtype)
    prepared, t = model.prepare(full), torch.full((1,), 0.5, device=device)
    with FlopCounterMode(display=False) as counter:
        with_layers(model, nn).velocity(noise, t, prepared)  # the counter knows torch.nn's products
    work, peak = counter.get_total_flops(), matmul_peak(device, dtype)

    def measured(way: str, velocity: Callable[..., Tensor]) -> Kernel:
        def run() -> Tensor:
            return velocity(noise, t, prepared)

        run()
        seconds = statistics.median(clock(run)[0] for _ in range(rounds))
        return Kernel(way, seconds, work / seconds / peak, peak_bytes(run, model.parameters()))

    found = [measured("as chosen by torch", model.velocity)]
    for name, backend in BACKENDS.items():
        with sdpa_kernel(backend):
            found.append(_attempt(name, lambda n=name: measured(n, model.velocity)))
    if compiled:
        torch.compiler.reset()
        made = torch.compile(model.velocity)
        found.append(_attempt("compiled", lambda: measured("compiled", made)))
    return peak, found


def _attempt(way: str, measure: Callable[[], Kernel]) -> Kernel:
    """The figures of a way, or a note that this device or head width does not support it."""
    try:
        return measure()
    except (RuntimeError, NotImplementedError) as error:
        return Kernel(way, note=str(error).strip().splitlines()[0][:70])


def table(peak: float, found: Sequence[Kernel]) -> str:
    lines = [f"fastest product {peak / 1e12:.3f} Tflop/s"]
    lines.append(f"{'evaluation':<20} {'ms':>9} {'of peak':>8} {'MiB':>7}")
    for one in found:
        figures = f"{1e3 * one.seconds:>9.1f} {one.peak_share:>8.2f} {one.bytes / 2**20:>7.0f}"
        lines.append(f"{one.way:<20} {one.note or figures}")
    return "\n".join(lines)
