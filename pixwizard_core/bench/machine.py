"""The machine a figure was measured on, and its load."""

from __future__ import annotations

import os
import platform

import torch


def machine(device: str | torch.device = "cpu") -> dict[str, object]:
    """Facts to print beside measurements. load: average number of busy processes over the last
    minute, None where the system does not tell."""
    place = torch.device(device)
    return {
        "processor": torch.cuda.get_device_name(place) if place.type == "cuda" else _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": load(),
    }


def load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def told(facts: dict[str, object]) -> str:
    """One line of text."""
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, "
        f"torch {facts['torch']}, load {facts['load']}"
    )


def _processor() -> str:
    best = "AVX-512" if torch.backends.cpu.get_cpu_capability() == "AVX512" else ""
    return " ".join(part for part in (platform.machine(), best) if part)
