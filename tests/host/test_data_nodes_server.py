"""A live server runs the nodes that read, lay, save and compare, wired to stock nodes, and keeps
their numbers in /history."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

SIZE = {"width": 161, "height": 97}


class Graph:
    """An API prompt written down step by step, over a server's own defaults."""

    def __init__(self, info: dict) -> None:
        self.info, self.prompt = info, {}

    def add(self, kind: str, /, **inputs) -> str:
        kind = kind if kind in self.info else f"PixWizard_{kind}"
        listed = self.info[kind]["input"].get("required", {})
        defaults = {
            name: spec[1]["default"]
            for name, spec in listed.items()
            if len(spec) > 1 and "default" in spec[1]
        }
        number = str(len(self.prompt) + 1)
        self.prompt[number] = {"class_type": kind, "inputs": {**defaults, **inputs}}
        return number


@pytest.fixture(scope="module")
def info(server):
    return server.json("/object_info")


@pytest.fixture
def graph(info):
    return Graph(info)


def run(server, graph) -> dict:
    result = server.run(graph.prompt)
    assert result["error"] is None, result["error"]
    return result["outputs"]


def shown(server, entry: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(server.image(entry))))


def a_mask(graph) -> list:
    """A rectangle of 40 x 30 px at 60, 20."""
    empty = graph.add("SolidMask", value=0.0, **SIZE)
    full = graph.add("SolidMask", value=1.0, width=40, height=30)
    joined = graph.add(
        "MaskComposite", destination=[empty, 0], source=[full, 0], x=60, y=20, operation="add"
    )
    return [joined, 0]


@pytest.mark.parametrize("crop", [False, True])
def test_inpaint_changes_the_masked_part_only(server, graph, crop):
    scene = graph.add("DemoScene", seed=3, width=176, height=112)
    picture = [graph.add("ImageCrop", image=[scene, 0], x=3, y=5, **SIZE), 0]
    before = graph.add(
        "PrepareInpaint", image=picture, mask=a_mask(graph), grow=0, centre=128, crop=crop
    )
    inverted = graph.add("ImageInvert", image=[before, 0])
    after = graph.add(
        "Composite",
        source=picture, result=[inverted, 0], mask=[before, 3], canvas=[before, 2], feather=0.0,
    )  # fmt: skip
    sources = graph.add("PreviewImage", images=picture)
    results = graph.add("PreviewImage", images=[after, 0])
    scores = graph.add("Compare", kind="picture", prediction=[after, 0], truth=picture)
    outputs = run(server, graph)
    source, result = (shown(server, outputs[n]["images"][0]) for n in (sources, results))
    assert result.shape == (97, 161, 3)
    changed = (source != result).any(-1)
    inside = np.zeros_like(changed)
    inside[20:50, 60:100] = True
    assert not changed[~inside].any()
    assert bool((result[25:45, 65:95] > 250).all())  # the hole was black and is now inverted
    assert 5 < outputs[scores]["pixwizard_scores"][0]["psnr_db"] < 40


ODD_SIZES = [(1, 1), (17, 4001), (4000, 17), (513, 769)]


