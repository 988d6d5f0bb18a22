"""Several depth runs of one picture merged into one."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode import depth as depths
from ...pixwizard_core.decode.merge import merge_depths
from ...pixwizard_core.errors import DecodeError
from ..host.versions import schema
from ..shared import views
from ..shared.base import Node
from ..shared.layouts import from_image_01
from .answer import at_source_size, canvas_input


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
            is_output_node=True,
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
            from_image_01(depth),
            from_image_01(uncertainty),
            from_image_01(painted(uncertainty)),
            ui=views.measured(in_colours(depth), depth, "", spread=uncertainty),
        )


def in_colours(depth):
    return depths.colourise(depth, "spectral_r")


def painted(uncertainty):
    largest = float(uncertainty.max())
    return depths.colourise(uncertainty / largest if largest > 0 else uncertainty, "magma")
