"""Nodes behind the VAE: from what the model painted to data, and back to the source's size."""

from __future__ import annotations

import json
from dataclasses import asdict

from comfy_api.latest import io

from ..pixwizard_core.decode import depth as depths
from ..pixwizard_core.decode import masks, palette, segments
from ..pixwizard_core.decode.common import same_size
from ..pixwizard_core.decode.overlay import overlay
from ..pixwizard_core.demo.world import PALETTE
from ..pixwizard_core.errors import CanvasError
from . import sockets, views
from .host import choice, schema
from .inputs import answer_image, cleanup_inputs
from .page_data import objects_found
from .tensors import (
    MAX_OBJECTS,
    as_masks,
    from_image_01,
    from_mask,
    separate_objects,
    stack_masks,
    to_image_01,
    to_mask,
)

PALETTES = {
    "ADE20K (150 classes)": palette.ade20k,
    "PixWizard Tiny world": lambda: palette.Palette.from_mapping("PixWizard Tiny world", PALETTE),
}


def canvas_input():
    return sockets.Canvas.Input(
        "canvas",
        optional=True,
        tooltip="From Fit to Canvas: brings the result back to the size of the source picture.",
    )


def at_source_size(image, canvas):
    """Host IMAGE as (B, 3, H, W) in 0..1, taken back to the source's size when there is a
    canvas."""
    image_01 = to_image_01(image)
    return image_01 if canvas is None else canvas.restore_image(image_01)


class DecodeDepth(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeDepth",
            display_name="PixWizard Decode Depth",
            description="Depth as numbers in a grey picture (float32, near = 1), and the same in "
            "colours.",
            search_aliases=["depth map", "colorize depth"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                io.Combo.Input(
                    "near",
                    options=["white", "black"],
                    default="white",
                    tooltip="Shade of near things. white is what depth ControlNets expect.",
                ),
                io.Combo.Input(
                    "normalise",
                    options=list(depths.NORMALISATIONS[:3]),
                    default="none",
                    tooltip="Stretch to 0..1: none keeps the model's values, image stretches "
                    "each picture by itself, batch all by one range (no flicker in video).",
                ),
                io.Combo.Input(
                    "colour_map",
                    options=list(depths.COLOUR_MAPS),
                    default="spectral_r",
                    tooltip="Colours of the second output. A name ending in _r runs backwards.",
                ),
            ],
            outputs=[
                io.Image.Output("depth", display_name="depth"),
                io.Image.Output("picture", display_name="picture"),
            ],
        )

    @classmethod
    def execute(cls, image, near, normalise, colour_map, canvas=None):
        invert = choice(near, ("white", "black"), "near") == "black"
        depth = depths.decode_depth(at_source_size(image, canvas), invert=invert)
        depth = depths.normalise(depth, choice(normalise, depths.NORMALISATIONS[:3], "normalise"))
        colours = depths.colourise(depth, colour_map)
        return io.NodeOutput(
            from_image_01(depth), from_image_01(colours), ui=views.measured(colours, depth, "")
        )


class DecodeMask(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeMask",
            display_name="PixWizard Decode Mask",
            description="White parts of the answer as a mask of the source's size with values "
            "exactly 0 and 1 (unless feathered), all zero when nothing was found; and one mask "
            f"for each of the {MAX_OBJECTS} largest separate objects of a picture, largest first.",
            search_aliases=["segment", "threshold", "select"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Grey level above which a pixel is selected, 0 to 1.",
                ),
                *cleanup_inputs(),
                io.Image.Input(
                    "source",
                    optional=True,
                    tooltip="The picture Fit to Canvas got, to lay the mask on; without it the "
                    "answer is used.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask"),
                io.Mask.Output("objects", display_name="objects"),
                io.Int.Output("count", display_name="count"),
                io.Image.Output("picture", display_name="picture"),
            ],
        )

    @classmethod
    def execute(
        cls,
        image,
        threshold,
        fill_holes,
        min_area,
        largest_only,
        grow,
        feather,
        canvas=None,
        source=None,
    ):
        answer = at_source_size(image, canvas)
        selected = masks.decode_mask(answer, threshold)
        selected = masks.clean(selected, masks.Cleanup(fill_holes, min_area, largest_only, grow))
        soft = masks.clean(selected, masks.Cleanup(feather=feather))
        apart = separate_objects(selected)
        behind = answer if source is None else same_size(answer, to_image_01(source))
        return io.NodeOutput(
            from_mask(soft),
            stack_masks(apart, selected),
            len(apart),
            from_image_01(overlay(behind, soft)),
            ui={**objects_found(apart), **views.overlay(behind, soft)},
        )


