"""A live server runs every workflow of the bundled model, and the stock ways to sample give the
same pictures."""

from __future__ import annotations

import copy
import io
import json

import numpy as np
import pytest

pytest.importorskip("websocket", reason="websocket-client is not installed")

from PIL import Image

from tests.support import workflow
from tests.support.hosts import REPO
from tests.support.own_files import FILM_SIZE, FRAMES, with_own_files

FROZEN = {
    name: sockets
    for path in sorted((REPO / "tests" / "nodes").glob("frozen_*.json"))
    for name, sockets in json.loads(path.read_text(encoding="utf-8")).items()
}
WORKFLOWS = workflow.shipped(with_files=False)
SHORT = [path for path in WORKFLOWS if workflow.number(path) < 20]
ANSWERED = [path for path in SHORT if workflow.has_node(workflow.load(path), workflow.SHORT)]
SCENE_SIZE = (160, 128)  # width and height that the shipped workflows render their scene at
OUTPAINTED = (192, 128)  # the scene widened to 3:2


@pytest.fixture(scope="module")
def info(server):
    return server.json("/object_info")


@pytest.fixture(scope="module")
def prompts(server, info):
    """Every workflow of the bundled model as an API prompt, by title."""
    return {
        workflow.title(path): with_own_files(
            workflow.to_prompt(workflow.load(path), info), server.base
        )
        for path in WORKFLOWS
    }


@pytest.fixture(scope="module")
def results(server, prompts):
    """What each of them gave, run once."""
    return {name: server.run(prompt) for name, prompt in prompts.items()}


def node_of(prompt: dict, kind: str) -> str:
    """Number of the only node of a kind."""
    (number,) = [key for key, node in prompt.items() if node["class_type"] == f"PixWizard_{kind}"]
    return number


def shown(server, result: dict, number: str) -> np.ndarray:
    """First picture that a preview node showed, (height, width, 3) 0..255."""
    assert result["error"] is None, result["error"]
    data = server.image(result["outputs"][number]["images"][0])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def preview_of(prompt: dict, source: str, slot: int) -> str:
    """Number of the preview node that shows this output."""
    (number,) = [
        key
        for key, node in prompt.items()
        if node["class_type"] == "PreviewImage" and node["inputs"]["images"] == [source, slot]
    ]
    return number


def with_preview(prompt: dict, source: str, slot: int, mask: bool = False) -> dict:
    """The prompt with one more preview, number "see"."""
    changed = copy.deepcopy(prompt)
    if mask:
        changed["grey"] = {"class_type": "MaskToImage", "inputs": {"mask": [source, slot]}}
        source, slot = "grey", 0
    changed["see"] = {"class_type": "PreviewImage", "inputs": {"images": [source, slot]}}
    return changed


def test_object_info_is_as_saved_workflows_know_it(info):
    """The server's own list against the frozen one: ids, order of inputs, types and outputs."""
    for name, known in FROZEN.items():
        node = info[f"PixWizard_{name}"]
        order = [
            (group, one)
            for group in ("required", "optional")
            for one in node["input_order"].get(group, [])
        ]
        found = [[one, kind_of(node["input"][group][one])] for group, one in order]
        assert found[: len(known["inputs"])] == known["inputs"], name
        kinds = [kind for _, kind in known["outputs"]]
        assert node["output"][: len(kinds)] == kinds, name


def kind_of(spec: list) -> str:
    """The type of an input of /object_info; older servers list a combo's options in its place."""
    return "COMBO" if isinstance(spec[0], list) else spec[0]


def test_server_offers_every_node(info):
    ours = {name for name in info if name.startswith("PixWizard_")}
    assert len(ours) >= 14
    assert all(info[name]["category"].split("/")[0] == "PixWizard" for name in ours)


