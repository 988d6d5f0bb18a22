"""On a live server: Model Options and Load LoRA between a loader and the Sample node."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

import torch
from PIL import Image

from pixwizard_core.config import TINY
from pixwizard_core.model import PixWizard
from pixwizard_core.weights.lora import LoraSettings, add_lora, lora_layers, save_lora
from tests.support import workflow

OPTIONS = {
    "proportional_attention": True, "extrapolation": "auto", "rope_factor": 1.0, "watershed": 0.3,
    "token_selection": "topk", "token_seed": 0, "kept_tokens": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def prompt(server) -> dict:
    """The shipped depth workflow, in few steps."""
    path = workflow.titled("Depth step by step")
    made = workflow.to_prompt(workflow.load(path), server.json("/object_info"))
    made[number_of(made, "Sample")]["inputs"].update(steps=4, text_guidance=2.0)
    return made


@pytest.fixture(scope="module")
def lora(server) -> str:
    """A LoRA of the core in the server's models folder; its name."""
    model = PixWizard(TINY)
    add_lora(model, LoraSettings(rank=4))
    generator = torch.Generator().manual_seed(3)
    for layer in lora_layers(model).values():
        layer.up.weight.data = torch.randn(layer.up.weight.shape, generator=generator) * 0.05
    folder = server.base / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    save_lora(model, folder / "made.safetensors")
    return "made.safetensors"


def number_of(prompt: dict, kind: str) -> str:
    (number,) = [key for key, node in prompt.items() if node["class_type"] == f"PixWizard_{kind}"]
    return number


def through(prompt: dict, kind: str, inputs: dict) -> dict:
    """The prompt with one more node on the model's way to the Sample node."""
    changed = copy.deepcopy(prompt)
    sample = changed[number_of(changed, "Sample")]["inputs"]
    changed["more"] = {"class_type": kind, "inputs": {"model": sample["model"], **inputs}}
    sample["model"] = ["more", 0]
    return changed


def options(prompt: dict, **inputs) -> dict:
    return through(prompt, "PixWizard_ModelOptions", {**OPTIONS, **inputs})


def picture(server, prompt: dict) -> np.ndarray:
    """What the model painted, decoded."""
    decode = number_of(prompt, "DecodeDepth")
    shown = copy.deepcopy(prompt)
    source = shown[decode]["inputs"]["image"]
    shown["see"] = {"class_type": "PreviewImage", "inputs": {"images": source}}
    result = server.run(shown)
    assert result["error"] is None, result["error"]
    data = server.image(result["outputs"]["see"]["images"][0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_default_options_change_no_pixel(server, prompt):
    assert np.array_equal(picture(server, prompt), picture(server, options(prompt)))


def test_drawn_tokens_follow_their_seed(server, prompt):
    first, other, best = (
        picture(server, options(prompt, **inputs))
        for inputs in (
            {"token_selection": "gumbel", "token_seed": 5},
            {"token_selection": "gumbel", "token_seed": 6},
            {"token_selection": "topk", "token_seed": 5},
        )
    )
    again = options(prompt, token_selection="gumbel", token_seed=5, rope_factor=1.5)  # not cached
    assert np.array_equal(first, picture(server, again))
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, best)


@pytest.mark.parametrize("folder", ["loras/", ""], ids=["own spelling", "spelling of others"])
def test_lora_acts_the_same_in_both_loaders(server, prompt, lora, folder):
    ours = through(
        prompt,
        "PixWizard_LoadLora",
        {"lora_name": f"{folder}{lora}", "strength": 0.8, "allow_unmatched": False},
    )
    stock = through(prompt, "LoraLoaderModelOnly", {"lora_name": lora, "strength_model": 0.8})
    ours, stock, plain = (picture(server, made) for made in (ours, stock, prompt))
    assert np.array_equal(ours, stock)
    assert not np.array_equal(ours, plain)


def test_missing_lora_is_named(server, prompt):
    asked = {"lora_name": "loras/gone.safetensors", "strength": 1.0, "allow_unmatched": False}
    error = server.run(through(prompt, "PixWizard_LoadLora", asked))["error"]
    assert "'gone.safetensors' is not in the model folders. Searched:" in str(error)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("RescaleCFG", {"multiplier": 0.7}),
        ("ModelSamplingSD3", {"shift": 6.0}),
        ("APG", {"eta": 1.0, "norm_threshold": 5.0, "momentum": 0.0}),
        ("TCFG", {}),
    ],
)
def test_patches_of_other_nodes_act_in_sample(server, prompt, kind, inputs):
    patched = picture(server, through(prompt, kind, inputs))
    assert not np.array_equal(patched, picture(server, prompt))


def test_a_latent_of_another_shape_is_refused(server, prompt):
    changed = copy.deepcopy(prompt)
    inputs = {"width": 256, "height": 128, "batch_size": 1}
    changed["empty"] = {"class_type": "EmptyLatentImage", "inputs": inputs}
    changed[number_of(changed, "Sample")]["inputs"]["latent"] = ["empty", 0]
    error = str(server.run(changed)["error"])
    assert "px, but 256 x 128 px are being sampled" in error
    assert "use the latent and the conditionings of one Encode" in error
