"""A large picture answered by overlapping tiles, in one node."""

from __future__ import annotations

from collections.abc import Callable

import torch
from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core import tiles
from ...pixwizard_core.canvas import Size
from ...pixwizard_core.presets import AUTO, SPEEDS, with_speed
from ...pixwizard_core.seeds import later_seed
from ..host.progress import progress
from ..host.versions import schema
from ..model.host_model import own_settings_of, trained_centres
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.inputs import seed_input
from ..shared.layouts import from_image_01, to_image_01
from ..shared.question import about_input
from .asking import Asking, steps_of

WHO = "PixWizard Tiled Answer"
LARGEST_TILE = 8192


class TiledAnswer(Node):
    @classmethod
    def define_schema(cls):
        speeds = ", ".join(f"{name} {values['steps']}" for name, values in SPEEDS.items())
        return schema(
            "TiledAnswer",
            display_name=WHO,
            description="Answers a picture that is larger than the model's size by tiles that "
            "overlap, and joins them without seams: lines, and restored pictures. It takes the "
            "place of Fit to Canvas, Encode, Sample and VAE Decode.",
            search_aliases=["tile", "large picture", "high resolution", "4k", "8k", "seamless"],
            is_output_node=True,
            inputs=[
                sockets.Whole.Input(
                    "pixwizard", tooltip="From Load Tiny, Load PixWizard or Model Parts."
                ),
                io.Image.Input("image", tooltip="Pictures of any size; they are not fitted first."),
                io.String.Input(
                    "instruction",
                    default="",
                    multiline=True,
                    tooltip="From Instruction. It is asked of every tile.",
                ),
                about_input(
                    "From Instruction: which task it is. Lines and restoration can be answered by "
                    "tiles; other tasks are refused.",
                    optional=False,
                ),
                seed_input(
                    "Seed of the noise, one field for the whole picture. Picture n of a batch gets "
                    "seed + n - 1."
                ),
                io.Int.Input(
                    "tile",
                    default=0,
                    min=0,
                    max=LARGEST_TILE,
                    step=16,
                    tooltip="Side of a tile in px of the picture, 64 to 8192. The model sees it at "
                    "its trained size. 0 takes the largest of these: 1024 for the released model, "
                    "128 for the bundled one.",
                ),
                io.Int.Input(
                    "overlap",
                    default=25,
                    min=0,
                    max=50,
                    tooltip="What tiles share with their neighbours, in percent of a tile, 0 to "
                    "50. 0 is fastest and leaves seams.",
                ),
                io.Combo.Input(
                    "speed",
                    options=[AUTO, *SPEEDS],
                    default=AUTO,
                    tooltip=f"{AUTO}: the steps that suit the model and the task. Otherwise this "
                    f"many: {speeds}.",
                ),
            ],
            outputs=[io.Image.Output("answer", display_name="image")],
        )

    @classmethod
    def run(cls, pixwizard, image, instruction, about, seed, tile, overlap, speed):
        pictures = to_image_01(image)
        way = tiles.way_of(about.task)
        centres = trained_centres(pixwizard.model)
        side = tile or tiles.default_side(centres)
        size = Size(pictures.shape[-1], pictures.shape[-2])
        grid = tiles.make_grid(*size, side, side * overlap // 100, centres)
        settings = own_settings_of(pixwizard.model, WHO).of(about.task)
        if speed != AUTO:
            settings = with_speed(settings, speed)
        asking = Asking.of(pixwizard, instruction, about.task, settings)
        step = steps_of(progress(len(pictures) * grid.count))
        answers = []
        for number, picture in enumerate(pictures):
            done = number * grid.count
            answers.append(
                answered(asking, picture, grid, way, later_seed(seed, number),
                         lambda now, _, done=done: step(done + now))
            )  # fmt: skip
        result = torch.stack(answers)
        said = [notes.note("one_tile")]
        if grid.count > 1:
            width, height = grid.tile
            said = [notes.note("tiles", count=grid.count, width=width, height=height)]
        shown = views.pair(pictures, result, ("source", "result"))
        return io.NodeOutput(from_image_01(result), ui={**shown, **notes.shown(said)})


def answered(
    asking: Asking, picture: Tensor, grid: tiles.TileGrid, way: tiles.Way, seed: int,
    on_tile: Callable[[int, int], None],
) -> Tensor:  # fmt: skip
    """The answer (3, H, W) to one picture."""
    if grid.count == 1:
        painted = asking.paint(grid.canvas.fit_image(picture[None]), None, seed)  # the long way's
        on_tile(1, 1)
        return grid.canvas.restore_image(painted)[0]
    result = torch.empty_like(picture)

    def read(rect):
        return rect.cut(picture)

    def emit(row: int, rows: Tensor) -> None:
        result[:, row : row + rows.shape[1]] = rows

    guide = None
    if way.guided:
        small = tiles.whole_canvas(grid, trained_centres(asking.whole.model))
        guide = asking.paint(tiles.fitted_whole(read, small), None, seed)[0]
    tiles.run_tiles(
        lambda fitted_01, noise, seeds: asking.paint(fitted_01, noise, seeds[0]),
        read, grid, seed, emit, guide_01=guide, on_tile=on_tile,
    )  # fmt: skip
    return result
