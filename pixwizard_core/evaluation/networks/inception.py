"""Inception v3 as FID and the Inception Score use it: the extractor of torch-fidelity.

Papers resize pictures to its 299 px in three ways, whose FID differs by whole points; RESIZES has
them by name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import PixWizardError
from .weight_files import read_state, with_packages

SIDE, FEATURES, CLASSES = 299, 2048, 1008
MARKS = {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "fc.weight": (CLASSES, FEATURES)}


def _tf(pictures: Tensor) -> Tensor:
    import torch_fidelity.interpolate_compat_tensorflow as library  # pyright: ignore

    resize = library.interpolate_bilinear_2d_like_tensorflow1x
    return resize(pictures, size=(SIDE, SIDE), align_corners=False)


def _antialias(pictures: Tensor) -> Tensor:
    return F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", antialias=True)


def _clean(pictures: Tensor) -> Tensor:
    resized = F.interpolate(pictures, (SIDE, SIDE), mode="bicubic", antialias=True)
    return resized.clamp(0, 255)


# "tf": as in the first FID, torch-fidelity and pytorch-fid. "antialias": as in torchmetrics since
# 1.8. "clean": clean-fid's bicubic without rounding.
RESIZES: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"tf": _tf, "antialias": _antialias, "clean": _clean}
)


class Inception:
    """Features and class logits of pictures. resize: of RESIZES.

    Raises MissingPart without torch-fidelity, PixWizardError for another network's file.
    """

    def __init__(self, path: Path, device: str = "cpu", resize: str = "tf") -> None:
        def bring():
            import torch_fidelity.feature_extractor_inceptionv3 as library  # pyright: ignore

            return library.FeatureExtractorInceptionV3

        kind = with_packages("FID and IS", bring)
        stored = io.BytesIO()  # the library unpickles its input, so pass it our own copy
        torch.save(_checked(read_state(path), path), stored)
        stored.seek(0)
        self.network = kind("inception-v3-compat", [str(FEATURES)], stored).to(device).eval()
        self.device, self.resize = device, RESIZES[resize]

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """(features (B, 2048), logits without bias (B, 1008)) of 8-bit pictures (1, 3, H, W), each
        resized by itself."""
        squares = [self.resize(one.to(self.device).float()) for one in pictures]
        x = (torch.cat(squares) - 128) / 128
        for name, layer in self.network.named_children():  # in the order they run
            if name == "fc":
                break
            x = layer(x)
        features = x.flatten(1)
        return features.cpu(), (features @ self.network.fc.weight.T).cpu()


def _checked(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the state. Raises PixWizardError when it belongs to another network."""
    for name, shape in MARKS.items():
        got = tuple(state[name].shape) if name in state else "nothing"
        if got != shape:
            raise PixWizardError(
                f"{path.name} is not the Inception network of FID: {name} should be {shape}. Got: "
                f"{got}"
            )
    return state
