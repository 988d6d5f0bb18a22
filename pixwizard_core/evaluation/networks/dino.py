"""DINO's class token, loaded from a local folder with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .squares import dino_input
from .weight_files import read_network


class Dino:
    """Embeddings of a DINO vision transformer. folder: as published."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from transformers import ViTModel

        network = read_network(ViTModel, folder, add_pooling_layer=False)
        self.network = network.to(device).eval()
        self.device = device

    @torch.no_grad()
    def pictures(self, pictures_01: Sequence[Tensor]) -> Tensor:
        """(B, D) of pictures (1, 3, H, W) in 0..1: the class token after the last norm."""
        pixels = dino_input(pictures_01).to(self.device)
        return self.network(pixel_values=pixels).last_hidden_state[:, 0].cpu()
