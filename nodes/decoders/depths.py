"""Depth as numbers: several runs merged, and metres."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode import depth as depths
from ...pixwizard_core.decode.merge import merge_depths
from ...pixwizard_core.errors import DecodeError
from ..host.files import schema
from ..shared import views
from ..shared.base import Node
from ..shared.exact import to_values
from ..shared.inputs import metres_input, near_combo
from ..shared.tensors import from_image_01, to_image_01
from .decode import at_source_size, canvas_input


class MergeDepths(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "MergeDepths",
            display_name="PixWizard Merge Depths",
            description="Merges several depth runs of one picture with different seeds: brings "
            "them to a common scale and shift, takes the median of each pixel, and shows how far "
            "the runs differ.",
            search_aliases=["ensemble", "average depth", "uncertainty"],
            inputs=[
                io.Image.Input(
                    "depths", tooltip="The runs as a batch, all with the same shade for near."
                ),
                io.Int.Input(
                    "runs",
                    default=0,
                    min=0,
                    max=256,
                    tooltip="Number of consecutive pictures in the batch that belong together, 1 "
                    "to 256; 0 merges the whole batch.",
                ),
                io.Boolean.Input(
                    "align",
                    default=True,
                    tooltip="First fit each run to the others by scale and shift, because the "
                    "model's depth is relative.",
                ),
                canvas_input(),
            ],
            outputs=[
                io.Image.Output("depth", display_name="depth"),
                io.Image.Output(
                    "uncertainty",
                    display_name="uncertainty",
                    tooltip="Standard deviation of the runs at each pixel, in the unit of depth.",
                ),
                io.Image.Output(
                    "picture",
                    display_name="picture",
                    tooltip="The uncertainty in colours, from 0 (dark) to its largest.",
                ),
            ],
        )

    @classmethod
    def run(cls, depths, runs, align, canvas=None):
        stack = at_source_size(depths, canvas).mean(1)
        runs = runs or len(stack)
        if len(stack) % runs:
            raise DecodeError(f"{len(stack)} depth pictures cannot be split into runs of {runs}")
        merged = [merge_depths(part, align=align) for part in stack.split(runs)]
        depth = torch.stack([one.depth for one in merged])
        uncertainty = torch.stack([one.uncertainty for one in merged])
        return io.NodeOutput(
            from_image_01(depth), from_image_01(uncertainty), from_image_01(painted(uncertainty))
        )


def painted(uncertainty):
    largest = float(uncertainty.max())
    return depths.colourise(uncertainty / largest if largest > 0 else uncertainty, "magma")


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


NODES = (MergeDepths, DepthToMetres)