class DecodeSegmentation(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeSegmentation",
            display_name="PixWizard Decode Segmentation",
            description="Classes by the nearest colour of a palette: a clean class picture, the "
            "legend as JSON, and a mask of the classes you name.",
            search_aliases=["semantic", "ade20k", "class mask"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                io.Combo.Input(
                    "palette",
                    options=list(PALETTES),
                    default=next(iter(PALETTES)),
                    tooltip="Colours the model paints classes in: ADE20K for the released model.",
                ),
                io.String.Input(
                    "classes",
                    default="*",
                    tooltip="Classes of the mask, names separated by commas; * and ? stand for "
                    "any text, a single * for every class but the background.",
                ),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture"),
                io.Mask.Output("mask", display_name="mask"),
                io.String.Output("legend", display_name="legend"),
            ],
        )

    @classmethod
    def execute(cls, image, palette, classes, canvas=None):
        colours = PALETTES[choice(palette, PALETTES, "palette")]()
        answer = to_image_01(image)
        labels = segments.decode_segments(answer, colours).labels
        labels = labels if canvas is None else canvas.restore_labels(labels)
        mask = segments.class_mask(labels, classes, colours)
        entries = [asdict(entry) for entry in segments.legend(labels, colours)]
        painted = segments.paint(labels, colours)
        names = {entry["index"]: entry["name"] for entry in entries}
        return io.NodeOutput(
            from_image_01(painted),
            from_mask(mask),
            json.dumps(entries),
            ui={"pixwizard_legend": entries, **views.classes(painted, labels, names)},
        )


class RestoreFromCanvas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            "RestoreFromCanvas",
            display_name="PixWizard Restore from Canvas",
            description="Brings a picture or a mask back to the exact size of the picture that "
            "Fit to Canvas got.",
            search_aliases=["resize back", "stitch"],
            inputs=[
                sockets.Canvas.Input("canvas", tooltip="From Fit to Canvas."),
                io.Image.Input(
                    "image", optional=True, tooltip="Picture of the canvas's size, from VAE Decode."
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Mask of the canvas's size; stays binary."
                ),
                io.Image.Input(
                    "source",
                    optional=True,
                    tooltip="The picture Fit to Canvas got; fills what fit = crop had cut off "
                    "(else black).",
                ),
            ],
            outputs=[
                io.Image.Output("restored", display_name="image"),
                io.Mask.Output("restored_mask", display_name="mask"),
            ],
        )

    @classmethod
    def execute(cls, canvas, image=None, mask=None, source=None):
        if image is None and mask is None:
            raise CanvasError("nothing to restore; connect an image, a mask or both")
        pixels = None if image is None else to_image_01(image)
        selected = to_mask(mask, pixels) if pixels is not None else as_masks(mask)
        if selected is None:
            selected = pixels.new_zeros(len(pixels), *pixels.shape[-2:])
        selected = canvas.restore_mask(selected)
        if pixels is None:
            return io.NodeOutput(from_image_01(selected), from_mask(selected))
        behind = None if source is None else to_image_01(source)
        restored = canvas.restore_image(pixels, behind)
        names = ("source", "image")
        shown = None if behind is None else views.pair(behind, restored, names)
        return io.NodeOutput(from_image_01(restored), from_mask(selected), ui=shown)


NODES = (DecodeDepth, DecodeMask, DecodeSegmentation, RestoreFromCanvas)
