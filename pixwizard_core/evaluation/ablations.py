"""Switch off parts of the model without retraining, for comparison with the ablations of table 4.

The paper trained each variant for 40,000 steps. Switching off a part of a model that was trained
with it shows how much the model relies on that part, which is a different question; the texts here
say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

ALL_TOKENS = 1 << 30  # more than any picture has


@dataclass(frozen=True, slots=True)
class Ablation:
    """overrides: of SampleSettings. told: text on what it does and how table 4 differs."""

    overrides: Mapping[str, Any]
    told: str


ABLATIONS: Mapping[str, Ablation] = MappingProxyType({
    "no-image-tokens": Ablation(
        MappingProxyType({"without": "image_tokens"}),
        "no image tokens, only the image latent; table 4 trained M1 so",
    ),
    "no-image-latent": Ablation(
        MappingProxyType({"without": "image_latent"}),
        "noise in the place of the image latent, only the image tokens; table 4 trained M2 so",
    ),
    "all-tokens": Ablation(
        MappingProxyType({"kept": ALL_TOKENS}),
        "every block keeps all image tokens; table 4 trained “w/o DSTS” so",
    ),
})  # fmt: skip
RETRAINED = "“w/o two-stage” of table 4 is another training and no switch"
