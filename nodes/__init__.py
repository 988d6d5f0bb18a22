"""The list of PixWizard's nodes. Ids are permanent: workflows store them."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .conditions import condition
from .decoders import answers, boxes, decode, depths, pick_box
from .host.files import register_folders
from .loaders import load, lora, model_options
from .pictures import demo_scene, inpaint
from .results import check, compare, save
from .sampling import sample

NODES: tuple[type[io.ComfyNode], ...] = (
    *load.NODES,
    *condition.NODES,
    *sample.NODES,
    *decode.NODES,
    *demo_scene.NODES,
    *inpaint.NODES,
    *answers.NODES,
    *boxes.NODES,
    *depths.NODES,
    *save.NODES,
    *compare.NODES,
    *model_options.NODES,
    *lora.NODES,
    *check.NODES,
    *pick_box.NODES,
)


class PixWizardExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return list(NODES)


async def comfy_entrypoint() -> PixWizardExtension:
    """Called once by the host when it loads the extension."""
    register_folders()
    return PixWizardExtension()
