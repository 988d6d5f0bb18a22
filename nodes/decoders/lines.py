"""Lines of the answer: edges, sketches, poses."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.decode import edges
from ..host.versions import schema
from ..shared import views
from ..shared.base import Node
from ..shared.layouts import from_image_01, from_mask
from . import asked_for
from .answer import answer_image, at_source_size, canvas_input


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
            is_output_node=True,
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
                asked_for.about(),
            ],
            outputs=[
                io.Image.Output("picture", display_name="picture"),
                io.Mask.Output("mask", display_name="mask"),
            ],
        )

    @classmethod
    def run(cls, image, lines, threshold, thin, canvas=None, about=None):
        dark = lines == "dark"
        answer = at_source_size(image, canvas)
        mask = edges.decode_edges(answer, threshold, dark=dark, thinned=thin)
        if canvas is not None:
            mask &= canvas.covered().to(mask.device)  # else dark lines include what was cropped off
        said = asked_for.as_ui(about, asked_for.compared(about, "edge", "pose"))
        shown = {**views.overlay(answer, mask), **covered(mask)}
        return io.NodeOutput(from_image_01(answer), from_mask(mask), ui={**shown, **said})


def covered(mask) -> dict[str, list]:
    """UI output: how much of each picture is lines. mask: bool (B, H, W)."""
    return {"pixwizard_lines": [{"area_percent": 100 * float(one.float().mean())} for one in mask]}
