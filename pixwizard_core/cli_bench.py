"""The command that measures: pixwizard bench."""

from __future__ import annotations

import argparse


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", help="a released model's shape (default: a small one)")
    parser.add_argument("--side", type=int, default=64, help="latent cells a side; 64 is 512 px")
    parser.add_argument("--text", type=int, default=64, help="tokens of the instruction")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each way, in turn")


def bench(arguments: argparse.Namespace) -> int:
    """Print the time of a guided step: in the reference's order of work, and in ours."""
    import torch

    from .bench import CPU_CONFIG, compare, random_model
    from .cli_run import usable_device
    from .config import PRESETS
    from .errors import PixWizardError

    if arguments.preset and arguments.preset not in PRESETS:
        raise PixWizardError(
            f"preset {arguments.preset!r} is unknown; choose one of: {', '.join(PRESETS)}"
        )
    if arguments.side < 2 or arguments.side % 2 or arguments.text < 8 or arguments.pairs < 1:
        raise PixWizardError("--side is even and above 1, --text at least 8, --pairs at least 1")
    config = PRESETS.get(arguments.preset, CPU_CONFIG)
    device, dtype = usable_device(arguments.device), getattr(torch, arguments.dtype)
    model = random_model(config, device=device, dtype=dtype)
    sizes = {"side": arguments.side, "text": arguments.text, "pairs": arguments.pairs}
    columns = ("ours s", "faster", "once s", "differ")
    print(f"{'case':<15} {'reference s':>12} " + " ".join(f"{name:>8}" for name in columns))
    for timing in compare(model, **sizes):
        print(
            f"{timing.case:<15} {timing.reference:>12.3f} {timing.ours:>8.3f} "
            f"{timing.speedup:>7.2f}x {timing.prepare:>8.3f} {timing.difference:>8.1e}"
        )
    return 0
