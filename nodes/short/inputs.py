"""The inputs of the short node: what it is about first, and behind it what auto decides."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import tasks
from ...pixwizard_core.presets import AUTO, SPEEDS
from ...pixwizard_core.task_table import FAMILIES
from ..conditions.instruction import MAX_PHRASING
from ..shared import sockets
from ..shared.inputs import AS_SET, centre_and_fit, seed_input
from ..shared.page_data import AS_TRAINED, for_new_nodes, for_page, task_table, used_when
from .words import first_field, takes_two

TEXT_TO_IMAGE, OUTPAINT = "text2image", "outpaint"
HOLES = ("inpaint", "inpaint_face")
TASK_IDS = tuple(sorted(tasks.TASK_IDS, key=lambda id: FAMILIES.index(tasks.find_task(id).family)))
WORDED = [task for task in TASK_IDS if first_field(task)]
COLOURED = [task for task in TASK_IDS if "colour" in tasks.find_task(task).fields]


def request_inputs() -> list:
    """What every run needs."""
    return [
        for_page(
            io.Combo.Input(
                "task",
                options=list(TASK_IDS),
                default=TASK_IDS[0],
                tooltip=f"What to do. {tasks.FREE_TEXT}: what your words say.",
            ),
            task_table(),
        ),
        used_when(
            io.String.Input(
                "words",
                default="",
                multiline=True,
                tooltip="What to find or change, the picture that you want, or a question, as the "
                "task takes it. For example: the red ball.",
            ),
            task=WORDED,
        ),
        seed_input("Seed of the noise. Another seed gives another answer to the same question."),
    ]


def linked_inputs() -> list:
    return [
        io.Image.Input(
            "image",
            optional=True,
            tooltip="The picture that is asked about, of any size; a batch too. Only text2image "
            "needs none; it then takes the size of this one.",
        ),
        sockets.Whole.Input(
            "pixwizard",
            optional=True,
            tooltip="The model, from Load Tiny, Load PixWizard or Model Parts. Without it: the "
            "released model if its files are there, else the bundled one. The node says which.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Where the picture may change; 1 = selected. For inpaint it is the hole. Tasks "
            "that do not change the picture ignore it.",
        ),
    ]


def further_inputs() -> list:
    """What has a default that suits."""
    return [
        used_when(
            io.String.Input(
                "new_words",
                default="",
                optional=True,
                tooltip="What to put in place of words. For example: a green cube.",
            ),
            task=[task for task in TASK_IDS if takes_two(task)],
        ),
        for_new_nodes(
            used_when(
                io.Combo.Input(
                    "colour",
                    options=[*tasks.COLOURS, AUTO],
                    default=next(iter(tasks.COLOURS)),
                    optional=True,
                    tooltip="Colour of a highlight or box, or the new colour of an object. "
                    f"{AUTO}: for a highlight or box, the first colour that the words do not name.",
                ),
                task=COLOURED,
            ),
            AUTO,
        ),
        _speed(),
        used_when(
            io.Int.Input(
                "steps",
                default=20,
                min=1,
                max=1000,
                optional=True,
                tooltip="Steps from noise to image, 1 to 1000.",
            ),
            speed=[AS_SET],
        ),
        io.Combo.Input(
            "guidance",
            options=[AUTO, AS_SET],
            default=AUTO,
            optional=True,
            tooltip=f"{AUTO}: what suits the model and the task. {AS_SET}: uses text guidance and "
            "image guidance.",
        ),
        *(_scale(name) for name in ("text", "image")),
        *(_optional(one) for one in _centre()),
        io.Int.Input(
            "phrasing",
            default=AS_TRAINED,
            min=AS_TRAINED,
            max=MAX_PHRASING,
            optional=True,
            tooltip=f"Which wording of the task to use. {AS_TRAINED}: as the model was asked in "
            "training.",
        ),
        used_when(
            io.String.Input(
                "extend_to",
                default="",
                optional=True,
                tooltip="Aspect ratio to extend the picture to, such as 16:9 or 1.5. Empty adds a "
                "quarter of its size on each side.",
            ),
            task=[OUTPAINT],
        ),
        *(used_when(_side(name), task=[TEXT_TO_IMAGE]) for name in ("width", "height")),
    ]


def _speed():
    told = ", ".join(f"{name} {values['steps']}" for name, values in SPEEDS.items())
    return io.Combo.Input(
        "speed",
        options=[AUTO, *SPEEDS, AS_SET],
        default=AUTO,
        optional=True,
        tooltip=f"{AUTO}: the steps that suit the model and the task. Otherwise this many: {told}; "
        f"{AS_SET}: uses steps.",
    )


def _scale(what: str):
    told = {"text": "the words", "image": "the picture"}[what]
    return used_when(
        io.Float.Input(
            f"{what}_guidance",
            default={"text": 4.0, "image": 1.0}[what],
            min=0.0,
            max=30.0,
            step=0.1,
            optional=True,
            tooltip=f"Strength of {told}, 0 to 30 (no unit). 1 means no guidance.",
        ),
        guidance=[AS_SET],
    )


def _centre():
    choice = io.Combo.Input(
        "centre_by",
        options=[AUTO, AS_SET],
        default=AUTO,
        optional=True,
        tooltip=f"{AUTO}: the trained area nearest to the picture's own. {AS_SET}: uses the "
        "working size.",
    )
    return choice, *centre_and_fit()


def _optional(socket):
    """An input of another node that may be left out here."""
    socket.optional = True
    return socket


def _side(name: str):
    return io.Int.Input(
        name,
        default=0,
        min=0,
        max=8192,
        optional=True,
        tooltip=f"{name.title()} of the new picture in px, 16 to 8192. 0 takes that of image, or "
        "else the size that the model was trained at.",
    )
