"""An answer at the source's size with the source's edges, for any decoder."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.decode.sharpen import SHARPENED, at_source_size, not_sharpened
from ...pixwizard_core.errors import DecodeError
from ...pixwizard_core.tasks import FIRST_COLOUR
from ..host.versions import schema
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.layouts import from_image_01, to_image_01
from ..shared.question import about_input
from .answer import answer_image


class SharpenAnswer(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "SharpenAnswer",
            display_name="PixWizard Sharpen Answer",
            description="Brings an answer to the size of a large source so that masks, highlights, "
            "depth, normals and classes follow the edges of the source, instead of enlarging them "
            "plainly. Then connect a decoder, without the canvas.",
            search_aliases=["guided upsampling", "refine mask", "joint bilateral", "edge aware"],
            is_output_node=True,
            inputs=[
                answer_image(),
                io.Image.Input("source", tooltip="The picture given to Fit to Canvas."),
                sockets.Canvas.Input("canvas", tooltip="From Fit to Canvas."),
                about_input(
                    "From Instruction: what the picture answers, which decides how to sharpen it.",
                    optional=False,
                ),
            ],
            outputs=[io.Image.Output("sharpened", display_name="image")],
        )

    @classmethod
    def run(cls, image, source, canvas, about):
        if about.kind is None:
            raise DecodeError(
                "what your own words ask for is unknown, so the answer cannot be sharpened; choose "
                "a task in Instruction"
            )
        answer, behind = to_image_01(image), to_image_01(source)
        colour = about.words.get("colour", FIRST_COLOUR)
        plain = painted = at_source_size(about.kind, answer, behind, canvas, colour)
        said = []
        if not_sharpened(about.kind, canvas, answer):
            said = [notes.note("sharp_kind" if about.kind not in SHARPENED else "sharp_small")]
        else:
            painted = at_source_size(about.kind, answer, behind, canvas, colour, sharp=True)
        shown = views.pair(plain, painted, ("answer", "result"))
        return io.NodeOutput(from_image_01(painted), ui={**shown, **notes.shown(said)})
