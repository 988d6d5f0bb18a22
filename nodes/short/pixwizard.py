"""The short way: a picture, a task and words in; the answer out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from comfy_execution.utils import get_executing_context

from ...pixwizard_core.canvas import Size, blank_size, plan, whole_cells
from ...pixwizard_core.decode.dialects import to_json
from ...pixwizard_core.errors import InstructionError
from ...pixwizard_core.presets import AUTO, with_speed
from ...pixwizard_core.tasks import FREE_TEXT, find_task, not_taught
from ..host.versions import schema
from ..shared import notes, sockets
from ..shared.base import Node
from ..shared.inputs import AS_SET, centres_of
from ..shared.layouts import as_masks, size_of, to_image_01
from ..shared.page_data import AS_TRAINED
from .aliases import search_words
from .inputs import OUTPAINT, TEXT_TO_IMAGE, further_inputs, linked_inputs, request_inputs
from .long_way import ShortRequest, confined, long_way
from .model_choice import BUNDLED, RELEASED, ModelChoice, choose, state
from .words import colour_for, fields_of, first_field, takes_colour, takes_two

NOT_LINKED = object()


class PixWizard(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "PixWizard",
            display_name="PixWizard",
            description="Everything in one node: connect a picture, choose a task and write what "
            "you mean. It gives depth, masks, boxes, edited, restored or new pictures, and shows "
            "the answer. It runs the same nodes that you could connect yourself.",
            search_aliases=search_words(),
            is_output_node=True,
            enable_expand=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[*request_inputs(), *linked_inputs(), *further_inputs()],
            outputs=[
                io.Image.Output(
                    "picture",
                    display_name="picture",
                    tooltip="Depth in grey, normals, lines, clean classes, what was found laid on "
                    "the picture, or the finished picture.",
                ),
                io.Mask.Output(
                    "found",
                    display_name="mask",
                    tooltip="What was found; 1 = selected. Empty if nothing was, and for answers "
                    "that select nothing.",
                ),
                io.String.Output(
                    "json",
                    display_name="data",
                    tooltip="JSON text: the task and its words, what was found, and the model and "
                    "settings of the run.",
                ),
                sockets.BoundingBox.Output(
                    "bounding_boxes",
                    display_name="boxes",
                    tooltip="For each picture a list of boxes with x, y, width, height, label and "
                    "score. Empty for answers without objects.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, pixwizard=NOT_LINKED, **_others):
        """The host gives None for what comes through a link, and leaves out what is not linked."""
        return state() if pixwizard is NOT_LINKED else ""

    @classmethod
    def run(
        cls, task, words, seed, image=None, pixwizard=None, mask=None, new_words="", colour="red",
        speed=AUTO, steps=20, guidance=AUTO, text_guidance=4.0, image_guidance=1.0,
        centre_by=AUTO, centre=512, fit="stretch", phrasing=AS_TRAINED, extend_to="", width=0,
        height=0,
    ):  # fmt: skip
        marks = colour_for(task, words, colour)
        fields = fields_of(task, words, new_words, marks)
        if image is None and task != TEXT_TO_IMAGE:
            raise InstructionError(
                f"task {task!r} needs a picture; connect one to image, from Load Image for example"
            )
        choice = choose(pixwizard)
        settings = choice.about.own.of(task)
        if speed != AUTO:
            settings = (
                replace(settings, steps=steps) if speed == AS_SET else with_speed(settings, speed)
            )
        if guidance != AUTO:
            settings = replace(settings, w_text=text_guidance, w_image=image_guidance)
        trained = choice.about.own.centres
        size = None if image is None else Size(*size_of(to_image_01(image)))
        usual = size or blank_size(trained)
        new_size = Size(max(16, width or usual.width), max(16, height or usual.height))
        centres = centres_of(centre, centre_by, trained)
        given = {"image": image, "mask": mask, "pixwizard": pixwizard}
        autos = {"speed": speed, "guidance": guidance, "centre": centre_by}
        autos |= {"colour": colour} if takes_colour(task) else {}
        said = [
            *of_model(choice, task),
            *unused(task, words, new_words, image is not None, mask is not None),
        ]
        if mask is not None and confined(task):
            said += notes.of_empty_masks(as_masks(mask))
        told = {
            "model": {
                "name": choice.about.name, "demo": choice.about.demo, "from": choice.origin,
                "missing": choice.missing, "taught": choice.about.taught.knows(task),
                "photographs": choice.about.taught.on_photographs(task),
            },
            "settings": {
                "steps": settings.steps, "solver": settings.solver, "shift": settings.shift,
                "text_guidance": settings.w_text, "image_guidance": settings.w_image,
                "size": working_size(task, size, new_size, centres, fit),
                **({"colour": marks} if takes_colour(task) else {}),
            },
            "auto": [name for name, value in autos.items() if value == AUTO],
            "notes": said,
        }  # fmt: skip
        asked = ShortRequest(
            task=task, fields=fields, phrasing=phrasing, seed=seed, settings=settings,
            centre_by=centre_by, centre=centre, fit=fit, size=size, new_size=new_size,
            extend_to=extend_to, told=to_json(told), item=item_number(),
            sources=sources_of(cls.hidden, given),
        )  # fmt: skip
        graph, outputs = long_way(asked, choice)
        return io.NodeOutput(*outputs, expand=graph)


def working_size(task: str, size: Size | None, new_size: Size, centres, fit: str) -> list[int]:
    """Width and height in px at which the model works. Empty for outpainting, which fits a larger
    picture."""
    if task == TEXT_TO_IMAGE:
        return list(whole_cells(*new_size))
    return [] if size is None or task == OUTPAINT else list(plan(*size, centres, fit).model)


def sources_of(hidden: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The link that each of these inputs of the node that runs comes through, or else its value.
    given: the values, None for inputs without."""
    inputs = hidden.dynprompt.get_node(hidden.unique_id)["inputs"]
    return {
        name: inputs[name] if isinstance(inputs.get(name), list) else value
        for name, value in given.items()
        if value is not None
    }


def item_number() -> int:
    """Which item of connected lists the node runs for."""
    running = get_executing_context()
    return (running.list_index or 0) if running else 0


def of_model(choice: ModelChoice, task: str) -> list[notes.Note]:
    """What to say of the model that runs."""
    what, said = choice.about, []
    if choice.origin == RELEASED:
        said.append(notes.note("took_released", name=what.name))
    if choice.origin == BUNDLED:
        said.append(notes.note("took_bundled", names=", ".join(choice.missing)))
    if what.demo:
        seen = what.taught.on_photographs(task)
        said.append(notes.note("demo_photographs" if seen else "demo_model", name=what.name))
    if text := not_taught(task, what.taught):
        said.append(notes.warning(text, "untaught", task=task))
    return said


def unused(
    task: str, words: str, new_words: str, has_image: bool, has_mask: bool
) -> list[notes.Note]:
    """What is given and has no effect on this task."""
    ignored = []
    if words.strip() and not first_field(task):
        ignored.append("words")
    if new_words.strip() and not takes_two(task):
        ignored.append("new_words")
    if has_mask and not confined(task):
        ignored.append("mask")
    title = find_task(task).title if task != FREE_TEXT else task
    said = [notes.note("unused", names=", ".join(ignored), task=title)] if ignored else []
    if has_image and task == TEXT_TO_IMAGE:
        said.append(notes.note("size_only"))
    return said
