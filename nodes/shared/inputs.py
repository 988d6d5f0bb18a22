"""Inputs that several nodes share, so that they look the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from comfy_api.latest import io

from ...pixwizard_core import canvas as canvases
from ...pixwizard_core.decode import palette as palettes
from ...pixwizard_core.decode.read_boxes import FORMS, READ_FORMS, XYXY
from ...pixwizard_core.seeds import LARGEST_SEED
from .page_data import for_new_nodes, used_when

AS_SET, AUTO = "as set", "auto"
SHADES = ("white", "black")
PALETTES = tuple(palettes.BUNDLED)


def seed_input(tooltip: str):
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=LARGEST_SEED,
        control_after_generate=True,
        tooltip=tooltip,
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


def palette_combo(tooltip: str, *more: str):
    """more: choices behind the palettes."""
    return io.Combo.Input(
        "palette", options=[*PALETTES, *more], default=PALETTES[0], tooltip=tooltip
    )


def palette_text():
    return io.String.Input(
        "palette_text",
        default="",
        multiline=True,
        optional=True,
        tooltip="Your own classes instead of the palette, as a JSON object of names and colours "
        '("sky": [6, 230, 230]), or as CSV with the first line name,r,g,b or '
        "name,colour (#rrggbb). Empty for none.",
    )


def palette_of(name: str, text: str = ""):
    """The palette chosen, or the one in text. Raises InstructionError or DecodeError."""
    if text.strip():
        return palettes.read_palette(text, "your palette")
    return palettes.bundled_palette(name)


def centre_and_fit():
    return (
        used_when(
            io.Int.Input(
                "centre",
                default=512,
                min=0,
                max=2048,
                step=16,
                tooltip="Area to work at, as the side in px of a square of that area, in multiples "
                "of 16: 128 for PixWizard Tiny; 512, 768 or 1024 for the released model. 0 picks "
                "the closest aspect ratio of those three.",
            ),
            centre_by=[AS_SET],
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


def centre_by_inputs():
    """The last inputs of a node with a centre: whether it is chosen by the picture."""
    return (
        for_new_nodes(
            io.Combo.Input(
                "centre_by",
                options=[AS_SET, AUTO],
                default=AS_SET,
                optional=True,
                tooltip=f"{AS_SET}: uses the working size. {AUTO}: the trained area nearest to the "
                "picture's own, at most 1024: of the connected model, or else of the released one.",
            ),
            AUTO,
        ),
        io.Model.Input(
            "model",
            optional=True,
            tooltip=f"The model that the picture is for; with {AUTO}, its trained areas are used. "
            "Connect PixWizard Tiny here, which works at 128.",
        ),
    )


def centres_of(
    centre: int, centre_by: str = AS_SET, trained: Sequence[int] = canvases.CENTRES
) -> tuple[int, ...]:
    """Centres for canvas.plan(). trained: those of the model, in px, for auto."""
    if centre_by == AUTO:
        return canvases.centres_for(None, trained)
    return (centre,) if centre else canvases.CENTRES
