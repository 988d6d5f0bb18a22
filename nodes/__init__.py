"""The list of PixWizard's nodes. Ids are permanent: workflows store them."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import (
    answers,
    boxes,
    check,
    compare,
    condition,
    decode,
    demo,
    depths,
    inpaint,
    load,
    lora,
    options,
    pick_box,
    sample,
    save,
)
from .host import register_folders

NODES: tuple[type[io.ComfyNode], ...] = (
    *load.NODES,
    *condition.NODES,
    *sample.NODES,
    *decode.NODES,
    *demo.NODES,
    *inpaint.NODES,
    *answers.NODES,
    *boxes.NODES,
    *depths.NODES,
    *save.NODES,
    *compare.NODES,
    *options.NODES,
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
