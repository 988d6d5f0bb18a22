"""What nodes/host/uses.py relies on: how nodes are described, loaded and run, and where files
are."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import comfyui_version
import folder_paths
from check_data_nodes import Kept, Listed, run
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from comfy_execution.utils import get_executing_context

import nodes

WIDGETS = {
    "Boolean": ("BOOLEAN", {"default": True}),
    "Combo": ("COMBO", {"options": ["a", "b"], "default": "b"}),
    "Float": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 2.0, "step": 0.1}),
    "Int": ("INT", {"default": 3, "min": 1, "max": 9}),
    "String": ("STRING", {"default": "words", "multiline": True}),
}
SOCKETS = {
    "Image": "IMAGE", "Mask": "MASK", "Latent": "LATENT", "Conditioning": "CONDITIONING",
    "Model": "MODEL", "Clip": "CLIP", "ClipVision": "CLIP_VISION", "Vae": "VAE",
    "Guider": "GUIDER", "Sigmas": "SIGMAS",
}  # fmt: skip
EXTENSION = """
from comfy_api.latest import ComfyExtension, io

ASKED = []

class Told(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="CheckTold", category="check", inputs=[], outputs=[])

    @classmethod
    def execute(cls):
        return io.NodeOutput()

class Extension(ComfyExtension):
    async def get_node_list(self):
        ASKED.append(1)
        return [Told]

async def comfy_entrypoint():
    return Extension()
