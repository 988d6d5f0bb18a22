"""Nodes after the VAE: turn what the model painted into data, and restore the source's size."""

from __future__ import annotations

import json
from dataclasses import asdict

from comfy_api.latest import io

from ...pixwizard_core.decode import depth as depths
from ...pixwizard_core.decode import masks, segments
from ...pixwizard_core.decode.common import same_size
from ...pixwizard_core.decode.overlay import overlay
from ...pixwizard_core.errors import CanvasError
from ..host.files import schema
from ..shared import sockets, views
from ..shared.base import Node
from ..shared.exact import to_values
from ..shared.inputs import (
    answer_image,
    cleanup_inputs,
    metres_input,
    palette_combo,
    palette_of,
    palette_text,
)
from ..shared.page_data import objects_found, used_when
from ..shared.tensors import (
    MAX_OBJECTS,
    as_masks,
    from_image_01,
    from_mask,
    separate_objects,
    stack_masks,
    to_image_01,
    to_mask,
)

THRESHOLDS = ("fixed", "otsu")
MAX_CLASS_PX = 1 << 26  # of all masks of classes together, 4 bytes each
STRETCHES = ("none", "image", "batch", "fixed")


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


def fixed_range():
    for name, level in (("low", 0), ("high", 1)):
        yield used_when(
            io.Float.Input(
                name,
                default=float(level),
                min=0.0,
                max=1.0,
                step=0.001,
                optional=True,
                tooltip=f"With fixed: the depth that becomes {level}. 0 to 1.",
            ),
            normalise=["fixed"],
        )


class DecodeDepth(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeDepth",
            display_name="PixWizard Decode Depth",
            description="Reads depth from the answer: as numbers in a grey picture (float32, near "
            "= 1), in colours, in metres, and stretched as depth ControlNets expect.",
            search_aliases=["depth map", "colorize depth"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                io.Combo.Input(
                    "near",
                    options=["white", "black"],
                    default="white",
                    tooltip="Shade of near objects. Depth ControlNets expect white.",
                ),
                io.Combo.Input(
                    "normalise",
                    options=list(STRETCHES),
                    default="none",
                    tooltip="Stretch to 0..1. none keeps the model's values, image stretches each "
                    "picture by itself, batch uses one range for all (no flicker in video), fixed "
                    "uses low to high.",
                ),
                io.Combo.Input(
                    "colour_map",
                    options=list(depths.COLOUR_MAPS),
                    default="spectral_r",
                    tooltip="Colours of the second output. A name ending in _r is reversed.",
                ),
                *fixed_range(),
                io.Float.Input(
                    "clip_percent",
                    default=0.0,
                    min=0.0,
                    max=49.0,
                    step=0.1,
                    optional=True,
                    tooltip="With image and batch: percentage of the darkest and of the brightest "
                    "pixels that the range ignores, 0 to 49. 1 or 2 ignores stray pixels.",
                ),
                metres_input("near", depths.METRES[0], optional=True),
                metres_input("far", depths.METRES[1], optional=True),
            ],
            outputs=[
                io.Image.Output("depth", display_name="depth"),
                io.Image.Output("picture", display_name="picture"),
                io.Image.Output(
                    "metres",
                    display_name="metres",
                    tooltip="Metres as floats, from the model's own values, whatever near and "
                    "normalise say. Values exceed 1; use this output for computation, not for "
                    "viewing.",
                ),
                io.Image.Output(
                    "controlnet",
                    display_name="controlnet",
                    tooltip="Near is white, stretched to the full range 0..1, as depth ControlNets "
                    "were trained.",
                ),
            ],
        )

    @classmethod
    def run(
        cls, image, near, normalise, colour_map, canvas=None, low=0.0, high=1.0, clip_percent=0.0,
        near_m=depths.METRES[0], far_m=depths.METRES[1],
    ):  # fmt: skip
        black = near == "black"
        painted = depths.decode_depth(at_source_size(image, canvas))
        seen = None if canvas is None else canvas.covered().to(painted.device)
        limits = {"percentiles": (clip_percent, 100 - clip_percent), "seen": seen}
        depth = 1 - painted if black else painted
        depth = depths.normalise(depth, normalise, low=low, high=high, **limits)
        stretch = normalise if normalise in ("image", "batch") else "image"
        colours = depths.colourise(depth, colour_map)
        metres = depths.to_metres(painted, near_m, far_m)
        return io.NodeOutput(
            from_image_01(depth),
            from_image_01(colours),
            to_values(metres),
            from_image_01(depths.normalise(painted, stretch, **limits)),
            ui=views.measured(colours, metres, "m", (near_m, far_m)),
        )


