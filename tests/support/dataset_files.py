"""Small picture files for datasets that tests make."""

from pathlib import Path

import torch

from pixwizard_core.files.picture_files import save_picture


def put(path: Path, shade: float = 0.5, side: int = 16) -> Path:
    """A plain grey picture file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, torch.full((3, side, side), float(shade)))
    return path
