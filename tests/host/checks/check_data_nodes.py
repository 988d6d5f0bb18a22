"""The nodes that read, lay, save and compare, called by the host's own executor."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import defaultdict
from pathlib import Path

import execution
import folder_paths
import numpy as np
import torch
from PIL import Image
from small import refused

import nodes

# Newer hosts look up the sizes of their caches by name, each version more of them; 0 keeps nothing
# beyond a run. Older ones have no such argument.
CACHE = (
    {"cache_args": defaultdict(int)}
    if "cache_args" in inspect.signature(execution.PromptExecutor.__init__).parameters
    else {}
)
SIZES = ((1, 1), (17, 4001), (4000, 17), (513, 769))


class Server:
    """What the executor wants of a server, noting what it is told."""

    def __init__(self) -> None:
        self.client_id, self.last_node_id, self.last_prompt_id = "check", None, None
        self.sockets_metadata, self.told = {}, []

    def send_sync(self, event, data, sid=None) -> None:
        self.told.append((event, data))


def run(graph: dict) -> dict:
    """Execute a prompt as the server would. Returns the outputs kept for /history, by node."""
    valid = asyncio.run(execution.validate_prompt("check", graph, None))
    assert valid[0], valid
    server = Server()
    executor = execution.PromptExecutor(server, **CACHE)
    executor.execute(graph, "check", {"client_id": "check"}, valid[2])
    failed = [data for event, data in server.told if event == "execution_error"]
    assert executor.success, failed
    return executor.history_result["outputs"]


class Given:
    """A node that hands out a value of the check."""

    VALUES: dict = {}  # noqa: RUF012
    RETURN_TYPES, FUNCTION, CATEGORY = ("*",), "give", "check"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {})}}

    def give(self, name):
        return (self.VALUES[name],)


class Listed(Given):
    """A node that hands out a list, for nodes to run once for each item."""

    OUTPUT_IS_LIST = (True,)


class Kept:
    """A node that keeps what reaches it, of any type."""

    VALUES: dict = {}  # noqa: RUF012
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "keep", "check", True
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {}), "value": ("*", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    def keep(self, name, value):
        self.VALUES[name[0]] = value
        return {}


class Anything(str):
    """A type that the host takes for any other."""

    def __ne__(self, other) -> bool:
        return False

    __hash__ = str.__hash__


Given.RETURN_TYPES = (Anything("*"),)
Kept.INPUT_TYPES = classmethod(
    lambda cls: {"required": {"name": ("STRING", {}), "value": (Anything("*"), {})}}
)


class Graph:
    """A prompt written down step by step."""

    def __init__(self) -> None:
        nodes.NODE_CLASS_MAPPINGS |= {
            "CheckGiven": Given, "CheckListed": Listed, "CheckKept": Kept
        }  # fmt: skip
        self.prompt: dict = {}

    def add(self, kind: str, /, **inputs) -> str:
        number = str(len(self.prompt) + 1)
        self.prompt[number] = {"class_type": kind, "inputs": inputs}
        return number

    def ours(self, kind: str, /, **inputs) -> str:
        """One of our nodes with its defaults and these inputs."""
        kind = f"PixWizard_{kind}"
        listed = nodes.NODE_CLASS_MAPPINGS[kind].INPUT_TYPES().get("required", {})
        defaults = {
            name: spec[1]["default"]
            for name, spec in listed.items()
            if len(spec) > 1 and "default" in spec[1]
        }
        return self.add(kind, **{**defaults, **inputs})

    def long_way(self, tiny: str, ask: str, image, seed: int) -> tuple[str, str]:
        """Fit to Canvas and VAE Decode of the bundled model's answer. tiny, ask: Load Tiny and
        Instruction. image: a link."""
        fitted = self.ours("FitToCanvas", image=image, centre_by="auto", model=[tiny, 0])
        encoded = self.ours(
            "Encode", clip=[tiny, 1], clip_vision=[tiny, 2], vae=[tiny, 3], image=[fitted, 0],
            instruction=[ask, 0],
        )  # fmt: skip
        latent = self.ours(
            "Sample", model=[tiny, 0], full=[encoded, 0], image_only=[encoded, 1],
            none=[encoded, 2], latent=[encoded, 3], seed=seed, speed="auto",
        )  # fmt: skip
        return fitted, self.add("VAEDecode", samples=[latent, 0], vae=[tiny, 3])

    def give(self, name: str, value) -> list:
        Given.VALUES[name] = value
        return [self.add("CheckGiven", name=name), 0]

    def keep(self, number: str, count: int, name: str) -> None:
        for slot in range(count):
            self.add("CheckKept", name=f"{name}.{slot}", value=[number, slot])

    def run(self) -> dict:
        return run(self.prompt)


def kept(name: str, slot: int = 0):
    """The value of one output; those that are lists in the host's sense have one entry here."""
    (value,) = Kept.VALUES[f"{name}.{slot}"]
    return value


