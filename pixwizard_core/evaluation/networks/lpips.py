"""LPIPS with VGG or AlexNet: the network of torchmetrics, with its backbone from a local file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .weight_files import load_state, read_state, with_packages


class Lpips:
    """Perceptual distance of two pictures. kind: "vgg" or "alex". The linear layers (version 0.1)
    come with torchmetrics.

    Raises MissingPart without torchmetrics, PixWizardError for another network's file.
    """

    def __init__(self, path: Path, kind: str, device: str = "cpu") -> None:
        def bring():
            from torchmetrics.functional.image import (  # pyright: ignore[reportMissingImports]
                lpips,
            )

            return lpips._LPIPS(net=kind, pnet_rand=True)

        self.network = with_packages("LPIPS", bring)
        stored = read_state(path)
        names = list(self.network.net.state_dict())
        state = {name: stored[plain] for name in names if (plain := _plain(name)) in stored}
        load_state(self.network.net, state, path)
        self.network.to(device).eval()
        self.device = device

    @torch.no_grad()
    def __call__(self, one_01: Tensor, other_01: Tensor) -> float:
        """Distance of two pictures (1, 3, H, W) in 0..1; the network itself takes -1..1."""
        pair = [picture.to(self.device) * 2 - 1 for picture in (one_01, other_01)]
        return float(self.network(*pair))


def _plain(name: str) -> str:
    """slice2.3.weight -> features.3.weight: the library splits the backbone into slices but keeps
    torchvision's layer numbers."""
    return f"features.{name.split('.', 1)[1]}"
