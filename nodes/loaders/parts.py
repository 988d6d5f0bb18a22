"""Take a whole model apart, and put it together with other parts."""

from __future__ import annotations

from dataclasses import replace

from comfy_api.latest import io

from ...pixwizard_core.bundle import About, is_demo, name_of_shape, palette_of_shape
from ...pixwizard_core.errors import CheckpointError
from ..host.versions import schema
from ..model.host_model import own_settings_of, taught_of
from ..shared import sockets
from ..shared.base import Node
from .bundle import WholeModel, whole_outputs

WHO = "PixWizard Model Parts"
PARTS = {"model": io.Model, "clip": io.Clip, "clip_vision": io.ClipVision, "vae": io.Vae}


class ModelParts(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "ModelParts",
            display_name=WHO,
            description="Takes a PixWizard apart into MODEL, CLIP, CLIP_VISION and VAE, and puts "
            "it together again with the parts that you connect, such as a MODEL with a LoRA.",
            search_aliases=["unpack", "bundle", "pipe", "lora"],
            inputs=[
                sockets.Whole.Input(
                    "whole",
                    optional=True,
                    tooltip="From Load Tiny or Load PixWizard. Not needed if all four parts are "
                    "connected.",
                ),
                *(
                    kind.Input(
                        f"with_{name}", optional=True, tooltip=f"Replaces the {name} of the whole."
                    )
                    for name, kind in PARTS.items()
                ),
            ],
            outputs=whole_outputs(),
        )

    @classmethod
    def run(
        cls, whole=None, with_model=None, with_clip=None, with_clip_vision=None, with_vae=None
    ):  # fmt: skip
        given = {
            "model": with_model, "clip": with_clip, "clip_vision": with_clip_vision,
            "vae": with_vae,
        }  # fmt: skip
        lacking = [name for name, value in given.items() if value is None]
        if whole is None and lacking:
            raise CheckpointError(
                f"nothing gives {', '.join(lacking)}; connect a PixWizard to whole, or these parts"
            )
        parts = {
            name: getattr(whole, name) if value is None else value for name, value in given.items()
        }
        if whole is None or with_model is not None:
            what = about_of(with_model, whole)
        else:
            what = whole.about
        return io.NodeOutput(*parts.values(), WholeModel(**parts, about=what))


def about_of(model, whole: WholeModel | None = None) -> About:
    """What a MODEL is. whole: what it was made from, whose name it keeps if it has the same sizes.
    Raises CheckpointError if it is not a PixWizard."""
    taught, own = taught_of(model, WHO), own_settings_of(model, WHO)
    config = model.model.diffusion_model.config
    if whole is not None and whole.about.own == own:
        return replace(whole.about, taught=taught)
    return About(
        name_of_shape(config), is_demo(config), own, palette_of_shape(config), taught
    )
