"""What a person meets in the shipped templates and blueprints, as measures: size, few nodes, files
to download, thumbnails, search words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from pixwizard_core.weights.published import PARTS
from tests.fakes.host import REPO
from tests.support import blueprint, thumbnails, workflow

TEMPLATES = workflow.every()
SHORT_WAY = [path for path in TEMPLATES if workflow.number(path) < 20]
BLUEPRINTS = sorted((REPO / "subgraphs").glob("*.json"))
TITLE = 30  # px of the page above a node's place
READABLE = 0.6  # zoom below which the classic canvas leaves words out
SIDEBAR, MENU = 60, 110  # px of the page
SCREEN = (1366, 768)
STOCK = {"CheckpointLoaderSimple": "checkpoints", "ControlNetLoader": "controlnet"}
FITTING = ("FitToCanvas", "PrepareInpaint", "PrepareOutpaint")
FAMILIES = {"Perceive", "Ground", "Edit", "Inpaint", "Restore", "Generate"}
HAN, KANA = r"[\u4e00-\u9fff]", r"[\u3040-\u30ff]"


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=[path.stem for path in paths])


def working(graph: dict) -> list[dict]:
    return [node for node in graph["nodes"] if node["type"] != "MarkdownNote"]


def extent(graph: dict) -> tuple[float, float]:
    """Width and height of all that is drawn, in px."""
    boxes = [[*node["pos"], *node["size"]] for node in graph["nodes"]]
    left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
    right, bottom = (max(box[axis] + box[axis + 2] for box in boxes) for axis in (0, 1))
    return right - left, bottom - top + TITLE


@pytest.mark.parametrize("number", [1, 2])
def test_first_templates_fit_a_small_screen(number):
    (path,) = [path for path in TEMPLATES if workflow.number(path) == number]
    graph = workflow.load(path)
    width, height = extent(graph)
    assert len(working(graph)) == 3
    assert width <= 1100
    assert height <= 730
    assert graph["extra"]["ds"]["scale"] >= 0.85


@named(SHORT_WAY)
def test_short_way_has_few_nodes(path):
    others = sum(node["type"] in STOCK for node in workflow.load(path)["nodes"])
    assert len(working(workflow.load(path))) <= (14 if others else 6)


@named(TEMPLATES)
def test_template_opens_at_a_zoom_that_can_be_read(path):
    view = workflow.load(path)["extra"]["ds"]
    assert READABLE <= view["scale"] <= 1
    left, top = (view["scale"] * offset for offset in view["offset"])
    assert left >= SIDEBAR
    assert MENU - TITLE <= top <= SCREEN[1] / 2


@named([path for path in SHORT_WAY if not workflow.others_models(workflow.load(path))])
def test_short_way_is_seen_whole_on_a_small_screen(path):
    graph = workflow.load(path)
    width, _ = extent(graph)
    assert graph["extra"]["ds"]["scale"] * width <= SCREEN[0] - SIDEBAR


@named(TEMPLATES)
def test_stock_loaders_say_where_their_file_is(path):
    """The page offers to download a missing file if the name in the list, its address and its
    folder are there. It takes no other addresses than those of two sites."""
    for node in workflow.load(path)["nodes"]:
        if node["type"] in STOCK:
            (file,) = node["properties"]["models"]
            assert [file["name"]] == node["widgets_values"]
            assert file["name"].endswith(".safetensors")
            assert file["url"].startswith("https://huggingface.co/")
            assert file["url"].endswith(f"/{file['name']}")
            assert file["directory"] == STOCK[node["type"]]


@named(workflow.shipped(True))
def test_released_files_are_linked_in_the_note(path):
    note = workflow.load(path)["nodes"][0]["widgets_values"][0]
    linked = set(re.findall(r"\]\((https://[^)]+)\)", note))
    assert linked == {part.page for part in PARTS.values()}
    assert "Load PixWizard" in note


@named([path for path in TEMPLATES if workflow.number(path) >= 20])
def test_long_way_takes_its_size_from_the_model(path):
    """auto without a model takes the sizes of the released one."""
    for node in workflow.load(path)["nodes"]:
        if node["type"].removeprefix("PixWizard_") in FITTING:
            assert node["widgets_values"][-1] == "auto"
            (model,) = [slot for slot in node["inputs"] if slot["name"] == "model"]
            assert model["link"] is not None


def test_app_shows_inputs_and_outputs_that_are_there():
    graph = workflow.load(workflow.titled("App for every task"))
    extra, nodes = graph["extra"], graph["nodes"]
    kinds = {node["id"]: node["type"] for node in nodes}
    assert extra["linearMode"] is True
    shown = [(kinds[number], name) for number, name in extra["linearData"]["inputs"]]
    asked = [(workflow.SHORT, name) for name in ("task", "words", "seed")]
    assert shown == [("LoadImage", "image"), *asked]
    assert [kinds[number] for number in extra["linearData"]["outputs"]] == ["SaveImage"]


@named(TEMPLATES)
def test_thumbnail_shows_before_and_after(path):
    """Two pictures of their own, one above the other, in a file that loads at once."""
    picture = path.with_suffix(".jpg")
    assert picture.stat().st_size < thumbnails.LARGEST
    with Image.open(picture) as shown:
        assert shown.width == thumbnails.WIDTH
        assert thumbnails.WIDTH * 0.9 <= shown.height <= thumbnails.WIDTH * 1.5
        pixels = np.asarray(shown.convert("RGB"), dtype=float)
    above, below = pixels[: thumbnails.WIDTH // 3], pixels[-thumbnails.WIDTH // 3 :]
    assert above.std() > 8
    assert below.std() > 8
    assert np.abs(above - below[: len(above)]).mean() > 5


@named(BLUEPRINTS)
def test_blueprint_is_described_and_found(path):
    saved = workflow.load(path)
    inside, extra = blueprint.definition(saved), saved["extra"]
    assert inside["category"] == "PixWizard"
    assert extra["BlueprintDescription"] == inside["description"]
    assert "demo model" in inside["description"]
    words = " ".join(extra["BlueprintSearchAliases"])
    assert re.search("[a-z]", words)
    assert re.search(HAN, words)
    assert re.search(KANA, words)


def test_blueprints_are_there_for_every_family(extension):
    tasks = extension("pixwizard_core.tasks")
    found = set()
    for path in BLUEPRINTS:
        for node in blueprint.definition(workflow.load(path))["nodes"]:
            if node["type"] == workflow.SHORT:
                found.add(tasks.find_task(node["widgets_values"][0]).family)
    assert found >= FAMILIES


@named(BLUEPRINTS)
def test_blueprint_shows_its_model_and_its_fields(path):
    saved = workflow.load(path)
    inside, (outside,) = blueprint.definition(saved), saved["nodes"]
    shown = [slot["name"] for slot in outside["inputs"]]
    assert shown == [slot["name"] for slot in inside["inputs"]]
    assert blueprint.WHOLE in shown
    fields = [slot["name"] for slot in outside["inputs"] if "widget" in slot]
    assert fields == list(blueprint.promoted(saved))
    assert "seed" in fields