@pytest.mark.parametrize("name", [workflow.title(path) for path in WORKFLOWS if path not in SHORT])
def test_long_way_runs(server, prompts, results, name):
    result = results[name]
    assert result["error"] is None, result["error"]
    kinds = [node["class_type"] for node in prompts[name].values()]
    wanted = photo_size(server) if "LoadImage" in kinds else SCENE_SIZE
    previews = [key for key, node in prompts[name].items() if node["class_type"] == "PreviewImage"]
    assert len(previews) >= 2
    for number in previews:
        height, width, _ = shown(server, result, number).shape
        source = prompts[name][prompts[name][number]["inputs"]["images"][0]]["class_type"]
        if source in ("PixWizard_PrepareInpaint", "PixWizard_PrepareOutpaint"):
            assert width % 16 == height % 16 == 0  # what the model sees
        elif source == "PixWizard_Composite" and name == "Outpaint step by step":
            assert (width, height) == OUTPAINTED
        else:
            assert (width, height) == wanted, f"preview {number}"


@pytest.mark.parametrize("name", [workflow.title(path) for path in ANSWERED])
def test_short_way_gives_a_picture_of_the_size_of_its_source(server, prompts, results, name):
    """The template shows or saves it; its PixWizard node shows it as well."""
    prompt, result = prompts[name], results[name]
    assert result["error"] is None, result["error"]
    kept = [k for k, n in prompt.items() if n["class_type"] in ("SaveImage", "MaskPreview")]
    for number in kept:
        height, width, _ = shown(server, result, number).shape
        assert (width, height) == photo_size(server)
    (run,) = [out["pixwizard_run"] for out in result["outputs"].values() if "pixwizard_run" in out]
    assert run[0]["model"]["demo"] is True
    assert kept or name in ("Try it on a rendered room", "Depth of a video")


def test_room_of_the_short_way_is_near_its_truth(prompts, results):
    assert scores_of(prompts, results, "Try it on a rendered room")["delta_1"] > 0.8


def test_video_of_depth_has_the_frames_of_its_source(server, results):
    av = pytest.importorskip("av")
    outputs = results["Depth of a video"]["outputs"].values()
    (entry,) = [out["images"][0] for out in outputs if "images" in out]
    with av.open(io.BytesIO(server.image(entry))) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == FRAMES
    assert {frame.shape[1::-1] for frame in frames} == {FILM_SIZE}
    assert max(int(np.ptp(frame, axis=-1).max()) for frame in frames) < 40, "depth is grey"


def photo_size(server) -> tuple[int, int]:
    return Image.open(server.base / "input" / "example.png").size


def scores_of(prompts: dict, results: dict, name: str) -> dict:
    """What the Compare node of a workflow left in /history."""
    assert results[name]["error"] is None, results[name]["error"]
    number = node_of(prompts[name], "Compare")
    return results[name]["outputs"][number]["pixwizard_scores"][0]


@pytest.mark.parametrize("what", ["Remove", "Replace", "Add", "Inpaint"])
def test_pixels_outside_the_mask_stay_as_they_were(server, prompts, what):
    """The scene, the result and the mask that was composited, as the server's own PNGs."""
    prompt = prompts[f"{what} step by step"]
    scene, laid = node_of(prompt, "DemoScene"), node_of(prompt, "Composite")
    prompt = with_preview(prompt, *prompt[laid]["inputs"]["mask"], mask=True)
    result = server.run(prompt)
    before = shown(server, result, preview_of(prompt, scene, 0))
    after = shown(server, result, preview_of(prompt, laid, 0))
    selected = shown(server, result, "see")[..., 0] > 0
    changed = (before != after).any(-1)
    assert 0 < selected.mean() < 0.6
    assert not changed[~selected].any()
    assert changed[selected].mean() > 0.5


def test_outpainting_keeps_the_scene(server, prompts, results):
    prompt, result = prompts["Outpaint step by step"], results["Outpaint step by step"]
    before = shown(server, result, preview_of(prompt, node_of(prompt, "DemoScene"), 0))
    after = shown(server, result, preview_of(prompt, node_of(prompt, "Composite"), 0))
    margin = (OUTPAINTED[0] - SCENE_SIZE[0]) // 2
    assert np.array_equal(after[:, margin:-margin], before)


