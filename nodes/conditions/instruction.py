"""The sentence that asks for a task."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import tasks
from ...pixwizard_core.seeds import LARGEST_SEED
from ..host.versions import schema
from ..shared.base import Node
from ..shared.page_data import for_page, task_table

TASK_IDS = tasks.TASK_IDS[:41]
MAX_PHRASING = max(len(task.phrasings) for task in tasks.TASKS.values()) - 1


class Instruction(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "Instruction",
            display_name="PixWizard Instruction",
            description="Writes the sentence that asks for a task. Fields that the task does not "
            "use are ignored.",
            search_aliases=["prompt", "task"],
            inputs=[
                for_page(
                    io.Combo.Input(
                        "task",
                        options=list(TASK_IDS),
                        default=TASK_IDS[0],
                        tooltip=f"The task to ask for. {tasks.FREE_TEXT}: only the caption, in "
                        "your own words.",
                    ),
                    task_table(),
                ),
                io.String.Input(
                    "caption",
                    default="",
                    multiline=True,
                    tooltip="Description of the picture you want, or the whole instruction for a "
                    "custom task.",
                ),
                io.String.Input(
                    "target",
                    default="",
                    tooltip="What to find or change, for example: the red ball.",
                ),
                io.Combo.Input(
                    "colour",
                    options=list(tasks.COLOURS),
                    default=next(iter(tasks.COLOURS)),
                    tooltip="Colour of a highlight or box, or the new colour of a recoloured "
                    "object.",
                ),
                io.Int.Input(
                    "phrasing",
                    default=0,
                    min=0,
                    max=MAX_PHRASING,
                    tooltip=f"Which wording of the task to use, 0 to {MAX_PHRASING}. All mean the "
                    "same.",
                ),
                io.Int.Input(
                    "phrasing_seed",
                    default=-1,
                    min=-1,
                    max=LARGEST_SEED,
                    optional=True,
                    tooltip="Picks the wording in place of phrasing: consecutive seeds step "
                    "through the wordings used in training. -1 is off.",
                ),
            ],
            outputs=[io.String.Output("instruction", display_name="instruction")],
        )

    @classmethod
    def run(cls, task, caption, target, colour, phrasing, phrasing_seed=-1):
        sentence = tasks.instruction(
            task,
            caption=caption,
            colour=colour,
            target=target,
            phrasing=phrasing,
            seed=phrasing_seed if phrasing_seed >= 0 else None,
        )
        return io.NodeOutput(sentence)
