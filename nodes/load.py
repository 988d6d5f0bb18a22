"""Loaders: the bundled model, the released one, and its text encoder. None of them touches the network."""

from __future__ import annotations

from pathlib import Path

import torch
from comfy_api.latest import io

from ..pixwizard_core import checkpoint
from .host import choice, model_files, resolve, schema
from .native import Options, make_patcher

DTYPES = {
    "default": None,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
RELEASED_CENTRE = 1024  # px; what the released model counts its tokens against


def load_transformer(path: Path, options: Options, weight_dtype: str):
    """MODEL of a checkpoint file. Raises CheckpointError when it is not a PixWizard."""
    state_dict, config = checkpoint.load_state_dict(path)
    return make_patcher(config, state_dict, options, dtype=DTYPES[weight_dtype])


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadModel",
            display_name="PixWizard Load Model",
            description="A PixWizard transformer: consolidated_ema.00-of-01.pth (8.05 GB, huggingface.co/Afeng-x/"
            "PixWizard) in models/diffusion_models, a converted safetensors file, or one saved by this program.",
            search_aliases=["checkpoint", "diffusion model", "unet"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=model_files("diffusion_models", "checkpoints"),
                    tooltip="File in models/diffusion_models or models/checkpoints. It is known by its content; the "
                    "name does not matter.",
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(DTYPES),
                    default="default",
                    tooltip="How weights are kept in memory. default: the host's choice; bfloat16 4 GB, fp8 2 GB with "
                    "some loss, float32 8 GB for the 2B model.",
                ),
            ],
            outputs=[io.Model.Output("model", display_name="model")],
        )

    @classmethod
    def execute(cls, model_name, weight_dtype):
        choice(weight_dtype, DTYPES, "weight_dtype")
        return io.NodeOutput(
            load_transformer(resolve(model_name), Options(RELEASED_CENTRE), weight_dtype)
        )


NODES = (LoadModel,)
