"""Nodes around inpainting: blank an area before, and paste the result onto the source after."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import inpaint as core
from ...pixwizard_core.canvas.buckets import BLANK_CENTRE
from ...pixwizard_core.inpaint import ANCHORS, FILLS, Sides, composite
from ..host.versions import schema
from ..model.host_model import trained_centres
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.inputs import AS_SET, centre_and_fit, centre_by_inputs, centres_of
from ..shared.layouts import (
    as_masks,
    from_image_01,
    from_mask,
    to_channels_first,
    to_channels_last,
    to_image_01,
)
from ..shared.page_data import used_when
from .canvas import auto_canvas


def fill_combo(default="black"):
    return io.Combo.Input(
        "fill",
        options=list(FILLS),
        default=default,
        tooltip="Fill for the area that the model paints; it was trained with both.",
    )


class PrepareInpaint(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "PrepareInpaint",
            display_name="PixWizard Prepare Inpaint",
            description="Blanks the masked part and fits the picture to the model, as in training: "
            "the whole picture, or the surroundings of the mask at full resolution. Connect canvas "
            "and source_mask to Composite for the way back.",
            search_aliases=["inpaint crop", "remove", "mask fill"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures of one size, any width and height."),
                io.Mask.Input(
                    "mask",
                    tooltip="What to repaint; 1 = selected (0.5 or more counts). An empty mask "
                    "leaves the picture as it is.",
                ),
                fill_combo(),
                io.Int.Input(
                    "grow",
                    default=4,
                    min=-256,
                    max=256,
                    tooltip="Grow the mask by this many px of the source, or shrink it if "
                    "negative, -256 to 256. A few px hide the old object's edge.",
                ),
                *centre_and_fit(),
                io.Boolean.Input(
                    "crop",
                    default=False,
                    tooltip="Work only on the mask and its surroundings, so that small parts get "
                    "the model's full resolution. fit then has no effect.",
                ),
                used_when(
                    io.Float.Input(
                        "context",
                        default=0.5,
                        min=0.0,
                        max=10.0,
                        step=0.05,
                        tooltip="With crop: how much to include around the mask on each side, in "
                        "multiples of the mask's longer side, 0 to 10.",
                    ),
                    crop=[True],
                ),
                used_when(
                    io.Boolean.Input(
                        "one_crop",
                        default=False,
                        optional=True,
                        tooltip="With crop and a batch: one rectangle around all masks, which "
                        "keeps the frames of a video steady. Off: each picture is cropped around "
                        "its own mask.",
                    ),
                    crop=[True],
                ),
                *centre_by_inputs(),
            ],
            outputs=[
                io.Image.Output("prepared", display_name="image"),
                io.Mask.Output("hole", display_name="mask"),
                sockets.Canvas.Output("canvas", display_name="canvas"),
                io.Mask.Output("source_mask", display_name="source_mask"),
            ],
        )

    @classmethod
    def run(
        cls, image, mask, fill, grow, centre, fit, crop, context, one_crop=False, centre_by=AS_SET,
        model=None,
    ):  # fmt: skip
        prepared = core.prepare_inpaint(
            to_image_01(image),
            as_masks(mask),
            fill=fill,
            grow=grow,
            context=context if crop else None,
            one_crop=one_crop,
            centres=centres_of(centre, centre_by, trained_centres(model)),
            fit=fit,
        )
        said, meant = auto_canvas(centre_by, prepared.canvas, model)
        return io.NodeOutput(
            from_image_01(prepared.picture),
            from_mask(prepared.hole),
            prepared.canvas,
            from_mask(prepared.mask),
            ui={**notes.shown([*notes.of_empty_masks(prepared.mask), *said]), **meant},
        )


def margin(side: str):
    return io.Int.Input(
        side, default=0, min=0, max=8192, tooltip=f"px to add on this side ({side}), 0 to 8192."
    )


class PrepareOutpaint(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "PrepareOutpaint",
            display_name="PixWizard Prepare Outpaint",
            description="Adds blank margins, in px or to reach an aspect ratio, and fits the "
            "larger picture to the model. Connect source, source_mask and canvas to Composite for "
            "the way back.",
            search_aliases=["extend", "pad image", "uncrop"],
            inputs=[
                io.Image.Input("image", tooltip="Pictures of one size, any width and height."),
                *(margin(side) for side in Sides._fields),
                io.String.Input(
                    "aspect",
                    default="",
                    tooltip="Aspect ratio to extend to after the margins, such as 16:9 or 1.5; "
                    "empty for none. Nothing is ever cut off.",
                ),
                io.Combo.Input(
                    "anchor",
                    options=list(ANCHORS),
                    default=ANCHORS[0],
                    tooltip="Position of the picture when it is extended to the aspect ratio.",
                ),
                fill_combo(),
                *centre_and_fit(),
                *centre_by_inputs(),
            ],
            outputs=[
                io.Image.Output("prepared", display_name="image"),
                io.Mask.Output("hole", display_name="mask"),
                sockets.Canvas.Output("canvas", display_name="canvas"),
                io.Image.Output("source", display_name="source"),
                io.Mask.Output("source_mask", display_name="source_mask"),
            ],
        )

    @classmethod
    def run(
        cls, image, left, top, right, bottom, aspect, anchor, fill, centre, fit, centre_by=AS_SET,
        model=None,
    ):  # fmt: skip
        prepared = core.prepare_outpaint(
            to_channels_first(image),
            Sides(left, top, right, bottom),
            aspect=core.parse_aspect(aspect),
            anchor=anchor,
            fill=fill,
            centres=centres_of(centre, centre_by, trained_centres(model)),
            fit=fit,
        )
        said, meant = auto_canvas(centre_by, prepared.canvas, model)
        return io.NodeOutput(
            from_image_01(prepared.picture),
            from_mask(prepared.hole),
            prepared.canvas,
            to_channels_last(prepared.source),
            from_mask(prepared.mask),
            ui={**notes.shown(said), **meant},
        )


def length(side: str):
    return io.Int.Input(
        side, default=BLANK_CENTRE, min=16, max=8192, tooltip=f"{side.title()} in px, 16 to 8192."
    )


class BlankCanvas(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "BlankCanvas",
            display_name="PixWizard Blank Canvas",
            description="Makes a blank picture for generating from text. The model works at the "
            "nearest size in multiples of 16 px; Restore from Canvas gives exactly the size you "
            "ask for.",
            search_aliases=["empty image", "text to image", "empty latent"],
            inputs=[
                length("width"),
                length("height"),
                fill_combo("white"),
                io.Int.Input(
                    "batch_size", default=1, min=1, max=64, tooltip="Number of pictures, 1 to 64."
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                sockets.Canvas.Output("canvas", display_name="canvas"),
            ],
        )

    @classmethod
    def run(cls, width, height, fill, batch_size):
        blank, canvas = core.blank_canvas(width, height, fill, batch_size)
        return io.NodeOutput(from_image_01(blank), canvas)


class Composite(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Composite",
            display_name="PixWizard Composite",
            description="Pastes the result onto the source where the mask selects. Pixels outside "
            "the mask keep every bit of the source.",
            search_aliases=["paste", "stitch", "blend", "composite masked"],
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "source", tooltip=("Picture to paste the result onto, any size in px.")
                ),
                io.Image.Input(
                    "result",
                    tooltip="What the model painted: at the source's size or, if canvas is "
                    "connected, as it comes from VAE Decode.",
                ),
                io.Mask.Input(
                    "mask",
                    tooltip="Where to use the result, 0 to 1; source_mask of Prepare Inpaint or "
                    "Outpaint.",
                ),
                io.Float.Input(
                    "feather",
                    default=4.0,
                    min=0.0,
                    max=256.0,
                    step=0.5,
                    tooltip="Width in px, inside the mask's edge, over which the result fades in, "
                    "0 to 256. Nothing outside the mask ever changes.",
                ),
                sockets.Canvas.Input(
                    "canvas",
                    optional=True,
                    tooltip="From Prepare Inpaint, Prepare Outpaint or Fit to Canvas; puts the "
                    "result in its place in the source.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="image")],
        )

    @classmethod
    def run(cls, source, result, mask, feather, canvas=None):
        below, above = to_channels_first(source), to_channels_first(result)
        if canvas is not None:
            behind, above = to_image_01(source), to_image_01(result)
            if len(above) == 1:
                above = above.expand(len(behind), -1, -1, -1)
            above = canvas.restore_image(above, behind)
        masks = as_masks(mask)
        laid = composite(below, above, masks, feather)
        said = notes.shown(notes.of_empty_masks(masks))
        shown = views.pair(below, laid, ("source", "result"))
        return io.NodeOutput(to_channels_last(laid), ui={**shown, **said})
