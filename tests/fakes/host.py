"""Just enough of ComfyUI to import the nodes and call those that need no model.

Names and signatures are the host's; what a test must not rely on is left out, so that using it
fails.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

REPO = Path(__file__).resolve().parents[2]
PACKAGE = "pixwizard_under_test"


class Socket:
    """One input or output of a schema."""

    def __init__(self, io_type: str, id: str, **settings) -> None:
        self.io_type, self.id, self.settings = io_type, id, settings
        self.tooltip = settings.get("tooltip")
        self.min, self.max = settings.get("min"), settings.get("max")
        self.options = settings.get("options")
        self.optional = settings.get("optional", False)
        self.display_name = settings.get("display_name", id)
        self.default = settings.get("default")


def socket_type(io_type: str) -> types.SimpleNamespace:
    """io.Image, io.Int, ... with .Input and .Output."""

    def make(id: str, **settings) -> Socket:
        return Socket(io_type, id, **settings)

    return types.SimpleNamespace(Input=make, Output=make, io_type=io_type)


@dataclass
class Schema:
    """The fields that ComfyUI 0.3.64 knows, no more."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    hidden: list | None = None
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    enable_expand: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None, expand: Any = None) -> None:
        self.args, self.ui, self.expand = args, ui, expand


class GraphNode:
    """A node of a graph that another one stands for."""

    def __init__(self, id: str, class_type: str, inputs: dict) -> None:
        self.id, self.class_type, self.inputs = id, class_type, inputs

    def out(self, index: int) -> list:
        return [self.id, index]


class GraphBuilder:
    """Nodes with ids of their own."""

    def __init__(self) -> None:
        self.nodes: list[GraphNode] = []

    def node(self, class_type: str, **inputs) -> GraphNode:
        self.nodes.append(GraphNode(f"new.{len(self.nodes)}", class_type, inputs))
        return self.nodes[-1]

    def finalize(self) -> dict:
        return {n.id: {"class_type": n.class_type, "inputs": n.inputs} for n in self.nodes}


class ComfyNode:
    """Runs as node 1, whose inputs are not linked."""

    hidden = types.SimpleNamespace(
        unique_id="1", dynprompt=types.SimpleNamespace(get_node=lambda id: {"inputs": {}}),
        prompt=None, extra_pnginfo=None,
    )  # fmt: skip


class ComfyExtension:
    pass


SOCKETS = {
    "Image": "IMAGE",
    "Mask": "MASK",
    "Model": "MODEL",
    "Clip": "CLIP",
    "ClipVision": "CLIP_VISION",
    "Vae": "VAE",
    "Conditioning": "CONDITIONING",
    "Latent": "LATENT",
    "Guider": "GUIDER",
    "Sigmas": "SIGMAS",
    "Int": "INT",
    "Float": "FLOAT",
    "String": "STRING",
    "Boolean": "BOOLEAN",
    "Combo": "COMBO",
    "AnyType": "*",
}


def module(name: str, **content) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    made.__path__ = []
    vars(made).update(content)
    return made


class Bar:
    """Progress of a node; the host draws it."""

    made: list = []  # noqa: RUF012

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        Bar.made.append(self)

    def update(self, value: int) -> None:
        self.done += value


def plain(name: str) -> type:
    return type(name, (), {})