def test_restoring_brings_the_scene_nearer_to_the_truth(server, prompts, results):
    scores = scores_of(prompts, results, "Restore step by step")
    prompt = copy.deepcopy(prompts["Restore step by step"])
    scene, compare = node_of(prompt, "DemoScene"), node_of(prompt, "Compare")
    damaged = next(s for k, s in outputs_used(prompt) if k == scene and s != 0)
    prompt[compare]["inputs"]["prediction"] = [scene, damaged]
    spoiled = server.run(prompt)["outputs"][compare]["pixwizard_scores"][0]
    assert scores["psnr_db"] > spoiled["psnr_db"] + 3, (scores, spoiled)


def outputs_used(prompt: dict) -> list[tuple[str, int]]:
    return [
        (value[0], value[1])
        for node in prompt.values()
        for value in node["inputs"].values()
        if isinstance(value, list)
    ]


def test_normals_are_near_the_truth(prompts, results):
    assert scores_of(prompts, results, "Normals step by step")["mean_angle_deg"] < 30


def test_segmentation_is_near_the_truth(prompts, results):
    assert scores_of(prompts, results, "Classes step by step")["pixel_accuracy"] > 0.8


def test_highlight_and_box_are_scored(prompts, results):
    prompt, outputs = (
        prompts["Highlight and box step by step"],
        results["Highlight and box step by step"]["outputs"],
    )
    numbers = [k for k, node in prompt.items() if node["class_type"] == "PixWizard_Compare"]
    found = {s["kind"]: s for n in numbers for s in outputs[n]["pixwizard_scores"]}
    assert set(found) == {"mask", "boxes"}
    assert found["mask"]["ciou"] > 0.2, found
    assert 0 <= found["boxes"]["box_iou"] <= 1


def test_both_ways_to_sample_agree(prompts, results):
    scores = scores_of(prompts, results, "Stock samplers step by step")
    assert scores["l1"] < 1e-3, scores


def test_every_frame_of_a_batch_is_shown(prompts, results):
    prompt = prompts["Frames step by step"]
    number = preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)
    assert len(results["Frames step by step"]["outputs"][number]["images"]) == 3


def test_frames_of_a_batch_share_one_range(server, prompts, results):
    """Normalised by the batch, the darkest and the lightest pixel may be in different frames."""
    prompt, result = prompts["Frames step by step"], results["Frames step by step"]
    entries = result["outputs"][preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)]
    frames = [np.asarray(Image.open(io.BytesIO(server.image(e)))) for e in entries["images"]]
    assert min(frame.min() for frame in frames) == 0
    assert max(frame.max() for frame in frames) == 255
    assert any(frame.min() > 0 or frame.max() < 255 for frame in frames)


def test_segmentation_lists_the_classes_of_the_scene(prompts, results):
    prompt, result = prompts["Classes step by step"], results["Classes step by step"]
    assert result["error"] is None, result["error"]
    legend = result["outputs"][node_of(prompt, "DecodeSegmentation")]["pixwizard_legend"]
    assert {"wall", "floor"} <= {entry["name"] for entry in legend}


def test_normals_flip_green_for_directx(server, prompts, results):
    prompt, result = prompts["Normals step by step"], results["Normals step by step"]
    by_way = {
        node["inputs"]["green"]: shown(server, result, preview_of(prompt, key, 0)).astype(int)
        for key, node in prompt.items()
        if node["class_type"] == "PixWizard_DecodeNormals"
    }
    up, down = by_way["up"], by_way["down"]
    assert np.abs(up[..., 1] + down[..., 1] - 255).max() <= 1
    assert np.array_equal(up[..., [0, 2]], down[..., [0, 2]])


