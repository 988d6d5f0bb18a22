"""Inputs that several nodes share, so that they look the same everywhere."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import canvas as canvases
from ...pixwizard_core.canvas.images import resize_image
from ...pixwizard_core.decode import palette as palettes
from ...pixwizard_core.decode.masks import Cleanup
from ...pixwizard_core.decode.read_boxes import FORMS, READ_FORMS, XYXY
from ...pixwizard_core.errors import DecodeError
from ...pixwizard_core.tasks import COLOURS
from .tensors import to_image_01

SHADES = ("white", "black")
PALETTES = tuple(palettes.BUNDLED)


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


def colour_combo(what: str):
    return io.Combo.Input(
        "colour",
        options=list(COLOURS),
        default=next(iter(COLOURS)),
        tooltip=f"Colour of the {what} that the instruction asked for.",
    )


def near_combo(what: str = "near objects"):
    return io.Combo.Input(
        "near",
        options=list(SHADES),
        default=SHADES[0],
        tooltip=f"Shade of {what} in the depth picture; PixWizard Decode Depth gives white.",
    )


def metres_input(name: str, default: float, *, optional: bool = False):
    shade = {"near": "nearest", "far": "farthest"}[name]
    return io.Float.Input(
        f"{name}_m",
        default=default,
        min=0.0,
        max=100000.0,
        step=0.01,
        optional=optional,
        tooltip=f"Distance of the {shade} shade in metres, 0 to 100000. The model's depth is "
        "relative; 0 and 10 m are usual indoors.",
    )


def bbox_format(consumers: str = "the bboxes output"):
    return io.Combo.Input(
        "format",
        options=list(FORMS),
        default=XYXY,
        optional=True,
        tooltip=f"What {consumers} holds. xyxy: x1, y1, x2, y2, as Florence, SAM2 and most packs "
        "read BBOX. xywh: x, y, width, height, for KJNodes and Easy-Use.",
    )


def read_format(id: str, boxes: str):
    return io.Combo.Input(
        id,
        options=list(READ_FORMS),
        default=XYXY,
        optional=True,
        tooltip=f"What lists of four numbers in {boxes} are. xyxy: x1, y1, x2, y2. xywh: x, y, "
        "width, height, as KJNodes and Easy-Use give them. auto: the only one of both that is "
        "possible, else an error. BOUNDING_BOX and Florence data say it themselves.",
    )


def palette_combo(tooltip: str):
    return io.Combo.Input("palette", options=list(PALETTES), default=PALETTES[0], tooltip=tooltip)


def palette_text():
    return io.String.Input(
        "palette_text",
        default="",
        multiline=True,
        optional=True,
        tooltip='Your own classes instead of the palette, as JSON {"sky": [6, 230, 230]} or as CSV '
        "with the first line name,r,g,b or name,colour (#rrggbb). Empty for none.",
    )


def palette_of(name: str, text: str = ""):
    """The palette chosen, or the one written down. Raises InstructionError or DecodeError."""
    if text.strip():
        return palettes.read_palette(text, "your palette")
    return palettes.bundled_palette(name)


def centre_and_fit():
    return (
        io.Int.Input(
            "centre",
            default=512,
            min=0,
            max=2048,
            step=16,
            tooltip="Area to work at, as the side in px of a square of that area, in multiples of "
            "16: 128 for PixWizard Tiny; 512, 768 or 1024 for the released model. 0 picks the "
            "closest aspect ratio of those three.",
        ),
        io.Combo.Input(
            "fit",
            options=list(canvases.FITS),
            default=canvases.FITS[0],
            tooltip="stretch: the whole picture, slightly distorted (as in training). pad: the "
            "whole picture, undistorted, with its border repeated. crop: undistorted, margins cut "
            "off.",
        ),
    )


def cleanup_inputs():
    return (
        io.Boolean.Input(
            "fill_holes", default=False, tooltip="Also select regions that the selection encloses."
        ),
        io.Int.Input(
            "min_area",
            default=0,
            min=0,
            max=1 << 24,
            tooltip="Drop objects smaller than this, in square px of the source; 0 keeps all.",
        ),
        io.Boolean.Input(
            "largest_only",
            default=False,
            tooltip="Keep only the largest object of each picture.",
        ),
        io.Int.Input(
            "grow",
            default=0,
            min=-256,
            max=256,
            tooltip="Grow the selection by this many px, or shrink it if negative, -256 to 256.",
        ),
        io.Float.Input(
            "feather",
            default=0.0,
            min=0.0,
            max=256.0,
            step=0.5,
            tooltip="Soften the edge over about this many px, 0 to 256. 0 keeps the mask binary.",
        ),
    )


def cleanup_of(fill_holes, min_area, largest_only, grow) -> Cleanup:
    return Cleanup(fill_holes, min_area, largest_only, grow)


def centres_of(centre: int) -> tuple[int, ...]:
    return (centre,) if centre else canvases.CENTRES


def source_as_answer(source, answer_01, canvas):
    """Host IMAGE source as (B, 3, H, W) of the answer's size, or None. With a canvas, of an
    upscaled answer's size too. Raises DecodeError, or CanvasError for an answer that is none of the
    canvas."""
    if source is None:
        return None
    source_01 = to_image_01(source)
    if source_01.shape[-2:] == answer_01.shape[-2:]:
        return source_01
    if canvas is not None and _size(source_01) == canvas.source:
        source_01 = canvas.fit_image(source_01)
    if canvas is not None and _size(source_01) == canvas.model:
        canvas.of(0).content_of(answer_01)
        return resize_image(source_01, *answer_01.shape[-2:])
    size = source_01.shape[-2:]
    raise DecodeError(
        f"the source picture is {size[1]} x {size[0]} px, the answer {answer_01.shape[-1]} x "
        f"{answer_01.shape[-2]} px; connect the canvas too, or the picture as it was fitted"
    )


def _size(picture_01):
    """(width, height) in px, as canvases have it."""
    height, width = picture_01.shape[-2:]
    return width, height


def shown_source(source, answer_01, canvas):
    """What to draw on, at the size that the node gives out: the source, else the answer."""
    shown = None if source is None else to_image_01(source)
    if canvas is None:
        return answer_01 if shown is None else shown
    wanted = (canvas.source.height, canvas.source.width)
    if shown is not None and tuple(shown.shape[-2:]) == wanted:
        return shown
    return canvas.restore_image(answer_01 if shown is None else shown)
