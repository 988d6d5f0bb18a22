"""Named things as layers with transparency over a background without them."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder
from torch import Tensor

from ...pixwizard_core import cutout
from ...pixwizard_core.canvas import centres_for
from ...pixwizard_core.canvas.images import is_no_mask
from ...pixwizard_core.errors import CanvasError, InstructionError
from ...pixwizard_core.tasks import instruction, not_taught
from ..encoders.conditioning import EncodedPicture
from ..host.progress import progress
from ..host.versions import schema
from ..loaders.bundle import WholeModel
from ..model.host_model import own_settings_of, trained_centres
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.inputs import seed_input
from ..shared.layouts import as_masks, from_image_01, from_mask, to_channels_last, to_image_01
from ..shared.question import ModelAsked, model_shown
from .asking import Asking, encode_once, steps_of
from .long_way import adder, own_loader
from .model_choice import choose, state
from .pixwizard import NOT_LINKED, item_number, sources_of

WHO = "PixWizard Cut Out"
MAX_LAYERS = 64


class CutOutLayers(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "CutOut",
            display_name=WHO,
            description="Takes a picture apart: a layer with transparency for each thing that you "
            "name, or for each mask, with the colour of the thing alone at its soft rim, and the "
            "background without the things. Stacked again, they give the picture back.",
            search_aliases=[
                "rgba", "layers", "transparent", "alpha", "matte", "remove background", "cutout",
            ],
            is_output_node=True,
            enable_expand=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[
                io.Image.Input("source", tooltip="The picture to take apart."),
                io.Mask.Input(
                    "masks",
                    optional=True,
                    tooltip="In place of names: one for each thing, the frontmost first, of the "
                    "source's size. Soft values give a soft rim; take a picture of Sharpen Answer "
                    "as a mask.",
                ),
                io.Image.Input(
                    "background",
                    optional=True,
                    tooltip="The source with the things removed or painted over, such as from "
                    "inpaint; used only where things were. Without it, the model fills it where "
                    "names are given, and it is black behind masks.",
                ),
                io.String.Input(
                    "names",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="The things to cut out, the frontmost first, with commas between them: "
                    f"1 to {cutout.MOST}. For example: the red ball, the blue cube.",
                ),
                sockets.Whole.Input(
                    "pixwizard",
                    optional=True,
                    tooltip="The model that finds the names, from Load Tiny, Load PixWizard or "
                    "Model Parts. Without it: the released model if its files are there, else the "
                    "bundled one.",
                ),
                optional_seed(),
            ],
            outputs=[
                io.Image.Output(
                    "layers",
                    display_name="layers",
                    tooltip="One picture with transparency for each thing that was found, or each "
                    "mask; Save Image keeps it.",
                ),
                io.Mask.Output("alphas", display_name="masks", tooltip="Opacity, 0 to 1."),
                io.Image.Output("behind", display_name="background"),
                io.Image.Output(
                    "stacked", display_name="stacked", tooltip="The layers laid on the background."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, names="", pixwizard=NOT_LINKED, **_others):
        """The host gives None for what comes through a link, and leaves out what is not linked."""
        return state() if pixwizard is NOT_LINKED and names != "" else ""

    @classmethod
    def run(cls, source, masks=None, background=None, names="", pixwizard=None, seed=0):
        asked = cutout.names_in(names)
        if masks is not None and is_no_mask(masks):
            masks = None  # the host's sign of none
        if masks is None and not asked:
            raise InstructionError(
                "nothing to cut out: write names, such as 'the red ball, the blue cube', or "
                "connect masks"
            )
        if masks is not None and asked:
            raise InstructionError(
                "both masks and names say what to cut out; disconnect masks, or empty names"
            )
        picture = one_picture(source, "source")
        behind = None if background is None else one_picture(background, "background")
        if masks is not None:
            return taken_apart(picture, *by_masks(picture, masks, behind))
        cutout.require_few_names(asked)
        if pixwizard is None:
            given = {"source": source, "background": background}
            return with_a_loader(sources_of(cls.hidden, given), names, seed)
        return taken_apart(picture, *by_names(picture, asked, behind, pixwizard, seed))


def optional_seed():
    seed = seed_input("Seed of the noise; each name takes the next one. Used for names alone.")
    seed.optional = True
    return seed


def by_masks(
    picture: Tensor, masks: Tensor, behind: Tensor | None
) -> tuple[Tensor, list[cutout.Layer], dict]:
    """Background, layers and UI output."""
    soft = as_masks(masks)
    if len(soft) > MAX_LAYERS:
        raise CanvasError(f"{len(soft)} masks are too many; give at most {MAX_LAYERS}")
    behind = torch.zeros_like(picture) if behind is None else behind
    alphas = [cutout.soft_edge(one) for one in soft]
    numbers = [str(number) for number in range(1, len(alphas) + 1)]
    background, layers = cutout.make_layers(picture, behind, alphas, numbers)
    empty = [number for number, alpha in zip(numbers, alphas, strict=True) if not alpha.any()]
    said = [notes.note("blank_masks", numbers=", ".join(empty))] if empty else []
    return background, layers, notes.shown(said)


def by_names(
    picture: Tensor, names: list[str], behind: Tensor | None, whole: WholeModel, seed: int
) -> tuple[Tensor, list[cutout.Layer], dict]:
    """Background, layers and UI output; one empty layer where nothing was found, since the host has
    no empty batch."""
    step = steps_of(progress(len(names) + (behind is None)))
    found = cutout.take_apart(
        host_painter(whole), picture[None], names,
        centres_for(None, trained_centres(whole.model)), seed=seed, behind_01=behind,
        on_progress=lambda done, _total: step(done),
    )  # fmt: skip
    layers = found.layers
    said = list[notes.Note]()
    if found.missing:
        said.append(notes.note("not_found", names=", ".join(found.missing)))
    if not layers:
        layers = [cutout.Layer("", picture, torch.zeros_like(picture[0]))]
    about = whole.about
    for task in (cutout.FIND, *((cutout.FILL,) if behind is None else ())):
        if text := not_taught(task, about.taught):
            said.append(notes.warning(text, "untaught", task=task))
    seen = about.taught.on_photographs(cutout.FIND)
    model = ModelAsked(about.name, about.demo, seen)
    return found.background, layers, {**notes.shown(said), **model_shown(model)}


def host_painter(whole: WholeModel) -> cutout.Paint:
    """Asks a model of the host; a picture is encoded once for all questions in a row."""
    last = list[tuple[Tensor, EncodedPicture]]()

    def paint(task: str, target: str, fitted_01: Tensor, _canvas, seed: int) -> Tensor:
        if not last or last[0][0] is not fitted_01:
            last[:] = [(fitted_01, encode_once(whole, fitted_01))]
        sentence = instruction(task, target=target, taught=whole.about.taught)
        asking = Asking.of(whole, sentence, task, own_settings_of(whole.model, WHO).of(task))
        return asking.paint(fitted_01, None, seed, last[0][1])

    return paint


def with_a_loader(sources: dict, names: str, seed: int) -> io.NodeOutput:
    """This node again, behind a loader of the model that is there. sources: links or values of
    source and background."""
    builder = GraphBuilder()
    add = adder(builder)
    taken = {
        name: add("ListItem", value=one, index=item_number()).out(0)
        if isinstance(one, list) else one
        for name, one in sources.items()
    }  # fmt: skip
    model = own_loader(add, choose(None))
    again = add("CutOut", **taken, names=names, pixwizard=model.out(4), seed=seed)
    return io.NodeOutput(*(again.out(i) for i in range(4)), expand=builder.finalize())


def taken_apart(
    picture: Tensor, background: Tensor, layers: list[cutout.Layer], said: dict
) -> io.NodeOutput:
    """The node's outputs, and its view: the source beside the background."""
    stacked = cutout.stack(background, layers)
    return io.NodeOutput(
        to_channels_last(torch.stack([layer.rgba for layer in layers]).clamp(0, 1)),
        from_mask(torch.stack([layer.alpha for layer in layers])),
        from_image_01(background[None]),
        from_image_01(stacked[None]),
        ui={**views.pair(picture[None], background[None], ("source", "result")), **said},
    )


def one_picture(image, what: str) -> Tensor:
    """Host IMAGE of one picture as (3, H, W) in 0..1. Raises CanvasError for a batch."""
    pictures = to_image_01(image)
    if len(pictures) != 1:
        raise CanvasError(f"{what} holds {len(pictures)} pictures; cut them out one by one")
    return pictures[0]
