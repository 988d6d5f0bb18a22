"""Turn highlights, lines and normals that the model painted into masks and clean pictures."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode import edges, masks
from ...pixwizard_core.decode.normals import decode_normals, paint_normals
from ...pixwizard_core.decode.overlay import overlay
from ...pixwizard_core.errors import DecodeError
from ..host.files import schema
from ..shared import views
from ..shared.base import Node
from ..shared.inputs import (
    answer_image,
    cleanup_inputs,
    cleanup_of,
    colour_combo,
    shown_source,
    source_as_answer,
    source_image,
)
from ..shared.page_data import objects_found
from ..shared.tensors import (
    MAX_OBJECTS,
    from_image_01,
    from_mask,
    separate_objects,
    stack_masks,
    to_image_01,
)
from .decode import at_source_size, canvas_input

METHODS = ("auto", "alpha", "hsv")


class DecodeHighlight(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeHighlight",
            display_name="PixWizard Decode Highlight",
            description="Turns what the model tinted into a mask of the source's size. Values are "
            "exactly 0 and 1 (unless feathered), all zero if nothing was found. Also gives one "
            f"mask for each of the {MAX_OBJECTS} largest separate objects of a picture, largest "
            "first.",
            search_aliases=["referring segmentation", "tint", "select"],
            is_output_node=True,
            inputs=[
                answer_image(),
                colour_combo("highlight"),
                io.Combo.Input(
                    "method",
                    options=list(METHODS),
                    default=METHODS[0],
                    tooltip="alpha: how much of the colour was blended over the source; more "
                    "accurate, needs the source. hsv: vivid pixels of the colour's hue, as in the "
                    "paper; needs no source. auto: alpha if there is a source.",
                ),
                *cleanup_inputs(),
                source_image(),
                canvas_input(),
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
        cls, image, colour, method, fill_holes, min_area, largest_only, grow, feather,
        source=None, canvas=None,
    ):  # fmt: skip
        answer = to_image_01(image)
        asked = source_as_answer(source, answer, canvas)
        if method == "alpha" and asked is None:
            raise DecodeError("method alpha compares with the source picture; connect source")
        if method == "hsv" or asked is None:
            found = masks.decode_highlight_hsv(answer, colour)
        else:
            found = masks.decode_highlight(answer, asked, colour)
        found = found if canvas is None else canvas.restore_mask(found)
        found = masks.clean(found, cleanup_of(fill_holes, min_area, largest_only, grow))
        soft = masks.clean(found, masks.Cleanup(feather=feather))
        apart = separate_objects(found)
        shown = shown_source(source, answer, canvas)
        return io.NodeOutput(
            from_mask(soft),
            stack_masks(apart, found),
            len(apart),
            from_image_01(overlay(shown, soft, colour)),
            ui={**objects_found(apart), **views.overlay(shown, soft, colour)},
        )


class DecodeEdges(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeEdges",
            display_name="PixWizard Decode Edges",
            description="Reads the lines of a canny, HED, sketch, line-art or pose answer: the "
            "unchanged picture at the source's size, and the lines as a mask, thinned to one px if "
            "you want.",
            search_aliases=["canny", "hed", "lineart", "thin lines", "skeleton"],
            inputs=[
                answer_image(),
                io.Combo.Input(
                    "lines",
                    options=["light", "dark"],
                    default="light",
                    tooltip="Whether lines are lighter or darker than their background.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How far from the background's shade to the line's a pixel must be, 0 to 1."
                    ),
                ),
                io.Boolean.Input(
                    "thin",
                    default=False,
                    tooltip="Thin lines to a width of 1 px; lines wider than "
                    f"{2 * edges.MAX_THINNING} px keep a core.",
                ),
                canvas_input(),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture"),
                io.Mask.Output("mask", display_name="mask"),
            ],
        )

    @classmethod
    def run(cls, image, lines, threshold, thin, canvas=None):
        dark = lines == "dark"
        answer = at_source_size(image, canvas)
        mask = edges.decode_edges(answer, threshold, dark=dark, thinned=thin)
        if canvas is not None:
            mask &= canvas.covered().to(mask.device)  # dark lines: what was cropped off is no line
        return io.NodeOutput(from_image_01(answer), from_mask(mask))


class DecodeNormals(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeNormals",
            display_name="PixWizard Decode Normals",
            description="Normalises surface directions to length one and encodes them as (n + 1) / "
            "2: red to the right, green up, blue towards the viewer, unless flipped. Pixels "
            "without a direction face the viewer.",
            search_aliases=["normal map", "flip green", "directx opengl"],
            inputs=[
                answer_image(),
                io.Combo.Input(
                    "green",
                    options=["up", "down"],
                    default="up",
                    tooltip="Direction of full green: up as in OpenGL, or down as in DirectX.",
                ),
                io.Combo.Input(
                    "red",
                    options=["right", "left"],
                    default="right",
                    tooltip="Direction of full red.",
                ),
                canvas_input(),
            ],
            outputs=[io.Image.Output("normals", display_name="normals")],
        )

    @classmethod
    def run(cls, image, green, red, canvas=None):
        flip_y = green == "down"
        flip_x = red == "left"
        normals = decode_normals(at_source_size(image, canvas))
        if canvas is not None:
            seen = canvas.covered().to(normals.device).expand(len(normals), -1, -1)[:, None]
            viewer = normals.new_tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
            normals = torch.where(seen, normals, viewer)
        return io.NodeOutput(from_image_01(paint_normals(normals, flip_x=flip_x, flip_y=flip_y)))


NODES = (DecodeHighlight, DecodeEdges, DecodeNormals)
