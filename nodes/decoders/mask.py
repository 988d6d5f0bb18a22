"""What the model painted white or tinted, as a mask and as separate objects."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.decode import masks
from ...pixwizard_core.decode.common import same_size
from ...pixwizard_core.errors import DecodeError
from ..host.versions import schema
from ..shared.base import Node
from ..shared.layouts import to_image_01
from ..shared.page_data import used_when
from . import asked_for
from .answer import (
    answer_image,
    at_source_size,
    canvas_input,
    colour_combo,
    shown_source,
    source_as_answer,
    source_image,
)
from .selection import MAX_OBJECTS, cleanup_inputs, selection, selection_outputs

THRESHOLDS = ("fixed", "otsu")
METHODS = ("auto", "alpha", "hsv")


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
                asked_for.about(),
            ],
            outputs=[*selection_outputs()],
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
        about=None,
    ):
        answer = at_source_size(image, canvas)
        behind = answer if source is None else same_size(answer, to_image_01(source))
        answer = answer.expand(max(len(answer), len(behind)), -1, -1, -1)
        by_otsu = threshold_by == "otsu"
        selected = masks.decode_mask(answer, "otsu" if by_otsu else threshold)
        cleanup = masks.Cleanup(fill_holes, min_area, largest_only, grow, feather)
        return selection(selected, behind, cleanup, about, asked_for.compared(about, "mask"))


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
                asked_for.about("colour"),
            ],
            outputs=[*selection_outputs()],
        )

    @classmethod
    def run(
        cls, image, colour, method, fill_holes, min_area, largest_only, grow, feather,
        source=None, canvas=None, about=None,
    ):  # fmt: skip
        colour, said, meant = asked_for.colour_of(about, colour)
        said = [*asked_for.compared(about, "highlight"), *said]
        answer = to_image_01(image)
        asked = source_as_answer(source, answer, canvas)
        if method == "alpha" and asked is None:
            raise DecodeError("method alpha compares with the source picture; connect source")
        if method == "hsv" or asked is None:
            found = masks.decode_highlight_hsv(answer, colour)
        else:
            found = masks.decode_highlight(answer, asked, colour)
        found = found if canvas is None else canvas.restore_mask(found)
        cleanup = masks.Cleanup(fill_holes, min_area, largest_only, grow, feather)
        behind = shown_source(source, answer, canvas)
        return selection(found, behind, cleanup, about, said, colour, meant)
