"""Named things as layers with transparency over a background without them."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.cutout import make_layers, soft_edge, stack
from ...pixwizard_core.errors import CanvasError
from ..host.versions import schema
from ..shared import notes, views
from ..shared.base import Node
from ..shared.layouts import as_masks, from_image_01, from_mask, to_channels_last, to_image_01

MAX_LAYERS = 64


class CutOutLayers(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "CutOut",
            display_name="PixWizard Cut Out",
            description="Takes a picture apart: a layer with transparency for each mask, with the "
            "colour of the thing alone at its soft rim, and the background without the things. "
            "Stacked again, they give the picture back.",
            search_aliases=["rgba", "layers", "transparent", "alpha", "matte", "remove background"],
            is_output_node=True,
            inputs=[
                io.Image.Input("source", tooltip="The picture to take apart."),
                io.Mask.Input(
                    "masks",
                    tooltip="One for each thing, the frontmost first, of the source's size. Soft "
                    "values give a soft rim; take a picture of Sharpen Answer as a mask.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="The source with the things removed or painted over, such as from "
                    "inpaint; used only where the masks select. Without it, black.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "layers",
                    display_name="layers",
                    tooltip="One picture with transparency for each mask; Save Image keeps it.",
                ),
                io.Mask.Output("alphas", display_name="masks", tooltip="Opacity, 0 to 1."),
                io.Image.Output("behind", display_name="background"),
                io.Image.Output(
                    "stacked", display_name="stacked", tooltip="The layers laid on the background."
                ),
            ],
        )

    @classmethod
    def run(cls, source, masks, background=None):
        picture = one_picture(source, "source")
        behind = torch.zeros_like(picture)
        if background is not None:
            behind = one_picture(background, "background")
        soft = as_masks(masks)
        if len(soft) > MAX_LAYERS:
            raise CanvasError(f"{len(soft)} masks are too many; give at most {MAX_LAYERS}")
        alphas = [soft_edge(one) for one in soft]
        names = [str(number) for number in range(1, len(alphas) + 1)]
        background_01, layers = make_layers(picture, behind, alphas, names)
        whole = stack(background_01, layers)
        said = notes.of_nothing_found([int((alpha > 0).sum()) for alpha in alphas])
        return io.NodeOutput(
            to_channels_last(torch.stack([layer.rgba for layer in layers]).clamp(0, 1)),
            from_mask(torch.stack(alphas)),
            from_image_01(background_01[None]),
            from_image_01(whole[None]),
            ui={
                **views.pair(picture[None], background_01[None], ("source", "result")),
                **notes.shown(said),
            },
        )


def one_picture(image, what: str):
    """Host IMAGE of one picture as (3, H, W) in 0..1. Raises CanvasError for a batch."""
    pictures = to_image_01(image)
    if len(pictures) != 1:
        raise CanvasError(f"{what} holds {len(pictures)} pictures; cut them out one by one")
    return pictures[0]