class DecodeMask(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeMask",
            display_name="PixWizard Decode Mask",
            description="Turns the white parts of the answer into a mask of the source's size. "
            "Values are exactly 0 and 1 (unless feathered), all zero if nothing was found. Also "
            f"gives one mask for each of the {MAX_OBJECTS} largest separate objects of a picture, "
            "largest first.",
            search_aliases=["segment", "threshold", "select"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                used_when(
                    io.Float.Input(
                        "threshold",
                        default=0.5,
                        min=0.0,
                        max=1.0,
                        step=0.01,
                        tooltip="Grey level above which a pixel is selected, 0 to 1.",
                    ),
                    threshold_by=[THRESHOLDS[0]],
                ),
                *cleanup_inputs(),
                io.Image.Input(
                    "source",
                    optional=True,
                    tooltip="The picture given to Fit to Canvas, as background for the mask. "
                    "Without it, the answer is used.",
                ),
                io.Combo.Input(
                    "threshold_by",
                    options=list(THRESHOLDS),
                    default=THRESHOLDS[0],
                    optional=True,
                    tooltip="fixed: the threshold above. otsu: for each picture, the grey level "
                    "that best separates its dark from its bright pixels.",
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
    def run(
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
        threshold_by="fixed",
    ):
        answer = at_source_size(image, canvas)
        behind = answer if source is None else same_size(answer, to_image_01(source))
        answer = answer.expand(max(len(answer), len(behind)), -1, -1, -1)
        by_otsu = threshold_by == "otsu"
        selected = masks.decode_mask(answer, "otsu" if by_otsu else threshold)
        selected = masks.clean(selected, masks.Cleanup(fill_holes, min_area, largest_only, grow))
        soft = masks.clean(selected, masks.Cleanup(feather=feather))
        apart = separate_objects(selected)
        return io.NodeOutput(
            from_mask(soft),
            stack_masks(apart, selected),
            len(apart),
            from_image_01(overlay(behind, soft)),
            ui={**objects_found(apart), **views.overlay(behind, soft)},
        )


class DecodeSegmentation(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeSegmentation",
            display_name="PixWizard Decode Segmentation",
            description="Assigns classes by the nearest colour of a palette: a clean class "
            "picture, the legend as JSON, a mask of the classes you name, and one mask for each "
            "class present.",
            search_aliases=["semantic", "ade20k", "class mask"],
            is_output_node=True,
            inputs=[
                answer_image(),
                canvas_input(),
                palette_combo(
                    "Colours in which the model paints classes: ADE20K for the released model."
                ),
                io.String.Input(
                    "classes",
                    default="*",
                    tooltip="Names of the classes for the mask, separated by commas. * matches any "
                    "text, ? one character, and * alone every class except the background.",
                ),
                io.Float.Input(
                    "max_distance",
                    default=0.0,
                    min=0.0,
                    max=442.0,
                    step=1.0,
                    optional=True,
                    tooltip="Colours farther than this from every class become background, in "
                    "steps of 8-bit RGB, 0 to 442. About 60 drops the blended colours along "
                    "borders. 0 is off.",
                ),
                io.Int.Input(
                    "min_area",
                    default=0,
                    min=0,
                    max=1 << 24,
                    optional=True,
                    tooltip="Regions smaller than this, in square px of the source, join the class "
                    "around them; 0 keeps all.",
                ),
                palette_text(),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture"),
                io.Mask.Output("mask", display_name="mask"),
                io.String.Output("legend", display_name="legend"),
                io.Mask.Output(
                    "class_masks",
                    display_name="class_masks",
                    is_output_list=True,
                    tooltip="A list with one mask for each class present except the background, "
                    "largest first, as many as fit into 256 MB. One empty mask if there are none.",
                ),
                io.String.Output(
                    "class_names",
                    display_name="class_names",
                    is_output_list=True,
                    tooltip="The names of the classes in class_masks.",
                ),
            ],
        )

    @classmethod
    def run(
        cls, image, palette, classes, canvas=None, max_distance=0.0, min_area=0, palette_text=""
    ):
        colours = palette_of(palette, palette_text)
        labels = segments.decode_segments(to_image_01(image), colours, max_distance or None).labels
        labels = labels if canvas is None else canvas.restore_labels(labels)
        labels = segments.drop_speckles(labels, min_area) if min_area > 1 else labels
        entries = segments.legend(labels, colours)
        fitting = max(1, MAX_CLASS_PX // labels.numel())
        present = [entry for entry in entries if entry.index][:fitting]
        legend = [asdict(entry) for entry in entries]
        painted = segments.paint(labels, colours)
        names = {entry.index: entry.name for entry in entries}
        return io.NodeOutput(
            from_image_01(painted),
            from_mask(segments.class_mask(labels, classes, colours)),
            json.dumps(legend),
            [from_mask(labels == e.index) for e in present] or [from_mask(labels < 0)],
            [entry.name for entry in present] or [""],
            ui={"pixwizard_legend": legend, **views.classes(painted, labels, names)},
        )


class RestoreFromCanvas(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "RestoreFromCanvas",
            display_name="PixWizard Restore from Canvas",
            description="Brings a picture or a mask back to the exact size of the picture given to "
            "Fit to Canvas.",
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
                    tooltip="The picture given to Fit to Canvas. It fills the margins that fit = "
                    "crop cut off (black without it).",
                ),
            ],
            outputs=[
                io.Image.Output("restored", display_name="image"),
                io.Mask.Output("restored_mask", display_name="mask"),
            ],
        )

    @classmethod
    def run(cls, canvas, image=None, mask=None, source=None):
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
