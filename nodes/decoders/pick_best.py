"""The best of several answers to one question, by how well they agree."""

from __future__ import annotations

from comfy_api.latest import io

from ...pixwizard_core.best import WAYS, Evidence, Sighting, scores_of, way_of
from ...pixwizard_core.canvas.images import resize_image, resize_mask
from ...pixwizard_core.decode.dialects import to_json
from ...pixwizard_core.tasks import FIRST_COLOUR
from ..host.versions import schema
from ..shared import notes, views
from ..shared.base import Node
from ..shared.layouts import as_masks, from_image_01, to_image_01
from ..shared.question import about_input
from .answer import canvas_input, source_as_answer


class PickBest(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "PickBest",
            display_name="PixWizard Pick Best",
            description="Picks the best of several answers to one question with different noise: "
            "of masks, highlights and boxes the one that agrees best with the others, of pictures "
            "made from a map the one in which the map is found again, of edits of a named thing "
            "the one that changes least elsewhere.",
            search_aliases=["best of n", "seeds", "vote", "confidence", "score"],
            is_output_node=True,
            inputs=[
                io.Image.Input(
                    "images", tooltip="Answers as a batch, from VAE Decode, each of other noise."
                ),
                about_input(
                    "From Instruction: what was asked, which decides how answers are rated.",
                    optional=False,
                ),
                io.Image.Input(
                    "source",
                    tooltip="The picture that was asked about, at its own size (with the canvas) "
                    "or as fitted.",
                ),
                canvas_input(),
                io.Mask.Input(
                    "others",
                    optional=True,
                    tooltip="Masks of the same thing, found in other ways, such as by a highlight: "
                    "each counts like one more answer. For recolour, replace and remove: where the "
                    "thing is, which they need.",
                ),
                io.Image.Input(
                    "maps",
                    optional=True,
                    tooltip="For pictures made from a map: the same map asked of each answer, in "
                    "their order, which they need.",
                ),
            ],
            outputs=[
                io.Image.Output("best", display_name="image"),
                io.Int.Output(
                    "index", display_name="index", tooltip="Its place in the batch, from 0."
                ),
                io.Float.Output(
                    "confidence",
                    display_name="confidence",
                    tooltip="0 to 1: how well the best mask, highlight or box agrees with all "
                    "others; 0 if it found nothing. For other tasks its score.",
                ),
                io.String.Output(
                    "scores",
                    display_name="scores",
                    tooltip="JSON text: the score of each answer, and what it means.",
                ),
            ],
        )

    @classmethod
    def run(cls, images, about, source, canvas=None, others=None, maps=None):
        answers = to_image_01(images)
        way = way_of(about.task)
        behind = source_as_answer(source, answers, canvas)
        assert behind is not None
        size = tuple(answers.shape[-2:])
        sightings = () if others is None else tuple(
            Sighting(one > 0.5) for one in resize_mask(as_masks(others), *size)
        )  # fmt: skip
        again = None if maps is None else resize_image(to_image_01(maps), *size)
        colour = about.words.get("colour", FIRST_COLOUR)
        scores, sure = scores_of(
            about.task, answers, behind[:1], Evidence(sightings, again), colour
        )
        index = max(range(len(scores)), key=lambda i: scores[i])
        confidence = (sure or scores)[index]
        best = answers[index : index + 1]
        told = {"scored_by": WAYS[way], "scores": [round(score, 4) for score in scores],
                "index": index, "confidence": round(confidence, 4)}  # fmt: skip
        listed = ", ".join(f"{score:.3f}" for score in scores)
        said = [notes.note("best", number=index + 1, scores=listed)]
        return io.NodeOutput(
            from_image_01(best), index, confidence, to_json(told),
            ui={**views.plain(best), **notes.shown(said)},
        )  # fmt: skip
