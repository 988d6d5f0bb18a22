"""Nodes before sampling: canvas, instruction, encoding."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import canvas as canvases
from ...pixwizard_core import tasks
from ...pixwizard_core.seeds import LARGEST_SEED
from ..encoders import conditioning as encode
from ..host.files import schema
from ..shared import sockets
from ..shared.base import Node
from ..shared.inputs import centre_and_fit, centres_of
from ..shared.page_data import for_page, task_table
from ..shared.tensors import from_image_01, from_mask, to_image_01, to_mask

TASK_IDS = (*tasks.TASKS, tasks.FREE_TEXT)
MAX_PHRASING = max(len(task.phrasings) for task in tasks.TASKS.values()) - 1


class FitToCanvas(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "FitToCanvas",
            display_name="PixWizard Fit to Canvas",
            description="Fits a picture of any size to a size that suits the model, and remembers "
            "the way back for Restore from Canvas and the decoders.",
            search_aliases=["resize", "resolution", "bucket"],
            inputs=[
                io.Image.Input(
                    "image", tooltip="Pictures of one size, any width and height in px."
                ),
                *centre_and_fit(),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Mask that goes with the picture; 1 = selected."
                ),
            ],
            outputs=[
                io.Image.Output("fitted", display_name="image"),
                io.Mask.Output("fitted_mask", display_name="mask"),
                sockets.Canvas.Output("canvas", display_name="canvas"),
                io.Int.Output("width", display_name="width"),
                io.Int.Output("height", display_name="height"),
            ],
        )

    @classmethod
    def run(cls, image, centre, fit, mask=None):
        image_01 = to_image_01(image)
        height, width = image_01.shape[-2:]
        centres = centres_of(centre)
        canvas = canvases.plan(width, height, centres, fit)
        mask = to_mask(mask, image_01)
        mask = image_01.new_zeros(len(image_01), height, width) if mask is None else mask
        fitted = from_image_01(canvas.fit_image(image_01))
        return io.NodeOutput(fitted, from_mask(canvas.fit_mask(mask)), canvas, *canvas.model)


class Instruction(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Instruction",
            display_name="PixWizard Instruction",
            description="Writes the sentence that asks for a task. Fields that the task does not "
            "use are ignored.",
            search_aliases=["prompt", "task"],
            inputs=[
                for_page(
                    io.Combo.Input(
                        "task",
                        options=list(TASK_IDS),
                        default=TASK_IDS[0],
                        tooltip=f"The task to ask for. {tasks.FREE_TEXT}: only the caption, in "
                        "your own words.",
                    ),
                    task_table(),
                ),
                io.String.Input(
                    "caption",
                    default="",
                    multiline=True,
                    tooltip="Description of the picture you want, or the whole instruction for a "
                    "custom task.",
                ),
                io.String.Input(
                    "target",
                    default="",
                    tooltip="What to find or change, for example: the red ball.",
                ),
                io.Combo.Input(
                    "colour",
                    options=list(tasks.COLOURS),
                    default=next(iter(tasks.COLOURS)),
                    tooltip="Colour of a highlight or box, or the new colour of a recoloured "
                    "object.",
                ),
                io.Int.Input(
                    "phrasing",
                    default=0,
                    min=0,
                    max=MAX_PHRASING,
                    tooltip=f"Which wording of the task to use, 0 to {MAX_PHRASING}. All mean the "
                    "same.",
                ),
                io.Int.Input(
                    "phrasing_seed",
                    default=-1,
                    min=-1,
                    max=LARGEST_SEED,
                    optional=True,
                    tooltip="Picks the wording in place of phrasing: consecutive seeds step "
                    "through the wordings used in training. -1 is off.",
                ),
            ],
            outputs=[io.String.Output("instruction", display_name="instruction")],
        )

    @classmethod
    def run(cls, task, caption, target, colour, phrasing, phrasing_seed=-1):
        sentence = tasks.instruction(
            task,
            caption=caption,
            colour=colour,
            target=target,
            phrasing=phrasing,
            seed=phrasing_seed if phrasing_seed >= 0 else None,
        )
        return io.NodeOutput(sentence)


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
        picture = encode.picture(clip_vision, vae, image_01)
        full, empty = encode.text(clip, instruction), encode.text(clip, "")
        return io.NodeOutput(
            encode.with_picture(full, picture),
            encode.with_picture(empty, picture),
            empty,
            encode.empty_latent(picture),
        )


NODES = (FitToCanvas, Instruction, Encode)
