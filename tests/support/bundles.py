"""An untrained model with its encoders, laid out on disk like the bundled one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from pixwizard_core.bundle import MODEL_FILE
from pixwizard_core.config import TINY
from pixwizard_core.encoders.tiny import BUNDLE, VAE_FILE, build_tiny_encoders, save_encoders
from pixwizard_core.taught import taught_header
from pixwizard_core.weights.checkpoint import expected_shapes, load_state_dict, save


def write_bundle(folder: Path, header: dict[str, str] | None = None) -> Path:
    """A folder that load_tiny reads; the autoencoder and tokenizer are the real ones. header: more
    entries for the transformer's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (VAE_FILE, "tokenizer.json"):
        shutil.copy(BUNDLE / name, folder / name)
    save_encoders(*build_tiny_encoders(), folder)
    config = replace(TINY, n_layers=1)
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: torch.randn(shape, generator=generator) * 0.02
        for name, shape in expected_shapes(config).items()
    }
    save(folder / MODEL_FILE, weights, config, header)
    return folder


def teach(folder: Path, tasks: list[str], forms: dict | None = None) -> None:
    """Let the header of a bundle's transformer say that it was taught these."""
    weights, config = load_state_dict(folder / MODEL_FILE)
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    save(folder / MODEL_FILE, weights, config, taught_header(tasks, forms))
