"""LoRA files in every spelling that trainers use. The host's own loader reads two of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import comfy.lora
import comfy.lora_convert
from comfy_api.latest import io
from torch import Tensor

from ..pixwizard_core.errors import CheckpointError
from ..pixwizard_core.weights.finite import require_finite
from ..pixwizard_core.weights.weightfile import open_weights
from .base import Node
from .host import known_file, model_files, resolve, schema, supported

HOST = "diffusion_model."  # where the host keeps the network
WEIGHT, BIAS = ".weight", ".bias"
# What trainers write in front of a layer's path, and in front of it with _ for every dot.
DOTTED = (
    "", "diffusion_model.", "model.diffusion_model.", "transformer.", "unet.", "module.",
    "base_model.model.", "base_model.model.transformer.", "base_model.model.diffusion_model.",
)  # fmt: skip
UNDERSCORED = ("lora_unet_", "lora_transformer_", "lycoris_")
FOLDERS = ("loras",)
WANTED = "A LoRA for PixWizard, for models/loras."
SHOWN = 8  # names of a list in a message


def spellings(weights: Iterable[str]) -> dict[str, str]:
    """The host's name of a weight by every way to call its layer. weights: the host's names."""
    found = {}
    for weight in weights:
        if weight.startswith(HOST) and not weight.endswith(BIAS):
            path = weight.removeprefix(HOST).removesuffix(WEIGHT)
            found |= {prefix + path: weight for prefix in DOTTED}
            found |= {prefix + path.replace(".", "_"): weight for prefix in UNDERSCORED}
    return found


def layer_of(name: str, names: dict[str, str]) -> str | None:
    """The host's name of the weight that an entry of a LoRA file belongs to, or None."""
    stem = name
    while stem:
        if stem in names:
            return names[stem]
        # "<layer>_lora.up.weight" is one old way to write "<layer>.lora_up.weight"
        if stem.removesuffix("_lora") in names:
            return names[stem.removesuffix("_lora")]
        stem = stem.rpartition(".")[0]
    return None


def listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def read_patches(lora: dict[str, Tensor], weights: dict[str, Tensor], file: str, strict: bool):
    """Patches of a LoRA by the host's names of weights.

    weights: the model's. strict: refuse a file of which not everything is used. Raises
    CheckpointError, listing the entries that fit no layer, or naming the layer of another size.
    """
    names = spellings(weights)
    lora = comfy.lora_convert.convert_lora(lora)
    quiet = supported(comfy.lora.load_lora, {"log_missing": False})
    patches = comfy.lora.load_lora(lora, names, **quiet)
    unused = []
    for entry in lora:
        layer = layer_of(entry, names)
        if layer not in patches and f"{(layer or '').removesuffix(WEIGHT)}{BIAS}" not in patches:
            unused.append(entry)
    if not patches:
        raise CheckpointError(
            f"nothing in {file} fits this PixWizard model; the LoRA was made for another model. "
            f"It holds: {listed(lora)}"
        )
    if unused and strict:
        raise CheckpointError(
            f"{len(unused)} of {len(lora)} entries of {file} fit no layer of this model: "
            f"{listed(unused)}. Switch allow_unmatched on to load the rest without them"
        )
    for name, patch in patches.items():
        _check_size(name, patch, weights[name], file)
    return patches


def _check_size(name: str, patch, weight: Tensor, file: str) -> None:
    """The host would only log a patch that does not fit, and paint on without it."""
    if getattr(patch, "name", "") != "lora":
        return
    up, down = patch.weights[:2]
    shape = up.shape[0], down.shape[1]
    if shape != tuple(weight.shape[:2]) or up.shape[1] != down.shape[0]:
        raise CheckpointError(
            f"{file}: {name.removeprefix(HOST)} is {tuple(weight.shape)} in this model, the "
            f"LoRA's is {shape}; it was made for a model of another size"
        )


def load_lora(model, path: Path, strength: float, *, strict: bool = True):
    """A clone of a MODEL with a LoRA file on it. Raises CheckpointError (see read_patches)."""
    file = open_weights(path)  # the host's reader has messages that help nobody
    lora = {name: require_finite(file.fetch(name), name, path.name) for name in file.shapes}
    patches = read_patches(lora, model.model.state_dict(), path.name, strict)
    model = model.clone()
    model.add_patches(patches, strength)
    return model


class LoadLora(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "LoadLora",
            display_name="PixWizard Load LoRA",
            description="Applies a LoRA to a PixWizard model, whichever naming scheme its trainer "
            "used. A LoRA trained by PixWizard also works in ComfyUI's own LoRA loader; this node "
            "also reads PEFT and diffusers names, and says what it could not use.",
            search_aliases=["lora loader", "adapter"],
            inputs=[
                io.Model.Input("model", tooltip="A PixWizard model from Load Tiny or Load Model."),
                io.Combo.Input(
                    "lora_name",
                    options=model_files(*FOLDERS),
                    tooltip="File in models/loras.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.05,
                    tooltip="How much of the LoRA to add, -10 to 10. 0 adds nothing, negative "
                    "values subtract it.",
                ),
                io.Boolean.Input(
                    "allow_unmatched",
                    default=False,
                    tooltip="Load the file even if some of it fits no layer of the model, such as "
                    "the part for a text encoder. Off refuses it and lists what does not fit.",
                ),
            ],
            outputs=[io.Model.Output("changed", display_name="model")],
        )

    @classmethod
    def validate_inputs(cls, lora_name=None):
        return known_file(lora_name, WANTED, FOLDERS)

    @classmethod
    def run(cls, model, lora_name, strength, allow_unmatched):
        path = resolve(lora_name, WANTED, FOLDERS)
        return io.NodeOutput(load_lora(model, path, strength, strict=not allow_unmatched))


NODES = (LoadLora,)
