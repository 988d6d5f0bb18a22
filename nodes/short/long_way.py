"""The long way's nodes that a request stands for, as a graph of the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfy_execution.graph_utils import GraphBuilder

from ...pixwizard_core.canvas import Size
from ...pixwizard_core.generate import WATERSHED, SampleSettings
from ...pixwizard_core.tasks import find_task
from ..loaders.choices import AUTO
from ..sampling.sample import ALL_CHANNELS, FIRST_CHANNELS
from ..shared.inputs import AS_SET
from .inputs import HOLES, OUTPAINT, TEXT_TO_IMAGE
from .model_choice import BUNDLED, CONNECTED, ModelChoice

Link = list  # [id of a node, number of its output]
CHANGING = ("Edit", "Inpaint", "Restore")  # families of tasks that a mask may confine
FEATHER_PX = 4.0
MARGIN = 4  # an outpainted picture grows on each side by its size divided by this


@dataclass(frozen=True, slots=True)
class ShortRequest:
    """fields: the words by field of the task. settings: of the sampler. size: of the picture in px,
    None without one. new_size: of a picture from text. told: what the view says of the run, as
    JSON. sources: of image, mask and pixwizard: the link that it comes through, or the value itself
    where a graph of another node holds it. item: which item of what the links carry."""

    task: str
    fields: Mapping[str, str]
    phrasing: int
    seed: int
    settings: SampleSettings
    centre_by: str
    centre: int
    fit: str
    size: Size | None
    new_size: Size
    extend_to: str
    told: str
    sources: Mapping[str, Any]
    item: int


def confined(task: str) -> bool:
    """Whether a mask says where a task may change the picture."""
    row = find_task(task)
    return row.decoder == "image" and row.family in CHANGING and task != OUTPAINT


def margins(task: str, size: Size, extend_to: str) -> dict[str, int]:
    """What outpainting adds on each side, in px."""
    across, down = size.width // MARGIN, size.height // MARGIN
    if task != OUTPAINT or extend_to.strip():
        across = down = 0
    return {"left": across, "top": down, "right": across, "bottom": down}


def long_way(asked: ShortRequest, choice: ModelChoice) -> tuple[dict, list[Link]]:
    """The graph, and the links of the short node's outputs: picture, mask, data and boxes."""
    builder = GraphBuilder()
    add = adder(builder)

    def item(name: str):
        source = asked.sources.get(name)
        if not isinstance(source, list):
            return source
        return add("ListItem", value=source, index=asked.item).out(0)

    loader = _loader(add, item, choice)
    model, clip, vision, vae = (loader.out(i) for i in range(4))
    ready = _ready(add, item, asked, model)
    instruction = add(
        "Instruction", task=asked.task, **asked.fields, phrasing=asked.phrasing, model=model
    )
    encoded = add(
        "Encode", clip=clip, clip_vision=vision, vae=vae, image=ready.picture,
        instruction=instruction.out(0),
    )  # fmt: skip
    latent = _sampled(add, asked, model, encoded)
    picture = builder.node("VAEDecode", samples=latent, vae=vae).out(0)
    canvas, laid = ready.canvas, None
    if ready.mask is not None:
        laid = add(
            "Composite", source=ready.source, result=picture, mask=ready.mask, feather=FEATHER_PX,
            canvas=canvas,
        ).out(0)  # fmt: skip
        picture, canvas = laid, None
    answer = add(
        "DecodeAnswer", image=picture, about=instruction.out(1), source=ready.source, canvas=canvas,
        settings=asked.told,
    )  # fmt: skip
    return builder.finalize(), [laid or answer.out(0), answer.out(1), answer.out(3), answer.out(2)]


def _loader(add, item, choice: ModelChoice):
    """A node whose first four outputs are the parts of the model."""
    if choice.origin == CONNECTED:
        return add("ModelParts", whole=item("pixwizard"))
    return own_loader(add, choice)


def own_loader(add, choice: ModelChoice):
    """The loader of a model that nobody connected, with the outputs of Load Tiny."""
    if choice.origin == BUNDLED:
        return add("LoadTiny")
    return add(
        "LoadPixWizard", model_name=AUTO, weight_dtype="default", gemma=AUTO, clip_name=AUTO,
        vae_name=AUTO, device="default",
    )  # fmt: skip


def adder(builder: GraphBuilder):
    """A function that adds one of our nodes, without the inputs that are None."""

    def add(kind: str, /, **inputs):
        given = {name: value for name, value in inputs.items() if value is not None}
        return builder.node(f"PixWizard_{kind}", **given)

    return add


@dataclass(frozen=True, slots=True)
class Ready:
    """Links. picture: what the model gets. canvas: its way back. source: the picture that is asked
    about, None from text. mask: where the result is laid on the source, None for everywhere."""

    picture: Link
    canvas: Link
    source: Link | None = None
    mask: Link | None = None


def _ready(add, item, asked: ShortRequest, model: Link) -> Ready:
    if asked.task == TEXT_TO_IMAGE:
        width, height = asked.new_size
        blank = add("BlankCanvas", width=width, height=height, fill="white", batch_size=1)
        return Ready(blank.out(0), blank.out(1))
    image, mask = item("image"), item("mask") if confined(asked.task) else None
    fitting = {
        "centre": asked.centre, "fit": asked.fit, "centre_by": asked.centre_by, "model": model,
    }  # fmt: skip
    if asked.task == OUTPAINT:
        assert asked.size is not None
        sides = margins(asked.task, asked.size, asked.extend_to)
        wider = add(
            "PrepareOutpaint", image=image, **sides, aspect=asked.extend_to, anchor="centre",
            fill="black", **fitting,
        )  # fmt: skip
        return Ready(*(wider.out(i) for i in (0, 2, 3, 4)))
    if asked.task in HOLES and mask is not None:
        blanked = add(
            "PrepareInpaint", image=image, mask=mask, fill="black", grow=4, crop=False, context=0.5,
            **fitting,
        )  # fmt: skip
        return Ready(blanked.out(0), blanked.out(2), image, blanked.out(3))
    fitted = add("FitToCanvas", image=image, **fitting)
    return Ready(fitted.out(0), fitted.out(2), image, mask)


def _sampled(add, asked: ShortRequest, model: Link, encoded) -> Link:
    settings = asked.settings
    if settings.tokens != SampleSettings().tokens:
        model = add(
            "ModelOptions", model=model, proportional_attention=settings.proportional,
            extrapolation=AUTO, rope_factor=1.0, watershed=WATERSHED,
            token_selection=settings.tokens, token_seed=asked.seed, kept_tokens=0,
        ).out(0)  # fmt: skip
    return add(
        "Sample", model=model, full=encoded.out(0), image_only=encoded.out(1), none=encoded.out(2),
        latent=encoded.out(3), text_guidance=settings.w_text, image_guidance=settings.w_image,
        seed=asked.seed, steps=settings.steps, time_shift=settings.shift,
        guided_channels=ALL_CHANNELS if settings.all_channels else FIRST_CHANNELS,
        sampler=settings.solver, speed=AS_SET,
    ).out(0)  # fmt: skip
