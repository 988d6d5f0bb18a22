"""The latents from which the next frames of sequences start, on disk so that a run can be
resumed."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import torch
from torch import Tensor

from ..files.picture_files import save_array

FOLDER = ".latents"
KEPT = 64


class LatentStore:
    """Latents by the key of the result that they belong to, below the output folder."""

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        self.saved: deque[str] = deque()

    def save(self, key: str, latent: Tensor) -> None:
        """Keep a latent, and drop the one saved KEPT before it: painting is ahead of the list of
        results by less than that."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_array(self._path(key), latent)
        self.saved.append(key)
        if len(self.saved) > KEPT:
            self._path(self.saved.popleft()).unlink(missing_ok=True)

    def load(self, key: str) -> Tensor | None:
        """The latent of a result, or None when it is not kept."""
        import numpy as np

        path = self._path(key)
        return torch.from_numpy(np.load(path, allow_pickle=False)) if path.is_file() else None

    def has(self, key: str) -> bool:
        return self._path(key).is_file()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npy"