def picture(width: int, height: int, batch: int = 1, channels: int = 3, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, height, width, channels, generator=generator)


def outlined():
    """A dim picture, and the same with a red outline around 20, 30, 70, 80."""
    source = 0.4 * picture(128, 96)
    answer = source.clone()
    answer[:, 30:80, 20:70] = torch.tensor([1.0, 0.0, 0.0])
    answer[:, 33:77, 23:67] = source[:, 33:77, 23:67]
    return source, answer


def check_inpaint_and_composite_keep_every_bit_outside(setup):
    for width, height in SIZES:
        for crop in (False, True):
            mask = torch.zeros(1, height, width)
            mask[:, height // 3 : height // 3 + 2, width // 4 : width // 4 + 3] = 1
            source = picture(width, height)
            graph = Graph()
            image = graph.give("source", source)
            selected = graph.give("mask", mask)
            before = graph.ours("PrepareInpaint", image=image, mask=selected, centre=128, crop=crop)
            after = graph.ours(
                "Composite",
                source=image, result=[before, 0], mask=[before, 3], canvas=[before, 2],
            )  # fmt: skip
            graph.keep(before, 4, "before")
            graph.keep(after, 1, "after")
            graph.run()
            out, painted = kept("after"), kept("before", 3)
            assert out.shape == source.shape
            assert torch.equal(out[painted == 0], source[painted == 0])
            assert kept("before", 1).shape == kept("before").shape[:3]


def check_odd_sizes_come_back_through_the_canvas(setup):
    """Fit to Canvas, a painting of the model's size, the decoders, Composite: exact sizes, and
    every bit kept outside the mask."""
    for width, height in SIZES:
        for fit in ("stretch", "pad", "crop"):
            source = picture(width, height, channels=4 if fit == "pad" else 3)
            mask = torch.zeros(1, height, width)
            mask[:, : max(1, height // 2), : max(1, width // 3)] = 1
            graph = Graph()
            image = graph.give("source", source)
            fitted = graph.ours("FitToCanvas", image=image, centre=128, fit=fit)
            painted = graph.add("ImageInvert", image=[fitted, 0])
            back = graph.ours(
                "RestoreFromCanvas", canvas=[fitted, 2], image=[painted, 0], source=image
            )
            after = graph.ours(
                "Composite",
                source=image, result=[painted, 0], mask=graph.give("mask", mask),
                canvas=[fitted, 2], feather=2.0,
            )  # fmt: skip
            graph.keep(back, 2, "back")
            graph.keep(after, 1, "after")
            for name, count in (("DecodeDepth", 4), ("DecodeMask", 2), ("DecodeNormals", 1)):
                graph.keep(graph.ours(name, image=[painted, 0], canvas=[fitted, 2]), count, name)
            graph.run()
            assert kept("back").shape == (1, height, width, 3)
            assert kept("back", 1).shape == (1, height, width)
            assert kept("after").shape == source.shape
            assert torch.equal(kept("after")[mask == 0], source[mask == 0])
            for name in ("DecodeDepth", "DecodeMask", "DecodeNormals"):
                assert kept(name).shape[1:3] == (height, width), name


def check_crops_of_a_batch_go_back_to_their_own_places(setup):
    source = picture(240, 160, 2)
    mask = torch.zeros(2, 160, 240)
    mask[0, 5:25, 8:30] = 1
    mask[1, 120:150, 190:236] = 1
    graph = Graph()
    image = graph.give("source", source)
    before = graph.ours(
        "PrepareInpaint", image=image, mask=graph.give("mask", mask), grow=0, centre=128, crop=True
    )
    after = graph.ours(
        "Composite",
        source=image, result=[before, 0], mask=[before, 3], canvas=[before, 2], feather=0.0,
    )  # fmt: skip
    graph.keep(before, 2, "before")
    graph.keep(after, 1, "after")
    graph.run()
    assert kept("before").shape[0] == 2
    assert float(kept("before", 1).mean()) > 0.1
    assert torch.equal(kept("after")[mask == 0], source[mask == 0])
    for part in (kept("after")[0, 11:19, 14:24], kept("after")[1, 127:143, 198:228]):
        assert float(part.max()) < 0.02  # the black hole, back at its own place


def check_outpaint_and_blank_canvas(setup):
    given = picture(70, 50, 2)
    graph = Graph()
    before = graph.ours("PrepareOutpaint", image=graph.give("given", given), left=30, centre=128)
    after = graph.ours(
        "Composite",
        source=[before, 3], result=[before, 0], mask=[before, 4], canvas=[before, 2],
    )  # fmt: skip
    graph.keep(after, 1, "after")
    blank = graph.ours("BlankCanvas", width=301, height=203)
    back = graph.ours("RestoreFromCanvas", canvas=[blank, 1], image=[blank, 0])
    graph.keep(blank, 1, "blank")
    graph.keep(back, 1, "back")
    graph.run()
    assert kept("after").shape == (2, 50, 100, 3)
    assert torch.equal(kept("after")[:, :, 30:], given)
    assert kept("blank").shape == (1, 208, 304, 3)
    assert kept("back").shape == (1, 203, 301, 3)


def check_boxes_reach_every_socket_and_the_history(setup):
    source, answer = outlined()
    graph = Graph()
    both = graph.give("answer", torch.cat([answer, source]))
    number = graph.ours(
        "DecodeBoxes", image=both, source=graph.give("source", source), label="ball"
    )
    graph.keep(number, 8, "boxes")
    score = graph.ours(
        "Compare", kind="boxes", prediction_boxes=[number, 1], truth_boxes=[number, 3]
    )
    again = graph.ours(
        "Compare", kind="boxes", prediction_boxes=[number, 3], truth_boxes=[number, 1]
    )
    outputs = graph.run()
    assert Kept.VALUES["boxes.0"] == [[[20, 30, 70, 80]], []]  # one for each picture
    assert [len(boxes) for boxes in kept("boxes", 1)] == [1, 0]
    segs = Kept.VALUES["boxes.2"]  # one for each picture
    assert [(size, len(found)) for size, found in segs] == [((96, 128), 1), ((96, 128), 0)]
    assert kept("boxes", 6) == 1
    assert kept("boxes", 4).shape == (2, 96, 128)
    assert outputs[number]["pixwizard_boxes"] == json.loads(kept("boxes", 3))
    json.dumps(outputs)
    for one in (score, again):
        assert outputs[one]["pixwizard_scores"][0]["box_iou"] == 1.0


def check_highlight_edges_and_normals(setup):
    source = 0.2 + 0.5 * picture(120, 80)
    answer = source.clone()
    answer[:, 20:60, 30:90] = 0.5 * source[:, 20:60, 30:90] + torch.tensor([0.5, 0.0, 0.0])
    graph = Graph()
    image = graph.give("answer", answer)
    found = graph.ours("DecodeHighlight", image=image, source=graph.give("source", source))
    graph.keep(found, 4, "highlight")
    graph.keep(graph.ours("DecodeEdges", image=image, thin=True), 2, "edges")
    graph.keep(graph.ours("DecodeNormals", image=image), 1, "normals")
    graph.run()
    assert float(kept("highlight")[0, 20:60, 30:90].mean()) > 0.97
    assert float(kept("highlight").sum()) < 2600
    assert kept("highlight", 2) >= 1
    assert kept("edges", 1).shape == (1, 80, 120)
    length = (kept("normals") * 2 - 1).norm(dim=-1)
    assert torch.allclose(length, torch.ones_like(length), atol=1e-5)


def check_depth_is_merged_measured_and_saved(setup):
    truth = torch.linspace(0.1, 0.6, 40)[None, :, None, None].expand(1, 40, 30, 3)
    graph = Graph()
    runs = graph.give("runs", torch.cat([truth, truth * 0.5 + 0.3, truth * 1.2]))
    merged = graph.ours("MergeDepths", depths=runs)
    metres = graph.ours("DepthToMetres", depth=[merged, 0])
    graph.keep(merged, 3, "merged")
    graph.keep(metres, 1, "metres")
    saved = {
        kind: graph.ours("SaveDepth", depth=[merged, 0], filename_prefix="d/x", format=kind)
        for kind in ("png", "exr", "npy")
    }
    score = graph.ours("Compare", kind="depth", prediction=runs, truth=[merged, 0], align=True)
    outputs = graph.run()
    place = Path(folder_paths.get_output_directory())
    files = {
        kind: place / outputs[number]["pixwizard_files"][0]["subfolder"]
        / outputs[number]["pixwizard_files"][0]["filename"]
        for kind, number in saved.items()
    }  # fmt: skip
    depth = kept("merged")[0, ..., 0]
    assert float(kept("merged", 1).max()) < 1e-4
    grey = np.array(Image.open(files["png"]))
    assert np.array_equal(grey, np.rint(depth.double().numpy() * 65535))
    assert json.loads(Image.open(files["png"]).text["prompt"])
    assert np.allclose(np.load(files["npy"]), kept("metres")[0, ..., 0].numpy(), atol=1e-6)
    assert float(kept("metres").max()) > 1
    assert files["exr"].read_bytes()[:4] == b"\x76\x2f\x31\x01"
    assert outputs[score]["pixwizard_scores"][0]["rmse_m"] < 1e-3


def check_segmentation_gives_a_mask_for_each_class(setup):
    painted = torch.zeros(2, 4, 6, 3)
    painted[:, :3, :, 2] = 1
    painted[:, 3:, :, 1] = 0.8
    graph = Graph()
    number = graph.ours(
        "DecodeSegmentation",
        image=graph.give("painted", painted),
        classes="gr*",
        palette_text="name,r,g,b\nsky,0,0,255\ngrass,0,200,0\n",
    )
    graph.keep(number, 5, "classes")
    outputs = graph.run()
    assert Kept.VALUES["classes.4"] == ["sky", "grass"]  # lists in the host's sense
    sky, grass = Kept.VALUES["classes.3"]
    assert torch.equal(grass, kept("classes", 1))
    assert torch.equal(sky, 1 - grass)
    assert int(grass.sum()) == 12
    legend = outputs[number]["pixwizard_legend"]
    assert [(entry["name"], entry["area_percent"]) for entry in legend] == [
        ("sky", 75.0),
        ("grass", 25.0),
    ]


def check_labels_are_saved_with_their_legend(setup):
    graph = Graph()
    saved = graph.ours("SaveLabels", image=graph.give("classes", picture(9, 5)))
    (outputs,) = graph.run().values()
    assert saved
    place = Path(folder_paths.get_output_directory()) / "labels"
    png, legend = (place / file["filename"] for file in outputs["pixwizard_files"])
    present = {entry["index"] for entry in json.loads(legend.read_text())["classes"]}
    assert set(np.unique(np.array(Image.open(png))).tolist()) == present


def check_saving_elsewhere_is_refused(setup):
    graph = Graph()
    graph.ours("SaveDepth", depth=graph.give("depth", picture(4, 4)), filename_prefix="../x")
    refused(AssertionError, ("output folder",), graph.run)
