"""The sentence that asks for a task."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core import tasks
from ...pixwizard_core.seeds import LARGEST_SEED
from ..host.versions import schema
from ..model.host_model import name_and_demo, painted_palette, taught_of
from ..shared import sockets
from ..shared.base import Node
from ..shared.page_data import AS_TRAINED, for_page, task_table
from ..shared.question import ModelAsked
from ..shared.question import question as question_of
from .asked import asked, sentence_for, told

TASK_IDS = tasks.TASK_IDS
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
                # Saved workflows hold their number, so the default may change and they do not.
                io.Int.Input(
                    "phrasing",
                    default=AS_TRAINED,
                    min=AS_TRAINED,
                    max=MAX_PHRASING,
                    tooltip=f"Which wording of the task to use. {AS_TRAINED}: as the model was "
                    f"asked in training, which works best. 0 to {MAX_PHRASING}: other words for "
                    "the same.",
                ),
                io.Int.Input(
                    "phrasing_seed",
                    default=-1,
                    min=-1,
                    max=LARGEST_SEED,
                    optional=True,
                    tooltip="Picks the wording in place of its number: consecutive seeds step "
                    "through the numbered wordings used in training. -1 is off.",
                ),
                io.String.Input(
                    "question",
                    default="",
                    optional=True,
                    tooltip="Question whose answer is highlighted, for example: which thing here "
                    "can roll?",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The model that is asked, for the wording it was trained on and a "
                    "warning of tasks it was not taught. Without it, Encode words the sentence for "
                    "the bundled model, or else for the released one.",
                ),
            ],
            outputs=[
                io.String.Output("instruction", display_name="instruction"),
                sockets.About.Output(
                    "about",
                    display_name="about",
                    tooltip="What was asked, for the decoders: task, words, colour and, with a "
                    "model connected, its name and palette. A painted picture does not say it.",
                ),
            ],
        )

    @classmethod
    def run(
        cls, task, caption, target, colour, phrasing, phrasing_seed=-1, question="", model=None
    ):
        words = {"caption": caption, "colour": colour, "target": target, "question": question}
        seed = phrasing_seed if phrasing_seed >= 0 else None
        trained = phrasing == AS_TRAINED and seed is None
        taught = None if model is None else taught_of(model, "PixWizard Instruction")
        chosen = tasks.TRAINED if trained else max(phrasing, 0)
        sentence = tasks.instruction(task, **words, phrasing=chosen, seed=seed, taught=taught)
        if taught is not None:
            who = "PixWizard Instruction"
            asks = ModelAsked(*name_and_demo(model, who), taught.on_photographs(task))
            about = question_of(task, words, painted_palette(model, who), asks)
            return io.NodeOutput(sentence_for(sentence, task), about, ui=told(task, taught))
        known = asked(sentence, task, words) if trained else sentence_for(sentence, task)
        return io.NodeOutput(known, question_of(task, words))
