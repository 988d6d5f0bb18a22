"""Picture and instruction encoded into the conditionings of dual guidance."""

from __future__ import annotations

from comfy_api.latest import io

from ..encoders import conditioning
from ..host.versions import schema
from ..shared.base import Node
from ..shared.layouts import to_image_01
from .asked import taught_with, worded


class Encode(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Encode",
            display_name="PixWizard Encode",
            description="Encodes picture and instruction into the three conditionings of dual "
            "guidance, and makes the latent to sample. For a stock KSampler: positive = full, "
            "negative = image_only.",
            search_aliases=["clip text encode", "conditioning"],
            inputs=[
                io.Clip.Input("clip", tooltip="From Load Tiny or Load Text Encoder."),
                io.ClipVision.Input(
                    "clip_vision",
                    tooltip="From Load Tiny, or CLIP-L/14 at 336 px from Load Vision Encoder.",
                ),
                io.Vae.Input("vae", tooltip="From Load Tiny, or the SDXL VAE from Load VAE."),
                io.Image.Input(
                    "image", tooltip="Picture with sides in multiples of 16 px, from Fit to Canvas."
                ),
                io.String.Input(
                    "instruction",
                    default="",
                    multiline=True,
                    tooltip="What to do with the picture, up to 256 tokens; from Instruction or "
                    "typed. Parentheses have no special meaning.",
                ),
            ],
            outputs=[
                io.Conditioning.Output("full", display_name="full"),
                io.Conditioning.Output("image_only", display_name="image_only"),
                io.Conditioning.Output("none", display_name="none"),
                io.Latent.Output("latent", display_name="latent"),
            ],
        )

    @classmethod
    def run(cls, clip, clip_vision, vae, image, instruction):
        image_01 = to_image_01(image)
        task = getattr(instruction, "task", "")
        view, instruction = worded(instruction, taught_with(clip))
        picture = conditioning.encode_picture(clip_vision, vae, image_01)
        full = conditioning.encode_text(clip, instruction)
        empty = conditioning.encode_text(clip, "")
        return io.NodeOutput(
            conditioning.with_task(conditioning.with_picture(full, picture), task),
            conditioning.with_picture(empty, picture),
            empty,
            conditioning.empty_latent(picture),
            ui=view or None,
        )
