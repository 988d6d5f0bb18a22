"""Human Preference Score: open_clip's ViT-H/14 with the weights of version 2.0 or 2.1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .squares import hps_input
from .weight_files import load_state, quiet, read_state, with_packages

ARCHITECTURE = "ViT-H-14"


class Hps:
    """Scores how well pictures match their prompts, trained on human preferences. Raises
    MissingPart without open_clip, PixWizardError for another network's file."""

    def __init__(self, path: Path, device: str = "cpu", architecture: str = ARCHITECTURE) -> None:
        def bring():
            import open_clip  # pyright: ignore[reportMissingImports]

            return open_clip

        library = with_packages("HPS", bring)
        with quiet():  # it warns of random weights, which are replaced below
            self.network = library.create_model(architecture, pretrained=None)
        load_state(self.network, read_state(path), path)
        self.network.to(device).eval()
        self.tokenizer = library.get_tokenizer(architecture)
        size = self.network.visual.image_size
        self.side = size[0] if isinstance(size, tuple) else size
        self.device = device

    @torch.no_grad()
    def __call__(self, pictures_01: Sequence[Tensor], prompts: Sequence[str]) -> list[float]:
        """Cosine similarity of pictures (1, 3, H, W) in 0..1 with their prompts, times 100."""
        pixels = hps_input(pictures_01, self.side).to(self.device)
        tokens = self.tokenizer(list(prompts)).to(self.device)
        seen = F.normalize(self.network.encode_image(pixels), dim=-1)
        said = F.normalize(self.network.encode_text(tokens), dim=-1)
        return (100 * (seen * said).sum(-1)).tolist()
