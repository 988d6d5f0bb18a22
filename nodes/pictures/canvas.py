"""From a picture of any size to one that suits the model, and back."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import canvas as canvases
from ...pixwizard_core.errors import CanvasError
from ..host.versions import schema
from ..model.host_model import trained_centres
from ..shared import auto, notes, sockets, views
from ..shared.base import Node
from ..shared.inputs import AS_SET, centre_and_fit, centre_by_inputs, centres_of
from ..shared.layouts import as_masks, from_image_01, from_mask, to_image_01, to_mask


def auto_canvas(centre_by: str, canvas, model) -> tuple[list[notes.Note], auto.Shown]:
    """What auto chose for a canvas, or for the first of a batch of them, and by whose sizes: notes
    and UI output. model: what is connected, or None."""
    if centre_by == AS_SET:
        return [], {}
    width, height = canvas.model
    values = {"centre": canvas.of(0).centre, "width": width, "height": height}
    sizes = ", ".join(map(str, trained_centres(None)))
    said = [] if model is not None else [notes.note("released_sizes", sizes=sizes)]
    return said, auto.meant("centre_by", centre_by, **values)


class FitToCanvas(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "FitToCanvas",
            display_name="PixWizard Fit to Canvas",
            description="Fits a picture of any size to a size that suits the model, and remembers "
            "the way back for Restore from Canvas and the decoders.",
            search_aliases=["resize", "resolution", "bucket"],
            inputs=[
                io.Image.Input(
                    "image", tooltip="Pictures of one size, any width and height in px."
                ),
                *centre_and_fit(),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Mask that goes with the picture; 1 = selected."
                ),
                *centre_by_inputs(),
            ],
            outputs=[
                io.Image.Output("fitted", display_name="image"),
                io.Mask.Output("fitted_mask", display_name="mask"),
                sockets.Canvas.Output("canvas", display_name="canvas"),
                io.Int.Output("width", display_name="width"),
                io.Int.Output("height", display_name="height"),
            ],
        )

    @classmethod
    def run(cls, image, centre, fit, mask=None, centre_by=AS_SET, model=None):
        image_01 = to_image_01(image)
        height, width = image_01.shape[-2:]
        centres = centres_of(centre, centre_by, trained_centres(model))
        canvas = canvases.plan(width, height, centres, fit)
        mask = to_mask(mask, image_01)
        mask = image_01.new_zeros(len(image_01), height, width) if mask is None else mask
        fitted = from_image_01(canvas.fit_image(image_01))
        said, meant = auto_canvas(centre_by, canvas, model)
        return io.NodeOutput(
            fitted,
            from_mask(canvas.fit_mask(mask)),
            canvas,
            *canvas.model,
            ui={**notes.shown(said), **meant},
        )


class RestoreFromCanvas(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "RestoreFromCanvas",
            display_name="PixWizard Restore from Canvas",
            description="Brings a picture or a mask back to the exact size of the picture given to "
            "Fit to Canvas.",
            search_aliases=["resize back", "stitch"],
            inputs=[
                sockets.Canvas.Input("canvas", tooltip="From Fit to Canvas."),
                io.Image.Input(
                    "image", optional=True, tooltip="Picture of the canvas's size, from VAE Decode."
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Mask of the canvas's size; stays binary."
                ),
                io.Image.Input(
                    "source",
                    optional=True,
                    tooltip="The picture given to Fit to Canvas. It fills the margins that fit = "
                    "crop cut off (black without it).",
                ),
            ],
            outputs=[
                io.Image.Output("restored", display_name="image"),
                io.Mask.Output("restored_mask", display_name="mask"),
            ],
        )

    @classmethod
    def run(cls, canvas, image=None, mask=None, source=None):
        if image is None:
            if mask is None:
                raise CanvasError("nothing to restore; connect an image, a mask or both")
            selected = canvas.restore_mask(as_masks(mask))
            return io.NodeOutput(from_image_01(selected), from_mask(selected))
        pixels = to_image_01(image)
        selected = to_mask(mask, pixels)
        if selected is None:
            selected = pixels.new_zeros(len(pixels), *pixels.shape[-2:])
        selected = canvas.restore_mask(selected)
        behind = None if source is None else to_image_01(source)
        restored = canvas.restore_image(pixels, behind)
        names = ("source", "image")
        shown = None if behind is None else views.pair(behind, restored, names)
        return io.NodeOutput(from_image_01(restored), from_mask(selected), ui=shown)
