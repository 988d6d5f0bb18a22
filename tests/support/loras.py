"""LoRA files with random changes, for tests of what uses them."""

from __future__ import annotations

from pathlib import Path

import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.weights.lora import LoraSettings, add_lora, lora_layers, save_lora
from pixwizard_core.weights.lora_header import lora_header


def write_lora(
    path: Path, bundle: Path, seed: int = 0, std: float = 0.5, words=(), tasks=(), base=""
) -> Path:
    """A LoRA of rank 2 for the small model in a folder. std: of its second factors; 0 changes
    nothing. words, tasks, base: for its header."""
    model = load_tiny(bundle).model
    add_lora(model, LoraSettings(rank=2))
    generator = torch.Generator().manual_seed(seed)
    for layer in lora_layers(model).values():
        torch.nn.init.normal_(layer.up.weight, std=std, generator=generator)
    save_lora(model, path, lora_header(words, tasks, base, {"rank": 2}), torch.float32)
    return path
