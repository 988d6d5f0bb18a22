"""One decoder for every answer: it takes the decoder that the question asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ...pixwizard_core.decode import dialects
from ...pixwizard_core.decode.boxes import Box
from ...pixwizard_core.decode.masks import objects
from ...pixwizard_core.errors import DecodeError
from ...pixwizard_core.json_text import read_json
from ..host.versions import schema
from ..shared import notes, sockets, views
from ..shared.base import Node
from ..shared.layouts import from_image_01, from_mask, to_image_01
from ..shared.question import Question, about_input
from .answer import answer_image, at_source_size, canvas_input, shown_source, source_image
from .asked_for import as_ui, compared
from .boxes import DecodeBoxes
from .depth import AUTO, DecodeDepth
from .lines import DecodeEdges
from .mask import DecodeHighlight, DecodeMask
from .normals import DecodeNormals
from .segmentation import DecodeSegmentation
from .selection import MAX_OBJECTS

# Kind of the answer: its decoder, and what of it differs from the decoder's own defaults.
DECODERS: dict[str, tuple[type[Node], dict[str, Any]]] = {
    "depth": (DecodeDepth, {"units": AUTO}),
    "normal": (DecodeNormals, {}),
    "segmentation": (DecodeSegmentation, {}),
    "edge": (DecodeEdges, {}),
    "pose": (DecodeEdges, {}),
    "mask": (DecodeMask, {}),
    "highlight": (DecodeHighlight, {}),
    "box": (DecodeBoxes, {}),
}
PICTURE = {"depth": "depth", "normal": "normals"}  # the output that is the picture, by kind
SELECTIONS = ("mask", "highlight")
RUN = "pixwizard_run"  # UI output: the model and the settings of the run
FOUND = ("pixwizard_objects", "pixwizard_boxes", "pixwizard_legend")  # UI output that is data too


class DecodeAnswer(Node):
    @classmethod
    def define_schema(cls):
        return schema(
            "DecodeAnswer",
            display_name="PixWizard Decode Answer",
            description="Takes the decoder that fits the task, with its default settings, and "
            "gives what all have in common: a picture, a mask, boxes and data. For settings, take "
            "the decoder itself.",
            search_aliases=["auto decode", "any decoder", "read answer"],
            is_output_node=True,
            inputs=[
                answer_image(),
                about_input(
                    "From Instruction: what this picture answers, which decides how it is read.",
                    optional=False,
                ),
                source_image(),
                canvas_input(),
                io.String.Input(
                    "settings",
                    optional=True,
                    force_input=True,
                    tooltip="How the picture was made, as JSON text: shown on the view and added "
                    "to the data. PixWizard gives it.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "picture",
                    display_name="picture",
                    tooltip="Depth in grey, normals, lines, clean classes, what was found laid on "
                    "the source, or the finished picture.",
                ),
                io.Mask.Output(
                    "mask",
                    display_name="mask",
                    tooltip="What was found: mask, highlight, inside of the boxes, lines, or all "
                    "classes except the background. Empty for other answers.",
                ),
                sockets.BoundingBox.Output(
                    "bounding_boxes",
                    display_name="bounding_boxes",
                    tooltip="[[(x, y, width, height, label, score), ...], ...], a list for each "
                    "picture: boxes, or those around the separate objects of a mask. Empty for "
                    "other answers.",
                ),
                io.String.Output(
                    "json",
                    display_name="data",
                    tooltip="JSON text: the task and its words, the kind of answer, the palette, "
                    "and the boxes, classes or areas of objects found. With settings, these too.",
                ),
            ],
        )

    @classmethod
    def run(cls, image, about, source=None, canvas=None, settings=None):
        made = read_settings(settings)
        if about.kind not in DECODERS:
            return finished(image, about, source, canvas, made)
        decoder, own = DECODERS[about.kind]
        said = []
        if about.kind == "edge" and on_light_paper(image):
            own, said = {"lines": "dark"}, [notes.note("dark_lines")]
        result, outputs = read_by(decoder, own, image, about, source, canvas)
        picture = outputs[PICTURE.get(about.kind, "picture")]
        mask = outputs.get("mask")
        mask = picture.new_zeros(picture.shape[:3]) if mask is None else mask
        boxes = outputs.get("bounding_boxes")
        if boxes is None:
            boxes = boxes_around(mask, about) if about.kind in SELECTIONS else [[] for _ in mask]
        shown = {} if views.KEY in result.ui else views.plain(to_image_01(picture))
        data = data_of(about, result.ui, made)
        said = [*made.said, *result.ui.get(notes.KEY, []), *said]
        ui = {**result.ui, **shown, **notes.shown(said), **made.shown()}
        return io.NodeOutput(picture, mask, boxes, data, ui=ui)


@dataclass(frozen=True, slots=True)
class RunDetails:
    """How a picture was made: what goes into the data, and what the view says of it."""

    run: dict[str, Any]
    said: list[notes.Note]

    def shown(self) -> dict[str, list]:
        """The part of a node's UI output that web/result_view.js reads."""
        return {RUN: [self.run]} if self.run else {}


