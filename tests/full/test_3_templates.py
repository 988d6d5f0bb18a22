"""Every template of the released model in a host, as shipped, on a small canvas with one step.

A server of its own: on a CPU ComfyUI keeps the transformer of these templates in float32, and with
what another graph has loaded that can be more than the machine has."""

import io
import time

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

from tests.support import workflow

from .conftest import LORA

WITH_FILES = workflow.shipped(with_files=True)
SENTENCE = "Estimate the depth of the picture."


@pytest.mark.parametrize("path", WITH_FILES, ids=lambda path: path.stem)
def test_template_runs_as_shipped_with_the_parts_in_place(all_parts, server, path):
    info = server.json("/object_info")
    prompt = workflow.small_and_ours(workflow.to_prompt(workflow.load(path), info))
    for node in prompt.values():
        if node["class_type"] == "PixWizard_LoadLora":
            node["inputs"]["lora_name"] = f"loras/{LORA}"  # which says no words
        if node["inputs"].get("task") == "custom":
            node["inputs"]["words"] = SENTENCE
    begun = time.perf_counter()
    result = server.run(prompt)
    assert result["error"] is None, result["error"]
    all_parts.row(f"{path.stem}, 1 step at 128²", time.perf_counter() - begun, 0, 0, 0)
    source = Image.open(server.base / "input" / "example.png").size
    for key, node in prompt.items():
        if node["class_type"] == "SaveImage":
            (entry,) = result["outputs"][key]["images"]
            picture = Image.open(io.BytesIO(server.image(entry)))
            assert np.std(np.asarray(picture)) > 0
            assert picture.size == workflow.saved_size(workflow.title(path), source)