def modules(models: Path) -> dict[str, types.ModuleType]:
    """sys.modules entries. models: the folder that stands for the host's models/."""
    io = types.SimpleNamespace(
        Schema=Schema, NodeOutput=NodeOutput, ComfyNode=ComfyNode, Custom=socket_type,
        Hidden=types.SimpleNamespace(unique_id="UNIQUE_ID", dynprompt="DYNPROMPT"),
        **{name: socket_type(kind) for name, kind in SOCKETS.items()},
    )  # fmt: skip
    kinds = ("diffusion_models", "checkpoints", "text_encoders", "clip_vision", "vae", "loras")
    folders = {kind: ([str(models / kind)], {".safetensors", ".pth", ".bin"}) for kind in kinds}

    def get_filename_list(kind: str) -> list[str]:
        paths, endings = folders[kind]
        found = (p for root in paths for p in Path(root).rglob("*") if p.suffix in endings)
        return sorted(p.relative_to(models / kind).as_posix() for p in found)

    comfy = {
        "conds": module(
            "comfy.conds",
            CONDRegular=plain("CONDRegular"),
            CONDConstant=plain("CONDConstant"),
        ),
        "latent_formats": module("comfy.latent_formats", SDXL=plain("SDXL")),
        "model_base": module("comfy.model_base", BaseModel=torch.nn.Module),
        "supported_models_base": module("comfy.supported_models_base", BASE=plain("BASE")),
        "samplers": module(
            "comfy.samplers", CFGGuider=plain("CFGGuider"), SAMPLER_NAMES=["euler", "heun"]
        ),
        "clip_vision": module("comfy.clip_vision"),
        "lora": module("comfy.lora"),
        "weight_adapter": module(
            "comfy.weight_adapter", WeightAdapterBase=plain("WeightAdapterBase")
        ),
        "model_management": module(
            "comfy.model_management", throw_exception_if_processing_interrupted=lambda: None
        ),
        "model_patcher": module("comfy.model_patcher"),
        "patcher_extension": module("comfy.patcher_extension"),
        "ops": module("comfy.ops"),
        "sample": module("comfy.sample"),
        "sd": module("comfy.sd", CLIP=plain("CLIP")),
        "sd1_clip": module("comfy.sd1_clip", __file__=__file__),
        "utils": module("comfy.utils", ProgressBar=Bar),
        "ldm": module("comfy.ldm"),
        "ldm.common_dit": module("comfy.ldm.common_dit", pad_to_patch_size=None),
        "ldm.modules": module("comfy.ldm.modules"),
        "ldm.modules.attention": module(
            "comfy.ldm.modules.attention",
            optimized_attention=None,
            optimized_attention_for_device=None,
        ),
    }
    tops = {name: made for name, made in comfy.items() if "." not in name}
    return {
        "comfy": module("comfy", **tops),
        **{f"comfy.{name}": made for name, made in comfy.items()},
        "comfyui_version": module("comfyui_version", __version__="0.0.0"),
        "comfy_execution": module("comfy_execution"),
        "comfy_execution.graph_utils": module(
            "comfy_execution.graph_utils", GraphBuilder=GraphBuilder
        ),
        "comfy_execution.utils": module(
            "comfy_execution.utils", get_executing_context=lambda: None
        ),
        "comfy_api": module("comfy_api"),
        "comfy_api.latest": module("comfy_api.latest", io=io, ComfyExtension=ComfyExtension),
        "folder_paths": module(
            "folder_paths",
            folder_names_and_paths=folders,
            models_dir=str(models),
            get_temp_directory=lambda: str(models / "temp"),
            supported_pt_extensions={".safetensors", ".pth", ".bin"},
            get_filename_list=get_filename_list,
            map_legacy=lambda kind: {"unet": "diffusion_models", "clip": "text_encoders"}.get(
                kind, kind
            ),
        ),
        "latent_preview": module("latent_preview"),
        "node_helpers": module("node_helpers"),
    }


def fake(name: str) -> types.ModuleType:
    """A module of the loaded fake host."""
    return sys.modules[name]


def save_image_path(prefix: str, folder: str, width: int = 0, height: int = 0):
    """The host's way to give out names of files."""
    prefix = prefix.replace("%width%", str(width))
    subfolder, name = os.path.split(os.path.normpath(prefix))
    place = os.path.join(folder, subfolder)
    if os.path.commonpath((folder, os.path.abspath(place))) != folder:
        raise Exception(f"saving image outside the output folder is not allowed: {place}")
    os.makedirs(place, exist_ok=True)
    taken = [
        int(entry[len(name) + 1 :].split("_")[0])
        for entry in os.listdir(place)
        if entry.startswith(f"{name}_")
    ]
    return place, name, max(taken, default=0) + 1, subfolder, prefix


def write_to(folder: Path, patch, disable_metadata: bool) -> None:
    """Give the loaded fake an output folder. patch: pytest's, which takes it away again."""
    folders = fake("folder_paths")
    patch.setattr(folders, "get_save_image_path", save_image_path, raising=False)
    patch.setattr(folders, "get_output_directory", lambda: str(folder), raising=False)
    settings = types.SimpleNamespace(disable_metadata=disable_metadata)
    patch.setitem(sys.modules, "comfy.cli_args", module("comfy.cli_args", args=settings))


def load_extension(models: Path):
    """The extension as the host imports it, over the fakes. Returns a function from module name to
    module."""
    sys.modules.update(modules(models))
    spec = importlib.util.spec_from_file_location(
        PACKAGE, REPO / "__init__.py", submodule_search_locations=[str(REPO)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}") if name else package


def unload() -> None:
    """Take the fakes and the extension out of sys.modules again."""
    roots = {
        "comfy", "comfy_api", "comfy_execution", "folder_paths", "latent_preview", "node_helpers",
        PACKAGE,
    }  # fmt: skip
    for name in [name for name in sys.modules if name.split(".")[0] in roots]:
        del sys.modules[name]
