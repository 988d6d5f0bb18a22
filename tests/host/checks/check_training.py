"""The host's LoRA training node on our model and our conditionings."""

from __future__ import annotations

import inspect

import comfy.sd
import comfy_extras.nodes_train
import torch
from check_memory import by_all_models
from comfy.model_management import module_size
from dynamic import DynamicCard, where_it_is
from small import apart

STEPS = 2  # a second one fails where gradients run into what the first one left behind
SMALL = 16 * 1024  # bytes of a layer that the dynamic manager does not stream
SETTINGS = {
    "batch_size": 1, "steps": STEPS, "grad_accumulation_steps": 1, "learning_rate": 5e-4,
    "rank": 2, "optimizer": "AdamW", "loss_function": "MSE", "seed": 0, "training_dtype": "fp32",
    "lora_dtype": "fp32", "quantized_backward": False, "algorithm": "LoRA",
    "gradient_checkpointing": False, "checkpoint_depth": 1, "offloading": False,
    "existing_lora": "[None]", "bucket_mode": False, "bypass_mode": False,
}  # fmt: skip


def trained(setup, **changes) -> tuple[dict, list[float], tuple]:
    """LoRA weights and losses after some steps of the node, run as the host's executor does, and
    the bundled models."""
    with torch.inference_mode():
        models = setup.module("nodes.loaders.load").LoadTiny.execute().args[:4]
        model, clip, vision, vae = models
        picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
        encode = setup.module("nodes.conditions.encode").Encode.execute
        full, *_ = encode(clip, vision, vae, picture, "Estimate depth.").args
        latents = {"samples": vae.encode(picture.flip(1))}
        torch.manual_seed(0)  # the node draws first weights without its seed
        found = run_node(SETTINGS | changes, model=model, latents=latents, positive=full)
    lora, losses, steps = found
    assert steps == STEPS
    assert len(losses["loss"]) == STEPS, losses
    return lora, losses["loss"], models


def run_node(settings: dict, **inputs) -> tuple:
    """LoRA, losses and steps of the node, in the form that each host has it."""
    node = comfy_extras.nodes_train.TrainLoraNode
    if not hasattr(node, "execute"):  # until 0.3.64
        known = inspect.signature(node.train).parameters
        return node().train(**{k: v for k, v in settings.items() if k in known}, **inputs)[-3:]
    known = inspect.signature(node.execute).parameters
    return node.execute(**{k: [v] for k, v in (settings | inputs).items() if k in known}).args[-3:]


def changed_layers(lora: dict) -> tuple[set[str], set[str]]:
    """Layers whose weight is another one with this LoRA, and those that it leaves as they are."""
    weights = {name for name in lora if name.endswith((".lora_down.weight", ".diff"))}
    stems = {name: name.removesuffix(".lora_down.weight").removesuffix(".diff") for name in weights}
    moved = set()
    for name, layer in stems.items():
        if name.endswith(".diff"):
            moving = bool(lora[name].any())
        else:
            up = lora[f"{layer}.lora_up.weight"]
            moving = bool((up.flatten(1) @ lora[name].flatten(1)).any())
        moved |= {layer} if moving else set()
    return moved, set(stems.values()) - moved


def check_training_node_changes_every_layer(setup):
    """The scores of image tokens as well, which choose and so have no gradient of their own."""
    lora, losses, models = trained(setup)
    moved, still = changed_layers(lora)
    assert len(moved) > 100
    assert not still, sorted(still)
    model = models[0]
    (with_it, _) = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0)
    with torch.inference_mode():
        distance = apart(by_all_models(setup, with_it, *models[1:]), by_all_models(setup, *models))
    assert distance > 1e-4, distance
    return len(moved), losses, distance


@where_it_is
def check_training_node_takes_a_dynamic_model(setup):
    """There the host hands small layers over as they are, and so trains all others."""
    _, losses, _ = trained(setup)
    with DynamicCard():
        lora, others, models = trained(setup)
        assert models[0].is_dynamic()
        moved, still = changed_layers(lora)
        sizes = {name: module_size(models[0].model.get_submodule(name)) for name in moved | still}
    assert others[0] == losses[0], (others, losses)
    streamed = {name for name, size in sizes.items() if size > SMALL}
    assert moved == streamed, moved ^ streamed
    assert len(moved) > 50, len(moved)
    return losses, others, len(moved), len(still)