def test_depth_of_a_photo_is_saved_in_full_precision(server, prompts, results):
    prompt, result = prompts["Save depth step by step"], results["Save depth step by step"]
    assert result["error"] is None, result["error"]
    (entry,) = result["outputs"][node_of(prompt, "SaveDepth")]["pixwizard_files"]
    depth = np.asarray(Image.open(io.BytesIO(server.image(entry))))
    assert depth.dtype == np.uint16
    assert depth.shape[::-1] == photo_size(server)


def test_depth_is_grey_and_near_the_truth(server, prompts, results):
    prompt, result = prompts["Depth step by step"], results["Depth step by step"]
    found = shown(server, result, preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)) / 255
    truth = shown(server, result, preview_of(prompt, node_of(prompt, "DemoScene"), 3)) / 255
    assert np.abs(found - found[..., :1]).max() == 0, "depth must be grey"
    error = np.sqrt(np.mean((found - truth) ** 2))
    assert error < 0.12, f"RMSE {error:.3f}"
    assert error < 0.6 * np.sqrt(np.mean((truth.mean() - truth) ** 2)), f"RMSE {error:.3f}"


def test_selected_mask_is_binary_and_finds_the_object(server, prompts):
    prompt = prompts["Mask step by step"]
    truth_prompt = with_preview(prompt, node_of(prompt, "DemoScene"), 4, mask=True)
    mask_prompt = with_preview(prompt, node_of(prompt, "DecodeMask"), 0, mask=True)
    found = shown(server, server.run(mask_prompt), "see")[..., 0]
    truth = shown(server, server.run(truth_prompt), "see")[..., 0] > 0
    assert set(np.unique(found)) == {0, 255}
    overlap = ((found > 0) & truth).sum() / ((found > 0) | truth).sum()
    assert overlap > 0.5, f"IoU {overlap:.2f}"


def sampled_by(prompt: dict, extra: dict, latent: list) -> dict:
    """The prompt with another way to sample in place of the Sample node."""
    changed = copy.deepcopy(prompt)
    number = node_of(prompt, "Sample")
    del changed[number]
    changed.update(extra)
    for node in changed.values():
        for name, value in node["inputs"].items():
            if value == [number, 0]:
                node["inputs"][name] = latent
    return changed


def test_stock_samplers_give_the_same_picture(server, prompts, results):
    prompt = prompts["Depth step by step"]
    ours = prompt[node_of(prompt, "Sample")]["inputs"]
    shared = {name: ours[name] for name in ("model", "full", "image_only", "none")}
    stock = {
        "k": {
            "class_type": "KSampler",
            "inputs": {
                "model": ours["model"],
                "positive": ours["full"],
                "negative": ours["image_only"],
                "latent_image": ours["latent"],
                "seed": ours["seed"],
                "steps": ours["steps"],
                "cfg": ours["text_guidance"],
                "sampler_name": "euler",
                "scheduler": "simple",
                "denoise": 1.0,
            },
        }
    }
    custom = {
        "g": {
            "class_type": "PixWizard_DualCFGGuider",
            "inputs": {
                **shared,
                "text_guidance": ours["text_guidance"],
                "image_guidance": ours["image_guidance"],
                "guided_channels": ours["guided_channels"],
                "start": 0.0,
                "end": 1.0,
            },
        },
        "t": {
            "class_type": "PixWizard_Schedule",
            "inputs": {"steps": ours["steps"], "time_shift": ours["time_shift"], "denoise": 1.0},
        },
        "n": {"class_type": "RandomNoise", "inputs": {"noise_seed": ours["seed"]}},
        "s": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "k": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["n", 0],
                "guider": ["g", 0],
                "sampler": ["s", 0],
                "sigmas": ["t", 0],
                "latent_image": ours["latent"],
            },
        },
    }
    number = preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)
    wanted = shown(server, results["Depth step by step"], number).astype(int)
    for name, extra in (("KSampler", stock), ("SamplerCustomAdvanced", custom)):
        met = shown(server, server.run(sampled_by(prompt, extra, ["k", 0])), number)
        assert np.abs(met - wanted).max() <= 1, name


