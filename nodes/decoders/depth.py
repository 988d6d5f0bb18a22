"""Depth of the answer: grey, coloured, in metres and for ControlNets."""

from __future__ import annotations

import logging

from comfy_api.latest import io

from ...pixwizard_core.decode import depth as depths
from ...pixwizard_core.decode.common import picture
from ...pixwizard_core.decode.polarity import (
    CLEAR,
    DEFAULT_NEAR,
    NEAR_CHOICES,
    Polarity,
    near_is_white,
)
from ..host.versions import schema
from ..shared import notes, views
from ..shared.base import Node
from ..shared.inputs import metres_input, near_combo
from ..shared.layouts import from_image_01, to_image_01, to_values
from ..shared.page_data import for_new_nodes, used_when
from . import asked_for
from .answer import answer_image, at_source_size, canvas_input

METRES, RELATIVE, AUTO = UNITS = ("metres", "relative", "auto")
STRETCHES = ("none", "image", "batch", "fixed")


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
                io.Combo.Input(
                    "answer_near",
                    options=list(NEAR_CHOICES),
                    default=DEFAULT_NEAR,
                    optional=True,
                    tooltip="Shade of near objects in the answer. The released model was trained "
                    "on both, mostly white. auto looks at each picture: the floor is nearer than "
                    "the sky. What it finds is shown on the node, with the correlation.",
                ),
                for_new_nodes(
                    io.Combo.Input(
                        "units",
                        options=list(UNITS),
                        default=METRES,
                        optional=True,
                        tooltip="What the node shows at the pointer. metres: by nearest and "
                        "farthest. relative: 0 = far to 1 = near. auto: metres once one of these "
                        "is not at its default of 0 or 10. The output metres is in metres with all "
                        "three.",
                    ),
                    AUTO,
                ),
                asked_for.about(),
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
        near_m=depths.METRES[0], far_m=depths.METRES[1], answer_near=DEFAULT_NEAR,
        units=METRES, about=None,
    ):  # fmt: skip
        black = near == "black"
        painted = picture(at_source_size(image, canvas)).mean(1)
        seen = None if canvas is None else canvas.covered().to(painted.device)
        painted, read = near_is_white(painted, answer_near, seen)
        said = [*asked_for.compared(about, "depth"), *looked(read)]
        limits = {"percentiles": (clip_percent, 100 - clip_percent), "seen": seen}
        depth = 1 - painted if black else painted
        depth = depths.normalise(depth, normalise, low=low, high=high, **limits)
        stretch = normalise if normalise in ("image", "batch") else "image"
        colours = depths.colourise(depth, colour_map)
        metres = depths.to_metres(painted, near_m, far_m)
        if shows_metres(units, near_m, far_m):
            read_out = views.measured(colours, metres, "m", (near_m, far_m))
        else:
            read_out = views.measured(colours, painted, "")
            said.append(notes.note("relative"))
        return io.NodeOutput(
            from_image_01(depth),
            from_image_01(colours),
            to_values(metres),
            from_image_01(depths.normalise(painted, stretch, **limits)),
            ui={**read_out, **asked_for.as_ui(about, said)},
        )


def shows_metres(units: str, near_m: float, far_m: float) -> bool:
    """Whether the view is in metres. A range that nobody set is none."""
    return units == METRES or (units == AUTO and (near_m, far_m) != depths.METRES)


def looked(read: list[Polarity]) -> list[notes.Note]:
    """What auto saw in each picture, also for the log."""
    said = []
    for number, one in enumerate(read, 1):
        if one.correlation is not None:
            logging.info("PixWizard: depth %d: %s", number, one.said())
            say = "near_seen" if abs(one.correlation) >= CLEAR else "near_unclear"
            values = {"near": one.near, "correlation": f"{one.correlation:+.2f}"}
            said.append(notes.note(say, number=number, **values))
    return said


class DepthToMetres(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DepthToMetres",
            display_name="PixWizard Depth to Metres",
            description="Converts depth from 0 to 1 to metres in a float picture. Values exceed 1 "
            "on purpose: it is for nodes that compute with it, not for viewing.",
            search_aliases=["metric depth"],
            is_output_node=True,
            inputs=[
                io.Image.Input("depth", tooltip="Depth from 0 to 1, from Decode Depth."),
                metres_input("near", depths.METRES[0]),
                metres_input("far", depths.METRES[1]),
                near_combo(),
            ],
            outputs=[io.Image.Output("metres", display_name="metres")],
        )

    @classmethod
    def run(cls, depth, near_m, far_m, near):
        white = near == "white"
        grey = to_image_01(depth).mean(1)
        metres = depths.to_metres(grey, near_m, far_m, white_is_near=white)
        colours = depths.colourise(grey if white else 1 - grey)
        shown = views.measured(colours, metres, "m", (near_m, far_m))
        return io.NodeOutput(to_values(metres), ui=shown)
