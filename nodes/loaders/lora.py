"""LoRA files with every naming that trainers use. The host's own loader reads two of them."""

from __future__ import annotations

import logging
from pathlib import Path

import comfy.lora
import comfy.weight_adapter
import torch
from comfy_api.latest import io

from ...pixwizard_core.errors import CheckpointError
from ...pixwizard_core.weights.adapters import Adapter, change, rank_of, require_finite_change
from ...pixwizard_core.weights.lora_header import first_words, header_of, word_lines
from ...pixwizard_core.weights.lora_names import WEIGHT
from ...pixwizard_core.weights.lora_read import listed, read_adapters
from ..host.files import known_file, model_files, resolve
from ..host.versions import schema, supported
from ..shared.base import Node

HOST = "diffusion_model."  # where the host keeps the network
FOLDERS = ("loras",)
WANTED = "A LoRA for PixWizard, for models/loras."
# Kinds that the host applies as trainers mean them. For DoRA it takes the length of the unchanged
# weight; for OFT and BOFT it applies the strength twice, and for replaced weights not at all.
HOST_KINDS = ("lora", "loha", "lokr", "glora")
HOST_ENDS = {
    "lora_up": "lora_up.weight", "lora_down": "lora_down.weight",
    "a1": "a1.weight", "a2": "a2.weight", "b1": "b1.weight", "b2": "b2.weight",
}  # fmt: skip


class CoreAdapter(comfy.weight_adapter.WeightAdapterBase):
    """An adapter that the core applies. weights: (kind, names of the parts, parts, scale)."""

    name = "pixwizard"

    def __init__(self, loaded_keys, weights) -> None:
        self.loaded_keys, self.weights = loaded_keys, weights

    def calculate_weight(
        self, weight, key, strength, strength_model, offset, function,
        intermediate_dtype=torch.float32, original_weight=None,
    ):  # fmt: skip
        kind, names, parts, scale = self.weights
        adapter = Adapter(key, kind, dict(zip(names, parts, strict=True)), scale, ())
        weight += function((strength * change(adapter, weight)).to(weight.dtype))
        return weight


def host_patch(adapter: Adapter):
    """The host's form of an adapter, which add_patches takes. Raises CheckpointError when the
    host does not read it."""
    if adapter.kind == "diff":
        return "diff", (adapter.parts["diff"],)
    rank = rank_of(adapter.kind, adapter.parts) if adapter.kind in HOST_KINDS else None
    if adapter.kind not in HOST_KINDS or adapter.is_dora or (not rank and adapter.scale != 1.0):
        names = tuple(adapter.parts)
        parts = tuple(adapter.parts.values())
        return CoreAdapter(set(adapter.entries), (adapter.kind, names, parts, adapter.scale))
    layer = "layer"
    lora = {f"{layer}.{HOST_ENDS.get(name, name)}": part for name, part in adapter.parts.items()}
    if rank and f"{layer}.alpha" not in lora and adapter.scale != 1.0:
        lora[f"{layer}.alpha"] = torch.tensor(
            adapter.scale * rank, dtype=torch.float64, device="cpu"
        )
    quiet = supported(comfy.lora.load_lora, {"log_missing": False})
    patch = comfy.lora.load_lora(lora, {layer: adapter.target}, **quiet).get(adapter.target)
    if getattr(patch, "name", None) != adapter.kind:
        raise CheckpointError(
            f"this ComfyUI does not read {adapter.entries[0]} ({adapter.kind}); update ComfyUI"
        )
    return patch


def load_lora(model, path: Path, strength: float, *, strict: bool = True):
    """A clone of a MODEL with a LoRA file on it. Raises CheckpointError (see read_adapters), also
    for a change that overflows."""
    # Not its state dict, in which a quantised weight is several tensors.
    weights = dict(model.model.diffusion_model.named_parameters())
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    lora = read_adapters(path, shapes, strict=strict)
    if lora.elsewhere:
        logging.warning(
            "PixWizard: %s: %d entries fit no layer of this model and are left out: %s",
            path.name, len(lora.elsewhere), listed(lora.elsewhere),
        )  # fmt: skip
    if lora.guessed:
        logging.info("PixWizard: %s says no alpha, so its rank is taken for it", path.name)
    model = model.clone()
    for adapter in lora.adapters:
        target = HOST + adapter.target
        require_finite_change(adapter, weights[adapter.target], strength)
        if target not in model.add_patches({target: host_patch(adapter)}, strength):
            raise CheckpointError(
                f"this ComfyUI does not apply {adapter.entries[0]} of {path.name} to "
                f"{adapter.target.removesuffix(WEIGHT)}"
            )
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
            outputs=[
                io.Model.Output("changed", display_name="model"),
                io.String.Output("words", display_name="trained words"),
            ],
        )

    @classmethod
    def validate_inputs(cls, lora_name=None):
        return known_file(lora_name, WANTED, FOLDERS)

    @classmethod
    def run(cls, model, lora_name, strength, allow_unmatched):
        path = resolve(lora_name, WANTED, FOLDERS)
        header = header_of(path)
        changed = load_lora(model, path, strength, strict=not allow_unmatched)
        lines = word_lines(path.name, header)
        return io.NodeOutput(changed, first_words(header), ui={"text": ["\n".join(lines)]})
