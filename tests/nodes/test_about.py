"""What a picture answers: from Instruction to the decoders, and what these say of it."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from tests.fakes.host import REPO
from tests.nodes.test_data_nodes import call, called, image, outlined, some_mask

BLUE = torch.tensor([0.0, 0.0, 1.0])


@pytest.fixture
def asked(nodes):
    """What Instruction says of a task."""

    def about(task: str, **words):
        return call(nodes["Instruction"], task=task, **words)[1]

    return about


def notes(result) -> list[dict]:
    return result.ui["pixwizard_notes"]


def said(result) -> list[str]:
    return [one["say"] for one in notes(result)]


def test_instruction_says_what_was_asked(asked):
    about = asked("highlight", target=" the red ball ", colour="green", caption="unused")
    assert (about.task, about.kind, about.palette) == ("highlight", "highlight", None)
    assert about.words == {"target": "the red ball", "colour": "green"}
    own = asked("custom", caption="make it snow")
    assert (own.kind, own.words) == (None, {"caption": "make it snow"})


def test_mask_that_is_decoded_as_depth_is_said(nodes, asked, caplog):
    about = asked("mask", target="the ball")
    with caplog.at_level(logging.WARNING):
        result = called(nodes["DecodeDepth"], image=image(8, 6), about=about)
    assert "this picture answers 'mask' (Black and white mask)" in caplog.text
    assert "not a depth map" in caplog.text
    assert notes(result) == [
        {"say": "mismatch", "warns": True, "task": "mask", "holds": "mask", "kind": "depth"}
    ]


DECODERS = {
    "DecodeDepth": "depth", "DecodeMask": "mask", "DecodeSegmentation": "segmentation",
    "DecodeHighlight": "highlight", "DecodeEdges": "pose", "DecodeNormals": "normal",
    "DecodeBoxes": "box",
}  # fmt: skip


@pytest.mark.parametrize(("name", "task"), DECODERS.items())
def test_every_decoder_knows_its_own_answer_and_says_others(nodes, asked, name, task):
    words = {"target": "the ball"}
    found = [] if name != "DecodeBoxes" else ["nothing"]
    assert said(called(nodes[name], image=image(32, 24), about=asked(task, **words))) == found
    assert said(called(nodes[name], image=image(32, 24))) == ["unknown", *found]
    own = asked("custom", caption="paint it")
    assert said(called(nodes[name], image=image(32, 24), about=own)) == ["unknown", *found]
    other = called(nodes[name], image=image(32, 24), about=asked("denoise"))
    assert said(other) == ["mismatch", *found]


def test_colour_comes_from_the_question_while_the_node_has_its_default(nodes, asked, caplog):
    source, _ = outlined()
    answer = source.clone()
    answer[:, 30:80, 20:70] = BLUE
    answer[:, 33:77, 23:67] = source[:, 33:77, 23:67]
    blue = asked("box", target="the ball", colour="blue")
    found = called(nodes["DecodeBoxes"], image=answer, source=source, about=blue)
    assert found.args[0] == [[[20, 30, 70, 80]]]
    assert said(found) == ["colour"]
    assert called(nodes["DecodeBoxes"], image=answer, source=source).args[0] == [[]]
    own = called(nodes["DecodeBoxes"], image=answer, source=source, about=blue, colour="green")
    assert own.args[0] == [[]]
    assert said(own) == ["other_colour", "nothing"]
    assert "blue was asked for, and this node looks for green" in caplog.text


def test_palette_comes_from_the_model_while_the_node_has_its_default(nodes, extension, caplog):
    question = extension("nodes.shared.question").question
    tiny = question("segmentation", {}, "PixWizard Tiny world")
    floor = (torch.tensor([210, 60, 200]) / 255).expand(1, 4, 6, 3)
    found = called(nodes["DecodeSegmentation"], image=floor, about=tiny)
    assert [one["name"] for one in json.loads(found.args[2])] == ["floor"]
    assert said(found) == ["palette"]
    text = '{"sky": [0, 0, 255], "pink": [210, 60, 200]}'
    own = called(nodes["DecodeSegmentation"], image=floor, about=tiny, palette_text=text)
    assert [one["name"] for one in json.loads(own.args[2])] == ["pink"]
    ade = question("segmentation", {}, "ADE20K (150 classes)")
    named = {"image": floor, "about": ade, "palette": "PixWizard Tiny world"}
    assert said(called(nodes["DecodeSegmentation"], **named)) == ["other_palette"]
    assert "the model paints the classes of ADE20K" in caplog.text


def test_auto_colour_is_the_one_of_the_question_and_is_told(nodes, asked):
    source, _ = outlined()
    answer = source.clone()
    answer[:, 30:80, 20:70] = BLUE
    answer[:, 33:77, 23:67] = source[:, 33:77, 23:67]
    blue = asked("box", target="the ball", colour="blue")
    found = called(nodes["DecodeBoxes"], image=answer, source=source, about=blue, colour="auto")
    assert found.args[0] == [[[20, 30, 70, 80]]]
    assert said(found) == []
    assert found.ui["pixwizard_auto"] == [{"choice": "colour", "value": "auto", "colour": "blue"}]
    alone = called(nodes["DecodeHighlight"], image=answer, colour="auto")
    assert alone.ui["pixwizard_auto"][0]["colour"] == "red"
    named = called(nodes["DecodeHighlight"], image=answer, about=blue, colour="green")
    assert "pixwizard_auto" not in named.ui


def test_auto_palette_is_that_of_the_model_or_said_to_be_a_guess(nodes, extension):
    question = extension("nodes.shared.question").question
    floor = (torch.tensor([210, 60, 200]) / 255).expand(1, 4, 6, 3)
    tiny = question("segmentation", {}, "PixWizard Tiny world")
    found = called(nodes["DecodeSegmentation"], image=floor, about=tiny, palette="auto")
    assert [one["name"] for one in json.loads(found.args[2])] == ["floor"]
    assert said(found) == []
    assert found.ui["pixwizard_auto"] == [
        {"choice": "palette", "value": "auto", "palette": "PixWizard Tiny world"}
    ]
    nobody = question("segmentation", {})
    guessed = called(nodes["DecodeSegmentation"], image=floor, about=nobody, palette="auto")
    assert said(guessed) == ["palette_guessed"]
    assert guessed.ui["pixwizard_auto"][0]["palette"] == "ADE20K (150 classes)"
    text = '{"sky": [0, 0, 255], "pink": [210, 60, 200]}'
    own = called(
        nodes["DecodeSegmentation"], image=floor, about=tiny, palette="auto", palette_text=text
    )
    assert [one["name"] for one in json.loads(own.args[2])] == ["pink"]
    assert "pixwizard_auto" not in own.ui


@pytest.mark.parametrize(("name", "task"), [*DECODERS.items(), ("DecodeAnswer", "denoise")])
def test_every_decoder_passes_on_what_the_model_is(nodes, asked, extension, name, task):
    """The page draws its banner by it, however the model was loaded."""
    room = extension("nodes.shared.question")
    given = {"image": image(32, 24)}
    words = asked(task, target="the ball").words
    model = room.ModelAsked("PixWizard Tiny", demo=True, photographs=False)
    known = room.question(task, words, None, model)
    assert called(nodes[name], **given, about=known).ui["pixwizard_model"] == [
        {"name": "PixWizard Tiny", "demo": True, "photographs": False}
    ]
    assert "pixwizard_model" not in called(nodes[name], **given, about=asked(task, **words)).ui


def test_about_of_another_kind_is_refused(nodes, extension):
    errors = extension("pixwizard_core.errors")
    with pytest.raises(
        errors.InstructionError, match="about must be the output about of Instruction"
    ):
        call(nodes["DecodeDepth"], image=image(8, 6), about="depth")
    with pytest.raises(errors.InstructionError, match="Got: object"):
        call(nodes["DecodeAnswer"], image=image(8, 6), about=object())


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ({}, "m"),  # a saved workflow has no units
        ({"units": "metres"}, "m"),
        ({"units": "relative", "far_m": 4.0}, ""),
        ({"units": "auto"}, ""),
        ({"units": "auto", "far_m": 4.0}, "m"),
        ({"units": "auto", "near_m": 0.5}, "m"),
    ],
)
def test_depth_is_in_metres_where_a_range_was_given(nodes, given, unit):
    result = called(nodes["DecodeDepth"], image=image(12, 8), **given)
    (entry,) = result.ui["pixwizard_view"]
    assert entry["unit"] == unit
    assert ("limits" in entry) == bool(unit)
    assert ("relative" in said(result)) == (not unit)
    if not unit:
        assert 0 <= entry["low"] < entry["high"] <= 1


def test_relative_view_changes_no_output(nodes):
    one, other = (
        call(nodes["DecodeDepth"], image=image(12, 8), units=units)
        for units in ("metres", "relative")
    )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_correlation_of_auto_is_on_the_node(nodes, asked):
    floor = torch.linspace(1, 0, 6)[None, :, None, None].expand(1, 6, 4, 3)  # black is near
    result = called(
        nodes["DecodeDepth"], image=floor, answer_near="auto", about=asked("depth"), units="metres"
    )
    assert notes(result) == [
        {"say": "near_seen", "warns": False, "number": 1, "near": "black", "correlation": "-1.00"}
    ]
    flat = torch.full((1, 6, 4, 3), 0.5)
    result = called(nodes["DecodeDepth"], image=flat, answer_near="auto", about=asked("depth"))
    assert said(result) == ["near_unclear"]


def test_empty_mask_is_said(nodes, caplog):
    source, mask = image(40, 30, 2), some_mask(40, 30, 2)
    given = {"image": source, "centre": 128}
    assert notes(called(nodes["PrepareInpaint"], **given, mask=mask)) == []
    assert said(called(nodes["PrepareInpaint"], **given, mask=mask * 0)) == ["empty_mask"]
    assert "the mask is empty: nothing will change" in caplog.text
    mask[1] = 0
    assert notes(called(nodes["PrepareInpaint"], **given, mask=mask)) == [
        {"say": "empty_masks", "warns": True, "numbers": "2"}
    ]
    laid = called(nodes["Composite"], source=source, result=source, mask=mask * 0)
    assert said(laid) == ["empty_mask"]
    assert len(laid.ui["pixwizard_view"]) == 2


def answered(nodes, about, **inputs) -> tuple[dict, object]:
    result = called(nodes["DecodeAnswer"], about=about, **inputs)
    return dict(zip(("picture", "mask", "boxes", "data"), result.args, strict=True)), result


@pytest.mark.parametrize(
    ("task", "name", "output"),
    [("depth", "DecodeDepth", 0), ("normal", "DecodeNormals", 0), ("canny", "DecodeEdges", 0),
     ("segmentation", "DecodeSegmentation", 0), ("mask", "DecodeMask", 3),
     ("highlight", "DecodeHighlight", 3), ("box", "DecodeBoxes", 5)],
)  # fmt: skip
def test_decode_answer_gives_what_the_decoder_gives(nodes, asked, task, name, output):
    about = asked(task, target="the ball")
    painted = image(48, 32) * 0.3
    painted[:, 8:20, 10:30] = torch.tensor([1.0, 0.0, 0.0])
    found, result = answered(nodes, about, image=painted)
    label = {"label": "the ball"} if task == "box" else {}
    wanted = called(nodes[name], image=painted, about=about, **label)
    assert torch.equal(found["picture"], wanted.args[output])
    assert found["mask"].shape == (1, 32, 48)
    data = json.loads(found["data"])
    assert (data["task"], data["answer"]) == (task, about.kind)
    assert len(result.ui["pixwizard_view"]) == 1
    assert len(found["boxes"]) == 1


def test_decode_answer_puts_boxes_around_what_was_selected(nodes, asked):
    painted = torch.zeros(2, 32, 48, 3)
    painted[0, 8:20, 10:30] = 1
    found, _ = answered(nodes, asked("mask", target="the ball"), image=painted)
    assert found["boxes"] == [
        [{"x": 10, "y": 8, "width": 20, "height": 12, "label": "the ball", "score": 1.0}],
        [],
    ]
    assert found["mask"].sum() == 240
    assert json.loads(found["data"])["found"] == [{"areas_px": [240]}]


def test_decode_answer_reads_dark_lines_on_light_paper(nodes, asked):
    painted = torch.ones(1, 20, 30, 3)
    painted[:, 9:11] = 0
    found, result = answered(nodes, asked("sketch"), image=painted)
    assert found["mask"].sum() == 60
    assert said(result) == ["dark_lines"]


def test_decode_answer_gives_a_finished_picture_at_the_size_of_its_source(nodes, asked):
    source = image(60, 40)
    fitted, _, canvas, *_ = call(nodes["FitToCanvas"], image=source, centre=128)
    found, result = answered(nodes, asked("denoise"), image=fitted, source=source, canvas=canvas)
    assert found["picture"].shape == source.shape
    assert not found["mask"].any()
    assert found["boxes"] == [[]]
    assert result.ui["pixwizard_view"][0]["kind"] == "pair"
    assert said(result) == []
    own, result = answered(nodes, asked("custom", caption="paint it"), image=source)
    assert torch.equal(own["picture"], source)
    assert said(result) == ["unknown"]


def test_notes_have_words(nodes, extension):
    """Every note of the code is in main.json, and every kind of answer."""
    words = json.loads((REPO / "locales" / "en" / "main.json").read_text("utf-8"))["pixwizard"]
    told = set()
    for path in (REPO / "nodes").rglob("*.py"):
        text = path.read_text("utf-8")
        told |= {name for name in words["notes"] if f'"{name}"' in text}
    assert told == set(words["notes"])
    answers = extension("nodes.shared.question").ANSWERS
    assert words["answers"] == answers
    kinds = {task.decoder for task in extension("pixwizard_core.tasks").TASKS.values()}
    assert kinds <= set(answers)