def read_settings(text: str | None) -> RunDetails:
    """The settings of a run from JSON text. Raises DecodeError for anything but an object."""
    text = text or ""
    if not text.strip():
        return RunDetails({}, [])
    found = read_json(text, "settings must be JSON, and they are", DecodeError)
    if not isinstance(found, dict):
        raise DecodeError(f"settings must be a JSON object. Got: {text!r:.60}")
    said = found.pop("notes", [])
    if not (isinstance(said, list) and all(is_note(one) for one in said)):
        raise DecodeError(f'the notes of settings must be objects with "say". Got: {said!r:.60}')
    return RunDetails(found, said)


def is_note(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("say"), str) and "warns" in value


def on_light_paper(image) -> bool:
    """Whether more than half of a drawing is light: lines are thin, so the rest is the paper."""
    return bool(to_image_01(image).mean(1).median() > 0.5)


def read_by(decoder: type[Node], settings: dict[str, Any], image, about: Question, source, canvas):
    """What a decoder gives with its own defaults: the NodeOutput, and its outputs by id."""
    told = decoder.define_schema()
    linked = {"image": image, "about": about, "canvas": canvas, "source": source}
    if label := about.words.get("target"):
        linked["label"] = label
    given = {one.id: linked.get(one.id, getattr(one, "default", None)) for one in told.inputs}
    result = decoder.run(**{**given, **settings})
    ids = [one.id for one in told.outputs]
    return result, dict(zip(ids, result.args, strict=True))


def boxes_around(mask: Tensor, about: Question) -> list[list[dict[str, Any]]]:
    """Boxes around the separate objects of a host MASK, largest first, as BOUNDING_BOX."""
    label = about.words.get("target") or "object"
    found = []
    for one in mask > 0.5:
        edges = objects(one, limit=MAX_OBJECTS).boxes_xyxy_px.tolist()
        found.append(dialects.to_bounding_boxes([Box(tuple(e), 1.0) for e in edges], label))
    return found


def finished(image, about: Question, source, canvas, made: RunDetails) -> io.NodeOutput:
    """An answer that is a picture already, at the source's size, beside the source if there is
    one."""
    answer = at_source_size(image, canvas)
    before = None if source is None else shown_source(source, to_image_01(image), canvas)
    if before is not None and before.shape[-2:] == answer.shape[-2:]:
        shown = views.pair(before, answer, ("source", "result"))
    else:
        shown = views.plain(answer)
    # Of the user's own words nobody knows what they ask for.
    said = compared(about, "image")
    empty = answer.new_zeros(len(answer), *answer.shape[-2:])
    return io.NodeOutput(
        from_image_01(answer),
        from_mask(empty),
        [[] for _ in answer],
        data_of(about, {}, made),
        ui={**shown, **as_ui(about, [*made.said, *said]), **made.shown()},
    )


def data_of(about: Question, ui: dict[str, Any], made: RunDetails) -> str:
    """The question, what was found, and the settings if they are known, as JSON text."""
    found = next((ui[key] for key in FOUND if key in ui), None)
    return dialects.to_json(
        {
            "schema_version": dialects.SCHEMA_VERSION,
            "task": about.task,
            "words": dict(about.words),
            "answer": about.kind,
            "palette": about.palette,
            "found": found,
            **({"run": made.run} if made.run else {}),
        }
    )