"""


def made(inputs: list, outputs: list = (), **fields) -> type[io.ComfyNode]:
    """A node with this schema that keeps what it is given."""

    class Probe(io.ComfyNode):
        seen: list = []  # noqa: RUF012
        hidden_met: list = []  # noqa: RUF012

        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="CheckProbe", category="check", inputs=inputs, outputs=list(outputs),
                is_output_node=True, **fields,
            )  # fmt: skip

        @classmethod
        def execute(cls, **given):
            Probe.seen.append(given)
            Probe.hidden_met.append(cls.hidden)
            return io.NodeOutput(*([7] * len(outputs)), ui={"told": [3]})

    return Probe


def executed(node: type[io.ComfyNode], **inputs) -> dict:
    """What the page gets after the host ran this node."""
    nodes.NODE_CLASS_MAPPINGS["CheckProbe"] = node
    try:
        return run({"1": {"class_type": "CheckProbe", "inputs": inputs}})
    finally:
        del nodes.NODE_CLASS_MAPPINGS["CheckProbe"]


def check_comfy_api_latest_ComfyExtension(setup):
    folder = setup.folder() / "told"
    folder.mkdir()
    (folder / "__init__.py").write_text(EXTENSION, encoding="utf-8")
    assert asyncio.run(nodes.load_custom_node(str(folder), module_parent="custom_nodes"))
    try:
        assert issubclass(nodes.NODE_CLASS_MAPPINGS.pop("CheckTold"), io.ComfyNode)
    finally:
        nodes.NODE_DISPLAY_NAME_MAPPINGS.pop("CheckTold", None)
    ours = [name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("PixWizard_")]
    listed = [one.define_schema().node_id for one in setup.module("nodes").NODES]
    assert sorted(ours) == sorted(listed)


def check_comfy_api_latest_io_ComfyNode(setup):
    node = made([io.Int.Input("count", default=3)], hidden=[io.Hidden.prompt, io.Hidden.unique_id])
    executed(node, count=5)
    assert node.seen == [{"count": 5}]
    (hidden,) = node.hidden_met
    assert hidden.prompt["1"]["inputs"] == {"count": 5}
    node = made([io.Int.Input("count", default=3)])
    executed(node, count=5)
    assert node.hidden_met[0].prompt is not None, "an output node gets it unasked"


def check_comfy_api_latest_io_NodeOutput(setup):
    node = made([], [io.Int.Output("number", display_name="number")])
    assert executed(node)["1"]["told"] == [3]
    output = io.NodeOutput(1, "two", ui={"told": [3]})
    assert tuple(output.args) == (1, "two")
    assert output.ui == {"told": [3]}


def check_comfy_api_latest_io_NodeOutput_expand(setup):
    class Wide(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="CheckWide", category="check", inputs=[io.Int.Input("count", default=3)],
                outputs=[io.Int.Output("number")], enable_expand=True, is_output_node=True,
            )  # fmt: skip

        @classmethod
        def execute(cls, count):
            builder = GraphBuilder()
            inner = builder.node("CheckProbe", count=count + 1)
            return io.NodeOutput(inner.out(0), expand=builder.finalize())

    node = made([io.Int.Input("count", default=3)], [io.Int.Output("number")])
    probes = {"CheckWide": Wide, "CheckProbe": node, "CheckKept": Kept}
    nodes.NODE_CLASS_MAPPINGS |= probes
    try:
        told = run(
            {
                "1": {"class_type": "CheckWide", "inputs": {"count": 5}},
                "2": {"class_type": "CheckKept", "inputs": {"name": "wide", "value": ["1", 0]}},
            }
        )
    finally:
        for name in probes:
            del nodes.NODE_CLASS_MAPPINGS[name]
    assert node.seen == [{"count": 6}]
    assert Kept.VALUES["wide"] == [7]
    assert [name.split(".")[0] for name in told] == ["1"], told


def check_comfy_execution_graph_utils_GraphBuilder(setup):
    builder = GraphBuilder(prefix="5.0.0.")
    first = builder.node("A", count=1)
    second = builder.node("B", value=first.out(2))
    assert first.out(2) == [first.id, 2]
    assert builder.finalize() == {
        first.id: {"class_type": "A", "inputs": {"count": 1}},
        second.id: {"class_type": "B", "inputs": {"value": [first.id, 2]}},
    }
    assert first.id != second.id
    assert first.id.startswith("5.0.0.")


def check_comfy_execution_utils_get_executing_context(setup):
    met = []

    class Where(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(
                node_id="CheckProbe", category="check", inputs=[io.Int.Input("count")], outputs=[],
                is_output_node=True,
            )  # fmt: skip

        @classmethod
        def execute(cls, count):
            met.append((count, get_executing_context().list_index))
            return io.NodeOutput()

    Listed.VALUES["counts"] = [7, 8]
    nodes.NODE_CLASS_MAPPINGS |= {"CheckProbe": Where, "CheckListed": Listed}
    try:
        run(
            {
                "1": {"class_type": "CheckListed", "inputs": {"name": "counts"}},
                "2": {"class_type": "CheckProbe", "inputs": {"count": ["1", 0]}},
            }
        )
    finally:
        del nodes.NODE_CLASS_MAPPINGS["CheckProbe"]
    assert met == [(7, 0), (8, 1)]


def check_comfy_api_latest_io_Hidden_unique_id(setup):
    hidden = [io.Hidden.unique_id, io.Hidden.dynprompt]
    node = made([io.Int.Input("count", default=3)], hidden=hidden)
    executed(node, count=5)
    (met,) = node.hidden_met
    assert met.unique_id == "1"
    assert met.dynprompt.get_node("1")["inputs"] == {"count": 5}


def check_comfy_api_latest_io_AnyType(setup):
    node = made([io.AnyType.Input("value")], [io.AnyType.Output("item")])
    assert node.INPUT_TYPES()["required"]["value"][0] == "*"
    assert list(node.RETURN_TYPES) == ["*"]


def check_comfy_api_latest_io_Schema(setup):
    fields = {field.name for field in dataclasses.fields(io.Schema)}
    needed = {
        "node_id", "display_name", "category", "inputs", "outputs", "hidden", "description",
        "is_output_node",
    }  # fmt: skip
    assert needed <= fields, needed - fields
    node = made([], [io.Int.Output("number", display_name="shown")], description="Says so.")
    assert node.define_schema().node_id == "CheckProbe"
    assert (node.CATEGORY, node.DESCRIPTION, node.OUTPUT_NODE) == ("check", "Says so.", True)
    assert (list(node.RETURN_TYPES), list(node.RETURN_NAMES)) == (["INT"], ["shown"])


def check_comfy_api_latest_io_Custom(setup):
    kind = io.Custom("CHECK_THING")
    one = kind.Input("one", tooltip="Some thing.", optional=True)
    node = made([one], [kind.Output("out", display_name="out")])
    assert (one.id, one.io_type, one.optional) == ("one", "CHECK_THING", True)
    (type_, settings), *_ = node.INPUT_TYPES()["optional"].values()
    assert (type_, settings["tooltip"]) == ("CHECK_THING", "Some thing.")
    assert list(node.RETURN_TYPES) == ["CHECK_THING"]


def check_comfy_api_latest_io_Boolean(setup):
    for name, (io_type, settings) in WIDGETS.items():
        one = getattr(io, name).Input("one", tooltip="Some words.", **settings)
        assert (one.id, one.io_type, one.optional) == ("one", io_type, False)
        assert one.default == settings["default"]
        kind, told = made([one]).INPUT_TYPES()["required"]["one"]
        assert kind == io_type or kind == settings.get("options"), kind
        wanted = {**settings, "tooltip": "Some words."}
        wanted.pop("options", None)
        assert {key: told[key] for key in wanted} == wanted, name
    assert (io.Int.Input("n", min=1, max=9).min, io.Int.Input("n", min=1, max=9).max) == (1, 9)


def check_comfy_api_latest_io_Image(setup):
    for name, io_type in SOCKETS.items():
        one = getattr(io, name).Input("one", tooltip="Some words.")
        node = made([one], [getattr(io, name).Output("out", display_name="shown")])
        kind, told = node.INPUT_TYPES()["required"]["one"]
        assert (kind, one.io_type, told["tooltip"]) == (io_type, io_type, "Some words.")
        assert (list(node.RETURN_TYPES), list(node.RETURN_NAMES)) == ([io_type], ["shown"])


def check_comfyui_version___version__(setup):
    assert [int(part) for part in comfyui_version.__version__.split(".")] > [0, 3, 0]


def check_folder_paths_folder_names_and_paths(setup):
    known, folder = folder_paths.folder_names_and_paths, setup.folder()
    (folder / "file.weird").touch()
    known["check_kind"] = ([str(folder)], {".weird"})
    try:
        assert folder_paths.get_filename_list("check_kind") == ["file.weird"]
        assert folder_paths.get_full_path("check_kind", "file.weird") == str(folder / "file.weird")
    finally:
        del known["check_kind"]
    for kind in ("diffusion_models", "checkpoints", "text_encoders", "clip_vision", "vae", "loras"):
        folders, endings = known[kind]
        assert all(isinstance(one, str) for one in folders)
        assert ".safetensors" in endings


def check_folder_paths_get_filename_list(setup):
    one, two = setup.folder(), setup.folder()
    (one / "sub").mkdir()
    for path in (one / "sub" / "b.safetensors", one / "notes.txt", two / "a.safetensors"):
        path.touch()
    entry = ([str(one), str(two)], {".safetensors"})
    folder_paths.folder_names_and_paths["check_kind"] = entry
    try:
        found = folder_paths.get_filename_list("check_kind")
        assert sorted(name.replace("\\", "/") for name in found) == [
            "a.safetensors",
            "sub/b.safetensors",
        ]
    finally:
        del folder_paths.folder_names_and_paths["check_kind"]


def check_folder_paths_get_output_directory(setup):
    # run.py set both.
    output, temp = folder_paths.get_output_directory(), folder_paths.get_temp_directory()
    assert (Path(output).name, Path(temp).name) == ("output", "temp")
    assert Path(output).is_dir()
    assert Path(folder_paths.models_dir).name == "models"


def check_folder_paths_get_save_image_path(setup):
    root = setup.folder()
    name = folder_paths.get_save_image_path
    place, stem, number, subfolder, _ = name("depth/room_%width%x%height%", str(root), 64, 48)
    assert (Path(place), stem, number) == (root / "depth", "room_64x48", 1)
    assert (subfolder, Path(place).is_dir()) == ("depth", True)
    (root / "depth" / "room_64x48_00007_.png").touch()
    assert name("depth/room_64x48", str(root))[2] == 8
    met = []
    try:
        name("../elsewhere", str(root))
    except Exception as error:
        met.append(str(error))
    assert "outside" in met[0]


def check_folder_paths_map_legacy(setup):
    names = {"unet": "diffusion_models", "clip": "text_encoders", "loras": "loras"}
    assert {old: folder_paths.map_legacy(old) for old in names} == names


def check_folder_paths_supported_pt_extensions(setup):
    assert {".safetensors", ".pth", ".bin"} <= set(folder_paths.supported_pt_extensions)
