"""A CLIP_VISION object of the host for a vision model of any size."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import comfy.clip_vision
from torch import Tensor

from ..pixwizard_core.errors import EncoderError

FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "patch_size",
    "image_size",
)


def make_clip_vision(config: dict, weights: dict[str, Tensor]):
    """config: Hugging Face's CLIP vision config. weights: names beginning with vision_model.

    Raises EncoderError when weights are missing or unknown.
    """
    settings = {name: config[name] for name in FIELDS}
    settings |= {"model_type": "clip_vision_model", "num_channels": 3}
    with tempfile.TemporaryDirectory() as folder:  # the host reads its config from a file only
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(settings), encoding="utf-8")
        made = comfy.clip_vision.ClipVisionModel(str(path))
    missing, unknown = made.load_sd(weights)
    if missing or unknown:
        raise EncoderError(
            f"the vision encoder's weights do not fit: {len(missing)} missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}"
        )
    return made