@pytest.mark.parametrize(("width", "height"), ODD_SIZES)
def test_odd_pictures_keep_their_size_and_every_bit_outside_the_mask(server, graph, width, height):
    """A file in, painted over on the canvas, and the saved file compared with it byte by byte."""
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    name = f"odd_{width}x{height}.png"
    Image.fromarray(pixels).save(server.base / "input" / name)
    photo = [graph.add("LoadImage", image=name), 0]
    wide, high = max(1, width // 3), max(1, height // 2)
    empty = graph.add("SolidMask", value=0.0, width=width, height=height)
    full = graph.add("SolidMask", value=1.0, width=wide, height=high)
    mask = [
        graph.add(
            "MaskComposite", destination=[empty, 0], source=[full, 0], x=0, y=0, operation="add"
        ),
        0,
    ]
    whole = graph.add("FitToCanvas", image=photo, centre=128)
    crop = graph.add("PrepareInpaint", image=photo, mask=mask, grow=0, centre=128, crop=True)
    saved = {}
    for way, (number, place) in {"whole": (whole, 2), "crop": (crop, 2)}.items():
        painted = graph.add("ImageInvert", image=[number, 0])
        after = graph.add(
            "Composite",
            source=photo, result=[painted, 0], mask=mask, canvas=[number, place], feather=2.0,
        )  # fmt: skip
        saved[way] = graph.add("SaveImage", images=[after, 0], filename_prefix=f"odd/{way}")
    outputs = run(server, graph)
    outside = np.ones((height, width), dtype=bool)
    outside[:high, :wide] = False
    for way, number in saved.items():
        found = shown(server, outputs[number]["images"][0])
        assert found.shape == pixels.shape, way
        assert np.array_equal(found[outside], pixels[outside]), way
        assert (found[~outside] != pixels[~outside]).any(), way


def test_outpaint_and_blank_canvas_give_the_size_asked_for(server, graph):
    scene = graph.add("DemoScene", seed=3, width=176, height=112)
    picture = [graph.add("ImageCrop", image=[scene, 0], x=3, y=5, **SIZE), 0]
    before = graph.add("PrepareOutpaint", image=picture, right=20, aspect="2:1", centre=128)
    after = graph.add(
        "Composite",
        source=[before, 3], result=[before, 0], mask=[before, 4], canvas=[before, 2],
    )  # fmt: skip
    blank = graph.add("BlankCanvas", width=301, height=203)
    back = graph.add("RestoreFromCanvas", canvas=[blank, 1], image=[blank, 0])
    views = [graph.add("PreviewImage", images=link) for link in (picture, [after, 0], [back, 0])]
    outputs = run(server, graph)
    given, wide, white = (shown(server, outputs[view]["images"][0]) for view in views)
    assert wide.shape == (97, 194, 3)
    assert np.array_equal(wide[:, 6:167], given)  # 13 px more than the 20, shared by both sides
    assert white.shape == (203, 301, 3)


def test_boxes_of_a_picture_without_outlines_are_in_the_history(server, graph):
    scene = graph.add("DemoScene", seed=3, **SIZE | {"width": 160, "height": 96})
    boxes = graph.add("DecodeBoxes", image=[scene, 0], source=[scene, 0], label="ball")
    (entry,) = run(server, graph)[boxes]["pixwizard_boxes"]
    assert entry == {
        "schema_version": 1, "width": 160, "height": 96, "bboxes": [], "labels": [], "scores": []
    }  # fmt: skip


def test_drawn_outline_is_found_and_scored(server, graph):
    """The outline is made of stock nodes: a red rectangle with a dark one inside."""
    dark = graph.add("EmptyImage", color=0x202020, **SIZE)
    red = graph.add("EmptyImage", color=0xFF0000, width=60, height=50)
    inner = graph.add("EmptyImage", color=0x202020, width=54, height=44)
    once = graph.add(
        "ImageCompositeMasked",
        destination=[dark, 0], source=[red, 0], x=20, y=30, resize_source=False,
    )  # fmt: skip
    twice = graph.add(
        "ImageCompositeMasked",
        destination=[once, 0], source=[inner, 0], x=23, y=33, resize_source=False,
    )  # fmt: skip
    boxes = graph.add("DecodeBoxes", image=[twice, 0], source=[dark, 0])
    truth = graph.add("PrimitiveString", value="[[20, 30, 80, 70]]")
    scores = graph.add("Compare", kind="boxes", prediction_boxes=[boxes, 1], truth_boxes=[truth, 0])
    outputs = run(server, graph)
    assert outputs[boxes]["pixwizard_boxes"][0]["bboxes"] == [[20, 30, 80, 80]]
    assert json.loads(outputs[boxes]["text"][0]) == outputs[boxes]["pixwizard_boxes"]
    assert outputs[scores]["pixwizard_scores"][0]["box_iou"] == pytest.approx(0.8)


def test_depth_is_merged_scored_and_saved(server, graph):
    scene = graph.add("DemoScene", seed=3, width=160, height=96)
    inverted = graph.add("ImageInvert", image=[scene, 3])
    again = graph.add("ImageInvert", image=[inverted, 0])
    runs = graph.add("ImageBatch", image1=[scene, 3], image2=[again, 0])
    merged = graph.add("MergeDepths", depths=[runs, 0])
    metres = graph.add("DepthToMetres", depth=[merged, 0])
    view = graph.add("PreviewImage", images=[metres, 0])
    files = {
        kind: graph.add("SaveDepth", depth=[merged, 0], filename_prefix="d/x", format=kind)
        for kind in ("png", "exr", "npy")
    }
    scores = graph.add("Compare", kind="depth", prediction=[merged, 0], truth=[scene, 3])
    normals = graph.add("DecodeNormals", image=[scene, 0])
    edges = graph.add("DecodeEdges", image=[scene, 0], thin=True)
    angle = graph.add("Compare", kind="normals", prediction=[normals, 0], truth=[scene, 0])
    lines = graph.add("MaskToImage", mask=[edges, 1])
    seen = graph.add("PreviewImage", images=[lines, 0])
    outputs = run(server, graph)
    assert view in outputs
    assert shown(server, outputs[seen]["images"][0]).shape == (96, 160, 3)
    assert outputs[scores]["pixwizard_scores"][0]["rmse_m"] < 0.01
    assert outputs[angle]["pixwizard_scores"][0]["mean_angle_deg"] < 1e-3
    entries = {kind: outputs[number]["pixwizard_files"][0] for kind, number in files.items()}
    grey = shown(server, entries["png"])
    assert grey.dtype == np.uint16
    grey = grey.astype(np.float64)
    metres = np.load(io.BytesIO(server.image(entries["npy"])))
    assert np.abs(metres - (10 - 10 * grey / 65535)).max() < 1e-3
    assert server.image(entries["exr"])[:4] == b"\x76\x2f\x31\x01"
    text = Image.open(io.BytesIO(server.image(entries["png"]))).text
    assert text["white_is"] == "near"
    assert json.loads(text["prompt"])


def test_highlight_and_labels(server, graph):
    scene = graph.add("DemoScene", seed=3, width=160, height=96)
    tint = graph.add("EmptyImage", color=0xFF0000, width=160, height=96)
    mixed = graph.add(
        "ImageBlend", image1=[scene, 0], image2=[tint, 0], blend_factor=0.5, blend_mode="normal"
    )
    tinted = graph.add(
        "ImageCompositeMasked",
        destination=[scene, 0], source=[mixed, 0], x=0, y=0, resize_source=False, mask=[scene, 4],
    )  # fmt: skip
    found = graph.add("DecodeHighlight", image=[tinted, 0], source=[scene, 0])
    scores = graph.add("Compare", kind="mask", prediction_mask=[found, 0], truth_mask=[scene, 4])
    saved = graph.add("SaveLabels", image=[scene, 0])
    outputs = run(server, graph)
    assert outputs[scores]["pixwizard_scores"][0]["ciou"] > 0.9
    png, legend = (server.image(entry) for entry in outputs[saved]["pixwizard_files"])
    assert Image.open(io.BytesIO(png)).mode == "P"
    assert json.loads(legend)["palette"] == "ADE20K (150 classes)"


def test_saving_outside_the_output_folder_is_refused(server, graph):
    scene = graph.add("DemoScene", seed=3, width=32, height=32)
    graph.add("SaveDepth", depth=[scene, 3], filename_prefix="../../x")
    error = server.run(graph.prompt)["error"]
    assert error["node_type"] == "PixWizard_SaveDepth"
    assert "output folder" in error["exception_message"]
