"""On a live server: the loaders' auto, before and after the files are there."""

from __future__ import annotations

import copy
import shutil

import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE, VAE_FILE
from tests.support import workflow

PLACES = {
    "diffusion_models/pw.safetensors": "dit.safetensors",
    "text_encoders/gemma/model.safetensors": TEXT_FILE,
    "text_encoders/gemma/tokenizer.json": "tokenizer.json",
    "clip_vision/clip/model.safetensors": CLIP_FILE,
    "clip_vision/clip/tokenizer.json": "tokenizer.json",
    "vae/v.safetensors": VAE_FILE,
}
AUTO = {"model_name": "auto", "weight_dtype": "float32", "gemma": "auto", "clip_name": "auto",
        "vae_name": "vae/v.safetensors"}  # fmt: skip


@pytest.fixture(scope="module")
def prompt(server) -> dict:
    """The shipped long way to a depth with Load PixWizard in the place of Load Tiny."""
    path = workflow.titled("Depth step by step")
    made = workflow.to_prompt(workflow.load(path), server.json("/object_info"))
    (tiny,) = (node for node in made.values() if node["class_type"] == "PixWizard_LoadTiny")
    tiny.update(class_type="PixWizard_LoadPixWizard", inputs=dict(AUTO))
    return made


@pytest.fixture
def files(server):
    """The bundled model's files where people have the released ones'."""
    models, made = server.base / "models", []
    for place, name in PLACES.items():
        (models / place).parent.mkdir(parents=True, exist_ok=True)
        made.append(shutil.copy(BUNDLE / name, models / place))
    (models / "text_encoders/gemma/config.json").write_text("{}")
    yield models
    for place in made:
        place.unlink()


def number_of(prompt: dict) -> str:
    (number,) = [n for n, one in prompt.items() if one["class_type"] == "PixWizard_LoadPixWizard"]
    return number


def ran(server, prompt: dict) -> set[str]:
    """Nodes that ran, and were not taken from what the server had kept."""
    begun = []
    result = server.run(prompt, on_node=begun.append)
    assert result["error"] is None, result["error"]
    return set(begun)


def test_a_graph_without_its_files_is_refused_with_the_checklist(server, prompt):
    asked = copy.deepcopy(prompt)
    asked[number_of(prompt)]["inputs"]["vae_name"] = "auto"
    error = server.run(asked)["error"]
    told = str(error)
    for words in ("✗ PixWizard transformer: consolidated_ema.00-of-01.pth (8.05 GB)",
                  "✗ Gemma 2B", "✗ CLIP-L/14", "✗ SDXL VAE", "-m pixwizard_core get --comfyui"):
        assert words in told, told


def test_auto_runs_a_graph_and_sees_new_files(server, prompt, files):
    loader = number_of(prompt)
    assert loader in ran(server, prompt)
    assert loader not in ran(server, prompt)  # kept, since nothing changed
    (files / "diffusion_models/pw.safetensors").rename(files / "diffusion_models/a.safetensors")
    shutil.copy(BUNDLE / "dit.safetensors", files / "diffusion_models/pw.safetensors")
    try:
        assert loader in ran(server, prompt)
        assert loader not in ran(server, prompt)
    finally:
        (files / "diffusion_models/a.safetensors").unlink()
