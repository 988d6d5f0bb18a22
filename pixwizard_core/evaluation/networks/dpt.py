"""Estimate depth from a painted picture with DPT and compare it with a map, as in ControlNet++,
which D.1 follows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...errors import PixWizardError
from ...files.picture_files import as_pil, to_tensor
from ...json_text import read_json_file
from .squares import BICUBIC, BILINEAR, HALF, normalised, resized
from .weight_files import read_network

SETTINGS = "preprocessor_config.json"
NEAREST = 0  # Pillow's number
MOST = 255
# The first fusion layer has nothing to add, and the published file lacks what would add it.
UNUSED = ("neck.fusion_stage.layers.0.residual_layer1.",)


class Dpt:
    """Relative depth, larger is nearer. folder: as published."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from transformers import DPTForDepthEstimation

        network = read_network(DPTForDepthEstimation, folder, UNUSED)
        self.network = network.to(device).eval()
        settings = {}
        if (folder / SETTINGS).is_file():
            settings = read_json_file(folder / SETTINGS, PixWizardError)
        self.side = self.network.config.image_size
        self.mean = settings.get("image_mean", HALF)
        self.std = settings.get("image_std", HALF)
        self.how = settings.get("resample", BICUBIC)
        self.device = device

    @torch.no_grad()
    def __call__(self, picture_01: Tensor) -> Tensor:
        """(h, w) of a picture (1, 3, H, W) in 0..1, at the network's own size."""
        square = resized(picture_01, self.side, self.side, self.how)
        pixels = normalised(square, self.mean, self.std).to(self.device)
        return self.network(pixel_values=pixels).predicted_depth[0].cpu()


def depth_error(estimate: Tensor, label: Tensor, side: int) -> float:
    """RMSE of grey levels 0..255 between an estimate (h, w), scaled by its maximum, and a map
    (H, W), stretched from its least to its largest value; both 8-bit, in squares of side px."""
    ours = _levels(estimate / estimate.max(), side, BILINEAR)
    label = label.float()
    spread = (label.max() - label.min()).clamp(min=1e-12)
    theirs = _levels((label - label.min()) / spread, side, NEAREST)
    return float(((ours - theirs) ** 2).mean().sqrt())


def _levels(values_01: Tensor, side: int, how: int) -> Tensor:
    """Values (H, W) as grey levels of a square, truncated to 8 bits before resizing."""
    cut = (values_01.clamp(0, 1) * MOST).floor() / MOST
    square = as_pil(cut.expand(3, -1, -1)).resize((side, side), how)
    return (to_tensor(square, "depth")[0, 0] * MOST).round()
