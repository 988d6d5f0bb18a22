"""Templates and blueprints: offered by the server, fit to its nodes, and sound as graphs.

Workflows for the released model cannot be run as they are: its files are on no test machine. Their
wiring is run with the bundled model in place of those files, which says nothing of their pictures.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.parse

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

from tests.support import blueprint, workflow
from tests.support.hosts import EXTENSION_NAME, REPO
from tests.support.own_files import with_own_files
from tests.support.workflow import saved_size, small, small_and_ours

TEMPLATES = workflow.every()
WITH_FILES = workflow.shipped(with_files=True)
BLUEPRINTS = sorted((REPO / "subgraphs").glob("*.json"))
NOTES = "pixwizard_notes"  # what a node says, kept by the node that it expands into
TAUGHT_SIZE = (128, 128)  # what the bundled model makes without a picture


def names(paths):
    return [path.stem for path in paths]


@pytest.fixture(scope="module")
def info(server):
    return server.json("/object_info")


def on_bundled_model(prompt: dict) -> dict:
    """The prompt with the bundled model, small; without what other people's models paint."""
    return workflow.on_bundled_model(small_and_ours(prompt))


def test_server_offers_the_workflows_as_templates(server):
    listed = server.json("/workflow_templates").get(EXTENSION_NAME, [])
    assert set(names(TEMPLATES)) == set(listed)
    for path in TEMPLATES[:1]:
        place = f"/api/workflow_templates/{EXTENSION_NAME}/{urllib.parse.quote(path.stem)}"
        assert server.json(f"{place}.json") == workflow.load(path)
        assert server.get(f"{place}.jpg") == path.with_suffix(".jpg").read_bytes()


def test_unknown_template_is_not_found(server):
    with pytest.raises(urllib.error.HTTPError):
        server.get(f"/api/workflow_templates/{EXTENSION_NAME}/no_such_template.json")


@pytest.mark.parametrize("path", TEMPLATES, ids=names(TEMPLATES))
def test_template_fits_the_nodes_of_the_server(info, path):
    prompt = workflow.to_prompt(workflow.load(path), info)
    assert any(info[node["class_type"]]["output_node"] for node in prompt.values())


@pytest.mark.parametrize("path", WITH_FILES, ids=names(WITH_FILES))
def test_wiring_runs_with_the_bundled_model_in_place(server, info, path):
    prompt = on_bundled_model(workflow.to_prompt(workflow.load(path), info))
    prompt = with_own_files(prompt, server.base)
    result = server.run(prompt)
    assert result["error"] is None, result["error"]
    source = Image.open(server.base / "input" / "example.png").size
    for key, node in prompt.items():
        if node["class_type"] == "SaveImage":
            (entry,) = result["outputs"][key]["images"]
            size = Image.open(io.BytesIO(server.image(entry))).size
            assert size == saved_size(workflow.title(path), source)


def test_nothing_painted_over_means_nothing_changed(server, info):
    """The example picture has no mask: whatever the model answers, it is saved as it was."""
    path = workflow.titled("Inpaint a hole")
    prompt = on_bundled_model(workflow.to_prompt(workflow.load(path), info))
    (key,) = [key for key, node in prompt.items() if node["class_type"] == "SaveImage"]
    (entry,) = server.run(prompt)["outputs"][key]["images"]
    saved = Image.open(io.BytesIO(server.image(entry))).convert("RGB")
    photo = Image.open(server.base / "input" / "example.png").convert("RGB")
    assert saved.tobytes() == photo.tobytes()


def pictures_of(server, result: dict, key: str) -> list[np.ndarray]:
    """What a node saved or showed, each (H, W, 3 or 4) in 0..255."""
    entries = result["outputs"][key]["images"]
    return [np.asarray(Image.open(io.BytesIO(server.image(one)))).astype(float) for one in entries]


def scene_shown(prompt: dict) -> dict:
    """The prompt with a preview of its room, "room"."""
    (scene,) = [k for k, n in prompt.items() if n["class_type"] == "PixWizard_DemoScene"]
    return {**prompt, "room": {"class_type": "PreviewImage", "inputs": {"images": [scene, 0]}}}


