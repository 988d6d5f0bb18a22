"""CLIP's image and text embeddings, loaded from a local folder with transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .squares import clip_input
from .weight_files import read_folder, read_network


class Clip:
    """Unit embeddings of a CLIP model. folder: as published, with tokenizer."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        from transformers import AutoTokenizer, CLIPModel

        self.network = read_network(CLIPModel, folder).to(device).eval()
        self.tokenizer = read_folder(AutoTokenizer, folder)
        self.side = self.network.config.vision_config.image_size
        self.length = self.network.config.text_config.max_position_embeddings
        self.device = device

    @torch.no_grad()
    def pictures(self, pictures_01: Sequence[Tensor]) -> Tensor:
        """(B, D) of pictures (1, 3, H, W) in 0..1 of any sizes."""
        pixels = clip_input(pictures_01, self.side).to(self.device)
        pooled = self.network.vision_model(pixel_values=pixels).pooler_output
        return F.normalize(self.network.visual_projection(pooled), dim=-1).cpu()

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """(B, D) of texts; longer ones are cut to the model's 77 tokens."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.length, return_tensors="pt"
        ).to(self.device)
        pooled = self.network.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return F.normalize(self.network.text_projection(pooled), dim=-1).cpu()


def cosine(one: Tensor, other: Tensor) -> list[float]:
    """Cosine similarity of vectors (B, D), row by row; 0 if a vector is zero."""
    return F.cosine_similarity(one.double(), other.double(), dim=-1).tolist()


def direction(
    before: Tensor, after: Tensor, text_before: Tensor, text_after: Tensor
) -> list[float]:
    """CLIP direction: cosine between the change of the picture and the change of the caption. Unit
    embeddings (B, D); equal captions give 0. Source: Gal et al. 2021, as in InstructPix2Pix."""
    return cosine(after - before, text_after - text_before)
