"""Surface directions of the answer."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode.normals import decode_normals, paint_normals
from ..host.versions import schema
from ..shared import views
from ..shared.base import Node
from ..shared.layouts import from_image_01
from . import asked_for
from .answer import answer_image, at_source_size, canvas_input


class DecodeNormals(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeNormals",
            display_name="PixWizard Decode Normals",
            description="Normalises surface directions to length one and encodes them as (n + 1) / "
            "2: red to the right, green up, blue towards the viewer, unless flipped. Pixels "
            "without a direction face the viewer.",
            search_aliases=["normal map", "flip green", "directx opengl"],
            is_output_node=True,
            inputs=[
                answer_image(),
                io.Combo.Input(
                    "green",
                    options=["up", "down"],
                    default="up",
                    tooltip="Direction of full green: up as in OpenGL, or down as in DirectX.",
                ),
                io.Combo.Input(
                    "red",
                    options=["right", "left"],
                    default="right",
                    tooltip="Direction of full red.",
                ),
                canvas_input(),
                asked_for.about(),
            ],
            outputs=[io.Image.Output("normals", display_name="normals")],
        )

    @classmethod
    def run(cls, image, green, red, canvas=None, about=None):
        flip_y = green == "down"
        flip_x = red == "left"
        normals = decode_normals(at_source_size(image, canvas))
        if canvas is not None:
            seen = canvas.covered().to(normals.device).expand(len(normals), -1, -1)[:, None]
            viewer = normals.new_tensor([0.0, 0.0, 1.0]).view(3, 1, 1)
            normals = torch.where(seen, normals, viewer)
        painted = paint_normals(normals, flip_x=flip_x, flip_y=flip_y)
        shown = views.directions(painted, flip_x=flip_x, flip_y=flip_y)
        said = asked_for.as_ui(about, asked_for.compared(about, "normal"))
        return io.NodeOutput(from_image_01(painted), ui={**shown, **said})
