"""The command that measures: pixwizard bench. Each kind of measurement is a sub-command."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from .help_text import sentence
from .models import DEVICE_HELP

MIB = 2**20
TEXT = "measure the time and memory of sampling steps, attention kernels, decoders or loading"
DTYPES = ("float32", "bfloat16", "float16")
PRESET_HELP = "size preset of a released model (default: a small model)"


def add_bench(commands) -> None:
    """Add `pixwizard bench` to the subparsers."""
    parser = commands.add_parser("bench", help=TEXT, description=sentence(TEXT))
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    step = _kind(kinds, "step", _steps, "compare a guided step with the reference implementation")
    _add_model_options(step)
    _add_time(step)
    text = "measure attention kernels and their share of peak performance"
    kernels = _kind(kinds, "kernels", _kernels, text)
    _add_model_options(kernels)
    kernels.add_argument("--compile", action="store_true", help="also measure with torch.compile")
    _add_time(_kind(kinds, "decoders", _decode, "measure the decoders at 1024 x 1024 px"))
    loading = _kind(kinds, "loading", _loading, "measure reading and converting weights")
    loading.add_argument("--preset", help=PRESET_HELP)


def _kind(kinds, name: str, measure, text: str) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=text, description=sentence(text))
    parser.set_defaults(command=bench, measure=measure, device="cpu")
    parser.add_argument("--json", type=Path, help="also write the results to this JSON file")
    return parser


def _add_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="measure CPU time in place of wall-clock time, for busy machines",
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", help=PRESET_HELP)
    parser.add_argument(
        "--side", type=int, default=64,
        help="side in latent cells of 8 px (default: %(default)s, which is 512 px)",
    )  # fmt: skip
    parser.add_argument(
        "--text", type=int, default=64, help="tokens per instruction (default: %(default)s)"
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=5,
        help="measurements per variant, taken in turns (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help=DEVICE_HELP)
    parser.add_argument(
        "--dtype", default=DTYPES[0], choices=DTYPES,
        help="data type to compute in (default: %(default)s)",
    )  # fmt: skip


def bench(arguments: argparse.Namespace) -> int:
    """Measure, print a table, and write it as JSON if asked."""
    from ..bench.machine import load, machine, told
    from ..files.data_files import write_json

    facts = machine(arguments.device)
    print(told(facts), flush=True)
    figures = arguments.measure(arguments)
    facts["load_after"] = load()
    print(f"load afterwards {facts['load_after']}")
    if arguments.json:
        write_json(arguments.json, {"machine": facts, **figures})
    return 0


def _steps(arguments: argparse.Namespace) -> dict:
    """Time and memory of a guided step, in the reference's order of operations and in ours."""
    from ..bench.steps import compare

    model = _model(arguments)
    now = time.process_time if arguments.cpu_time else time.perf_counter
    sizes = {"side": arguments.side, "text": arguments.text, "pairs": arguments.pairs}
    timings = compare(model, **sizes, now=now)
    print(
        f"{'case':<15} {'reference s':>12} {'same layers':>12} {'':>7} {'ours s':>8} {'':>7} "
        f"{'once s':>7} {'MiB':>6} {'ours':>6} {'':>5} {'differ':>8}"
    )
    for one in timings:
        print(
            f"{one.case:<15} {one.reference:>12.3f} {one.same_layers:>12.3f} {one.by_order:>6.2f}x "
            f"{one.ours:>8.3f} {one.speedup:>6.2f}x {one.prepare:>7.3f} "
            f"{one.reference_bytes / MIB:>6.0f} {one.ours_bytes / MIB:>6.0f} "
            f"{one.memory_share:>5.2f} {one.difference:>8.1e}"
        )
    if arguments.cpu_time:
        print("seconds are processor time, summed over the threads")
    weights = sum(p.nbytes for p in model.parameters())
    print(f"MiB are tensors beside the weights ({weights / MIB:.0f}), at the most")
    return {"weights_bytes": weights, "steps": [_figures(one) for one in timings]}


def _model(arguments: argparse.Namespace):
    """A random model of the requested shape, dtype and device."""
    import torch

    from ..bench.steps import CPU_CONFIG, random_model
    from ..config import PRESETS
    from ..errors import PixWizardError
    from .models import usable_device

    if arguments.preset and arguments.preset not in PRESETS:
        raise PixWizardError(
            f"preset {arguments.preset!r} is unknown; choose one of: {', '.join(PRESETS)}"
        )
    if arguments.side < 2 or arguments.side % 2 or arguments.text < 8 or arguments.pairs < 1:
        raise PixWizardError("--side is even and above 1, --text at least 8, --pairs at least 1")
    config = PRESETS.get(arguments.preset, CPU_CONFIG)
    device, dtype = usable_device(arguments.device), getattr(torch, arguments.dtype)
    return random_model(config, device=device, dtype=dtype)


def _kernels(arguments: argparse.Namespace) -> dict:
    """Time of one evaluation with each attention kernel, and compiled."""
    from ..bench.kernels import compare, table

    peak, found = compare(
        _model(arguments),
        side=arguments.side,
        text=arguments.text,
        rounds=arguments.pairs,
        compiled=arguments.compile,
    )
    print(table(peak, found))
    return {"flops_peak": peak, "kernels": [asdict(one) for one in found]}


def _decode(arguments: argparse.Namespace) -> dict:
    """Time and memory of each decoder."""
    from ..bench.decoders import compare, table

    now = time.process_time if arguments.cpu_time else time.perf_counter
    found = compare(now=now)
    print(table(found))
    return {"decode": [asdict(one) for one in found]}


def _loading(arguments: argparse.Namespace) -> dict:
    """Time and memory of reading and converting a checkpoint."""
    from ..bench.loading import compare, table
    from ..config import PRESETS

    found = compare(PRESETS.get(arguments.preset))
    print(table(found))
    return {"loading": [asdict(one) for one in found]}


def _figures(timing) -> dict:
    derived = ("by_order", "speedup", "memory_share")
    return asdict(timing) | {name: getattr(timing, name) for name in derived}