def test_another_seed_gives_another_picture(server, prompts, results):
    prompt = copy.deepcopy(prompts["Depth step by step"])
    prompt[node_of(prompt, "Sample")]["inputs"]["seed"] += 1
    number = preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)
    changed = shown(server, server.run(prompt), number)
    assert not np.array_equal(changed, shown(server, results["Depth step by step"], number))


def test_photograph_of_odd_size_keeps_its_size(server, prompts):
    """A picture from a file, as users have it, through the whole depth workflow."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8))
    (server.base / "input").mkdir(exist_ok=True)
    coarse.resize((301, 203), Image.Resampling.BICUBIC).save(server.base / "input" / "odd.png")
    prompt = copy.deepcopy(prompts["Depth step by step"])
    scene = node_of(prompt, "DemoScene")
    number = preview_of(prompt, node_of(prompt, "DecodeDepth"), 0)
    prompt = {
        key: node for key, node in prompt.items() if [scene, 3] not in node["inputs"].values()
    }
    prompt[scene] = {"class_type": "LoadImage", "inputs": {"image": "odd.png"}}
    assert shown(server, server.run(prompt), number).shape == (203, 301, 3)


def test_picture_that_was_not_fitted_says_what_to_do(server, prompts):
    prompt = copy.deepcopy(prompts["Depth step by step"])
    scene, encode = node_of(prompt, "DemoScene"), node_of(prompt, "Encode")
    prompt["crop"] = {
        "class_type": "ImageCrop",
        "inputs": {"image": [scene, 0], "width": 100, "height": 100, "x": 0, "y": 0},
    }
    prompt[encode]["inputs"]["image"] = ["crop", 0]
    error = server.run(prompt)["error"]
    assert error["node_type"] == "PixWizard_Encode"
    assert "Fit to Canvas" in error["exception_message"]


def test_unknown_choice_is_refused(server, prompts):
    prompt = copy.deepcopy(prompts["Depth step by step"])
    prompt[node_of(prompt, "FitToCanvas")]["inputs"]["fit"] = "squeeze"
    error = server.run(prompt)["error"]
    assert "squeeze" in json.dumps(error)


def test_interrupt_stops_a_long_run(server, prompts):
    prompt = copy.deepcopy(prompts["Depth step by step"])
    prompt[node_of(prompt, "Sample")]["inputs"].update(steps=1000, seed=99)
    asked = []

    def stop(progress):
        if not asked:
            asked.append(progress["value"])
            server.post("/interrupt", {})

    result = server.run(prompt, stop)
    kinds = [kind for kind, _ in result["messages"]]
    assert "execution_interrupted" in kinds, kinds[-3:]
    steps = [data["value"] for kind, data in result["messages"] if kind == "progress"]
    assert max(steps) - asked[0] < 100, f"asked at step {asked[0]}, stopped at {max(steps)}"


def test_loading_shows_how_far_it_is_and_can_be_stopped(server, prompts):
    prompt = prompts["Depth step by step"]
    loader = node_of(prompt, "LoadTiny")

    def of_loader(result):
        said = [data for kind, data in result["messages"] if kind == "progress"]
        return [(data["value"], data["max"]) for data in said if data["node"] == loader]

    server.post("/free", {"unload_models": True, "free_memory": True})
    asked = []

    def stop(progress):
        if not asked:
            asked.append(progress["node"])
            server.post("/interrupt", {})

    stopped = server.run(prompt, stop)
    assert asked == [loader]
    kinds = [kind for kind, _ in stopped["messages"]]
    assert "execution_interrupted" in kinds, kinds[-3:]
    told = of_loader(server.run(prompt))
    bars: dict[int, list[int]] = {}  # one for each part that is loaded, told apart by its length
    for value, total in told:
        bars.setdefault(total, []).append(value)
    assert max(bars) > 100, told
    # Newer hosts merge reports that come close together, so their number says nothing.
    for total, values in bars.items():
        assert (values[0], values[-1]) == (1, total), told
        assert values == sorted(values), told
