"""The answer that a decoder reads, its source picture and its canvas: inputs and sizes."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.canvas.images import resize_image
from ...pixwizard_core.errors import DecodeError
from ...pixwizard_core.tasks import COLOURS, FIRST_COLOUR
from ..shared import sockets
from ..shared.inputs import AUTO
from ..shared.layouts import size_of, to_image_01
from ..shared.page_data import for_new_nodes


def answer_image():
    return io.Image.Input(
        "image", tooltip="What the model painted, from VAE Decode. Any size in px."
    )


def source_image():
    return io.Image.Input(
        "source",
        optional=True,
        tooltip="The picture given to the model, at its own size (with the canvas) or as fitted. "
        "Objects in it that already have the colour are then ignored.",
    )


def canvas_input():
    return sockets.Canvas.Input(
        "canvas",
        optional=True,
        tooltip="From Fit to Canvas: brings the result back to the size of the source picture.",
    )


def colour_combo(what: str):
    return for_new_nodes(
        io.Combo.Input(
            "colour",
            options=[*COLOURS, AUTO],
            default=FIRST_COLOUR,
            tooltip=f"Colour of the {what} that the instruction asked for. {AUTO}: what about says "
            f"of it, else {FIRST_COLOUR}.",
        ),
        AUTO,
    )


def at_source_size(image, canvas):
    """Host IMAGE as (B, 3, H, W) in 0..1. With a canvas, restored to the source's size."""
    image_01 = to_image_01(image)
    return image_01 if canvas is None else canvas.restore_image(image_01)


def source_as_answer(source, answer_01, canvas):
    """Host IMAGE source as (B, 3, H, W) of the answer's size, or None without a source.

    With a canvas, the answer may also be an enlargement of it. Raises DecodeError if the sizes do
    not fit, and CanvasError if the answer does not belong to the canvas.
    """
    if source is None:
        return None
    source_01 = to_image_01(source)
    if source_01.shape[-2:] == answer_01.shape[-2:]:
        return source_01
    if canvas is not None and size_of(source_01) == canvas.source:
        source_01 = canvas.fit_image(source_01)
    if canvas is not None and size_of(source_01) == canvas.model:
        canvas.of(0).content_of(answer_01)
        return resize_image(source_01, *answer_01.shape[-2:])
    size = source_01.shape[-2:]
    raise DecodeError(
        f"the source picture is {size[1]} x {size[0]} px, the answer {answer_01.shape[-1]} x "
        f"{answer_01.shape[-2]} px; connect the canvas too, or the picture as it was fitted"
    )


def shown_source(source, answer_01, canvas):
    """The picture to draw on, at the size of the node's outputs: the source, or the answer without
    one."""
    shown = None if source is None else to_image_01(source)
    if canvas is None:
        return answer_01 if shown is None else shown
    wanted = (canvas.source.height, canvas.source.width)
    if shown is not None and tuple(shown.shape[-2:]) == wanted:
        return shown
    return canvas.restore_image(answer_01 if shown is None else shown)
