"""Classes of the answer, by the colours of a palette."""

from __future__ import annotations

import json
import logging

from comfy_api.latest import io

from ...pixwizard_core.decode import segments
from ..host.versions import schema
from ..shared import views
from ..shared.base import Node
from ..shared.inputs import AUTO, palette_combo, palette_of, palette_text
from ..shared.layouts import from_image_01, from_mask, to_image_01
from ..shared.page_data import for_new_nodes
from . import asked_for
from .answer import answer_image, canvas_input

MAX_CLASS_PX = 1 << 26  # of all masks of classes together, 4 bytes each


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
                for_new_nodes(
                    palette_combo(
                        "Colours in which the model paints classes: ADE20K for the released model. "
                        f"{AUTO}: those of the model that Instruction knows.",
                        AUTO,
                    ),
                    AUTO,
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
                asked_for.about("palette"),
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
        cls, image, palette, classes, canvas=None, max_distance=0.0, min_area=0, palette_text="",
        about=None,
    ):  # fmt: skip
        palette, said, meant = asked_for.palette_by(about, palette, palette_text)
        said = [*asked_for.compared(about, "segmentation"), *said]
        colours = palette_of(palette, palette_text)
        if mixed := segments.not_told_apart(classes, colours):
            logging.warning(
                "PixWizard: the mask holds %s, which this palette paints in one colour",
                ", ".join(mixed),
            )
        labels = segments.decode_segments(to_image_01(image), colours, max_distance or None).labels
        labels = labels if canvas is None else canvas.restore_labels(labels)
        labels = segments.drop_speckles(labels, min_area) if min_area > 1 else labels
        entries = segments.legend(labels, colours)
        fitting = max(1, MAX_CLASS_PX // labels.numel())
        present = [entry for entry in entries if entry.index][:fitting]
        legend = [entry.values() for entry in entries]
        painted = segments.paint(labels, colours)
        names = {entry.index: entry.name for entry in entries}
        return io.NodeOutput(
            from_image_01(painted),
            from_mask(segments.class_mask(labels, classes, colours)),
            json.dumps(legend),
            [from_mask(labels == e.index) for e in present] or [from_mask(labels < 0)],
            [entry.name for entry in present] or [""],
            ui={
                "pixwizard_legend": legend,
                **views.classes(painted, labels, names),
                **asked_for.as_ui(about, said),
                **meant,
            },
        )