def test_layers_are_saved_with_transparency_and_stack_to_the_room(server, info):
    prompt = workflow.to_prompt(workflow.load(workflow.titled("Cut out things as layers")), info)
    (cut,) = [key for key, node in prompt.items() if node["class_type"] == "PixWizard_CutOut"]
    result = server.run(scene_shown(prompt))
    assert result["error"] is None, result["error"]
    saves = {
        node["inputs"]["images"][1]: pictures_of(server, result, key)
        for key, node in prompt.items()
        if node["class_type"] == "SaveImage"
    }
    layers, (below,), (room,) = saves[0], saves[2], pictures_of(server, result, "room")
    assert len(layers) == len(prompt[cut]["inputs"]["names"].split(","))
    notes = [one[NOTES] for one in result["outputs"].values() if NOTES in one]
    assert notes == [[]]
    below, rim = below[..., :3], np.zeros(room.shape[:2], bool)
    for layer in layers[::-1]:
        alpha = layer[..., 3:] / 255
        assert 0.01 < alpha.mean() < 0.3
        rim |= ((alpha > 0) & (alpha < 1))[..., 0]
        below = alpha * layer[..., :3] + (1 - alpha) * below
    assert rim.mean() < 0.1
    assert np.abs(below - room)[~rim].max() <= 1


def test_regions_make_two_changes_and_leave_the_rest(server, info):
    """The masks that the template finds, the room, and what it makes of it."""
    prompt = workflow.to_prompt(workflow.load(workflow.titled("Two changes at once")), info)
    found = [key for key, node in prompt.items() if node["class_type"] == workflow.SHORT]
    for key in found:
        prompt[f"grey {key}"] = {"class_type": "MaskToImage", "inputs": {"mask": [key, 1]}}
        prompt[f"mask {key}"] = {
            "class_type": "PreviewImage", "inputs": {"images": [f"grey {key}", 0]}
        }  # fmt: skip
    result = server.run(scene_shown(prompt))
    assert result["error"] is None, result["error"]
    (restored,) = [k for k, n in prompt.items() if n["class_type"] == "PixWizard_RestoreFromCanvas"]
    (shown,) = [k for k, n in prompt.items() if n["inputs"].get("images") == [restored, 0]]
    (room,), (after,) = (pictures_of(server, result, key) for key in ("room", shown))
    masks = [pictures_of(server, result, f"mask {key}")[0][..., 0] > 127 for key in found]
    change = np.abs(after[..., :3] - room[..., :3]).mean(-1)
    for mask in masks:
        assert 0.01 < mask.mean() < 0.3
        assert change[mask].mean() > 25
    assert change[~np.any(masks, 0)].mean() < 8


def offered(server) -> dict[str, dict] | None:
    """Blueprints of the extension by name; None from a host that has no such list."""
    try:
        listed = server.json("/global_subgraphs")
    except urllib.error.HTTPError:
        return None
    ours = {id: e for id, e in listed.items() if EXTENSION_NAME in e["info"]["node_pack"]}
    return {entry["name"]: server.json(f"/global_subgraphs/{id}") for id, entry in ours.items()}


def test_server_offers_the_blueprints(server):
    entries = offered(server)
    if entries is None:
        pytest.skip("this host has no blueprints")
    assert set(entries) == set(names(BLUEPRINTS))
    for path in BLUEPRINTS:
        assert entries[path.stem]["data"] == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", BLUEPRINTS, ids=names(BLUEPRINTS))
def test_blueprint_runs_on_a_scene(server, info, path):
    prompt = small(workflow.to_prompt(blueprint.on_a_scene(workflow.load(path)), info))
    result = server.run(prompt)
    assert result["error"] is None, result["error"]
    width, height = blueprint.SCENE_SIZE
    wanted = (round(height * 16 / 9), height) if "Outpaint" in path.stem else (width, height)
    wanted = TAUGHT_SIZE if "Text to Image" in path.stem else wanted
    pictures = [outputs for outputs in result["outputs"].values() if "images" in outputs]
    assert pictures
    for outputs in pictures:
        assert Image.open(io.BytesIO(server.image(outputs["images"][0]))).size == wanted
