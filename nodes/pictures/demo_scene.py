"""A procedural scene with the true answers to most tasks, to try and to measure them without any
file."""

from __future__ import annotations

import random

import torch
from comfy_api.latest import io

from ...pixwizard_core.decode import dialects
from ...pixwizard_core.decode.boxes import Box
from ...pixwizard_core.decode.masks import mask_boxes
from ...pixwizard_core.decode.read_boxes import XYXY
from ...pixwizard_core.tasks import instruction
from ...pixwizard_core.world import Scenes, Views, captions, pictures, refer, render, sample_scenes
from ...pixwizard_core.world.damage import FAULTS
from ...pixwizard_core.world.scenes import MAX_OBJECTS
from ..host.versions import schema
from ..shared import sockets
from ..shared.base import Node
from ..shared.inputs import bbox_format, seed_input
from ..shared.layouts import from_image_01, from_mask

UNSPOILED = "none"
DAMAGES = (UNSPOILED, *FAULTS)


def name_an_object(scenes: Scenes, views: Views, seed: int) -> tuple[str, int]:
    """A phrase that names one visible object of the only scene, and the object's number; ("", -1)
    if no object can be named."""
    rng = random.Random(seed)
    order = list(range(scenes.alive.shape[1]))
    rng.shuffle(order)
    for number in order:
        phrase = refer(scenes, views, [number], rng)[0]
        if phrase:
            return phrase, number
    return "", -1


class DemoScene(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DemoScene",
            display_name="PixWizard Demo Scene",
            description="Renders a room with coloured objects, the kind of picture PixWizard Tiny "
            "was trained on, with the true answers: depth, normals, classes, the mask and box of "
            "one named object, and the scene without it. Also gives the scene damaged, for "
            "restoration.",
            search_aliases=["example", "test image", "synthetic"],
            inputs=[
                seed_input("Selects the scene. The same seed gives the same scene everywhere."),
                io.Int.Input(
                    "objects",
                    default=MAX_OBJECTS,
                    min=1,
                    max=MAX_OBJECTS,
                    tooltip=f"Maximum number of objects in the room, 1 to {MAX_OBJECTS}. Some "
                    "scenes have fewer.",
                ),
                io.Int.Input(
                    "width",
                    default=128,
                    min=32,
                    max=2048,
                    step=16,
                    tooltip="Width in px, 32 to 2048.",
                ),
                io.Int.Input(
                    "height",
                    default=128,
                    min=32,
                    max=2048,
                    step=16,
                    tooltip="Height in px, 32 to 2048.",
                ),
                io.Combo.Input(
                    "damage",
                    options=list(DAMAGES),
                    default=UNSPOILED,
                    optional=True,
                    tooltip="Damage to apply for the output damaged, named after the task that "
                    "repairs it.",
                ),
                bbox_format(),
            ],
            outputs=[
                io.Image.Output("image", display_name="image"),
                io.String.Output("caption", display_name="caption"),
                io.String.Output("target", display_name="target"),
                io.Image.Output("depth", display_name="depth"),
                io.Mask.Output("mask", display_name="mask"),
                io.Image.Output("normals", display_name="normals"),
                io.Image.Output(
                    "classes",
                    display_name="classes",
                    tooltip="Class colours of the palette PixWizard Tiny world.",
                ),
                io.Image.Output(
                    "without",
                    display_name="without",
                    tooltip="The scene without the named object: the true answer for removing it.",
                ),
                io.Image.Output(
                    "damaged",
                    display_name="damaged",
                    tooltip="The picture with the chosen damage; the picture itself for none.",
                ),
                sockets.BBox.Output(
                    "bboxes",
                    display_name="bboxes",
                    tooltip="[[x1, y1, x2, y2]] of the named object in px, or x, y, width, height "
                    "by the format; empty if no object is named.",
                ),
                io.String.Output(
                    "instruction",
                    display_name="instruction",
                    tooltip="A sentence to start with. It asks for the mask of the named object, "
                    "or for depth if the scene names none.",
                ),
                sockets.BoundingBox.Output(
                    "bounding_boxes",
                    display_name="bounding_boxes",
                    tooltip="[[(x, y, width, height, label, score)]] of the named object, in "
                    "the format of ComfyUI's own detectors; [[]] if no object is named.",
                ),
            ],
        )

    @classmethod
    def run(cls, seed, objects, width, height, damage=UNSPOILED, format=XYXY):
        generator = torch.Generator().manual_seed(seed)
        scenes = sample_scenes(1, generator, max_objects=objects)
        views = render(scenes, height, width)
        target, number = name_an_object(scenes, views, seed)
        mask = (views.instances == number) & (number >= 0)
        emptied = (
            scenes.without(torch.tensor([number], dtype=torch.int64, device="cpu"))
            if number >= 0
            else scenes
        )
        spoiled = views.rgb
        if damage != UNSPOILED:
            spoiled = FAULTS[damage](views.rgb, views.depth_m, torch.Generator().manual_seed(seed))
        boxes = [Box(tuple(box), 1.0) for box in mask_boxes(mask).tolist()] if number >= 0 else []
        return io.NodeOutput(
            from_image_01(views.rgb),
            captions(scenes, views)[0],
            target,
            from_image_01(views.depth_01),
            from_mask(mask),
            from_image_01(pictures.normal_picture(views)),
            from_image_01(pictures.segmentation_picture(views)),
            from_image_01(render(emptied, height, width).rgb),
            from_image_01(spoiled),
            dialects.to_bbox(boxes, format),
            instruction("mask" if target else "depth", target=target, seed=seed),
            [dialects.to_bounding_boxes(boxes, target)],
        )
