"""The task table: complete, well-formed, and turned into sentences without surprises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pixwizard_core.decode import DECODERS
from pixwizard_core.errors import InstructionError
from pixwizard_core.task_table import FAMILIES
from pixwizard_core.tasks import COLOURS, FREE_TEXT, TASKS, find_task, instruction

FIELDS = {
    "caption": "a quiet harbour",
    "colour": "cyan",
    "target": "the left boat",
    "question": "What floats?",
}
FROZEN = Path(__file__).with_name("frozen_phrasings.json")
IDS = [
    "depth",
    "normal",
    "segmentation",
    "mask",
    "highlight",
    "box",
    "canny",
    "hed",
    "sketch",
    "lineart",
    "pose",
    "denoise",
    "derain",
    "dehaze",
    "deblur",
    "desnow",
    "deshadow",
    "lowlight",
    "demoire",
    "face",
    "watermark",
    "superres",
    "inpaint",
    "outpaint",
    "edit",
    "recolour",
    "remove",
    "add",
    "replace",
    "background",
    "style",
    "text2image",
    "from_canny",
    "from_hed",
    "from_depth",
    "from_sketch",
    "from_pose",
    "from_segmentation",
    "from_normal",
    "from_lineart",
    "reflection",
    "restore",
    "restore_captioned",
    "recolour_photo",
    "inpaint_face",
    "highlight_reasoning",
    "subject",
    "person",
    "logo",
    "from_any",
]


def test_table_has_every_task_once():
    assert sorted(TASKS) == sorted(IDS)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_row_is_well_formed(task):
    assert 6 <= len(task.phrasings) <= 10
    assert len(task.held_out) == 2
    assert set(task.held_out) | set(task.seen) == set(range(len(task.phrasings)))
    assert not set(task.held_out) & set(task.seen)
    assert task.family in FAMILIES
    assert task.decoder in DECODERS
    for phrasing in task.phrasings:
        assert set(re.findall(r"\{(\w+)\}", phrasing)) == set(task.fields)


def test_no_sentence_is_used_twice():
    sentences = [p.lower() for task in TASKS.values() for p in task.phrasings]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_sentences_are_filled_completely(task):
    for index in range(len(task.phrasings)):
        sentence = instruction(task.id, phrasing=index, **FIELDS)
        assert not re.search(r"[\[\]{}]", sentence)
        for field in task.fields:
            assert FIELDS[field] in sentence


def test_numbered_phrasings_keep_their_sentences_for_ever():
    """Saved workflows, lists and commands name phrasings by number or seed. Append new tasks to the
    file; change nothing in it."""
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert {task.id: list(task.phrasings) for task in TASKS.values()} == frozen
    assert all(
        task.seen == (0, 1, 2, 3, 4, 5)[: len(task.phrasings) - 2] for task in TASKS.values()
    )


def test_instruction_written_out():
    assert instruction("depth", phrasing=0) == "Estimate the depth map of this picture."
    sentence = instruction("recolour", target=" the  red ball. ", colour="blue", phrasing=1)
    assert sentence == "Change the colour of the red ball to blue."


def test_optional_caption_leaves_a_whole_sentence():
    assert instruction("inpaint", phrasing=0) == "Fill in the missing part of the picture."
    filled = "Complete the hole in the photo so that it shows a cat"
    assert instruction("inpaint", caption="a cat", phrasing=2) == filled
    assert instruction("inpaint", phrasing=2) == "Complete the hole in the photo."


def test_braces_and_brackets_of_the_user_stay():
    sentence = instruction("text2image", caption="a {colour} [sign]", colour="red", phrasing=0)
    assert sentence == "Paint this picture: a {colour} [sign]"


def test_seed_walks_through_trained_phrasings_only():
    task = TASKS["remove"]
    trained = {instruction("remove", target="it", phrasing=i) for i in task.seen}
    seen = [instruction("remove", target="it", seed=100 + s) for s in range(len(task.seen))]
    assert set(seen) == trained
    assert seen[0] == instruction("remove", target="it", seed=100)


def test_free_text_is_passed_on():
    assert instruction(FREE_TEXT, caption="make it  rain\nnow", seed=5) == "make it rain now"
    assert find_task(FREE_TEXT).fields == ("caption",)


def test_colours_are_eight_and_apart():
    assert set(COLOURS) == set(
        ["red", "green", "blue", "yellow", "purple", "orange", "cyan", "white"]
    )
    values = list(COLOURS.values())
    for i, one in enumerate(values):
        for other in values[:i]:
            assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) > 100**2


def test_unknown_task_lists_the_known():
    with pytest.raises(
        InstructionError, match=r"unknown task 'dept'; choose one of: depth, normal"
    ):
        instruction("dept")


def test_missing_fields_are_named():
    with pytest.raises(InstructionError, match="'box' needs target and colour; it takes"):
        instruction("box", target="  ", colour=" .")
    with pytest.raises(InstructionError, match=r"needs colour;.*Fill in colour, for example 'red'"):
        instruction("highlight", target="the cup")
    with pytest.raises(InstructionError, match="'custom' needs caption"):
        instruction(FREE_TEXT)


@pytest.mark.parametrize("phrasing", [-1, 8, "best"])
def test_phrasing_out_of_range(phrasing):
    with pytest.raises(InstructionError, match="does not exist; it has 0 to 7, or 'trained'"):
        instruction("depth", phrasing=phrasing)


@pytest.mark.parametrize(
    ("task", "fields", "words"),
    [
        ("box", {"colour": "orange"}, "an orange box"),
        ("box", {"colour": "Orange"}, "an Orange box"),
        ("box", {"colour": "red"}, "a red box"),
        ("highlight", {"colour": "orange"}, "an orange tint"),
    ],
)
def test_article_fits_what_follows(task, fields, words):
    number = next(i for i, p in enumerate(TASKS[task].phrasings) if "a {colour}" in p)
    assert words in instruction(task, target="the boat", phrasing=number, **fields)


def test_no_sentence_says_a_before_a_vowel():
    for colour in COLOURS:
        for task in TASKS.values():
            for number in range(len(task.phrasings)):
                given = {**FIELDS, "colour": colour}
                sentence = instruction(task.id, phrasing=number, **given)
                assert not re.search(r"\b[Aa] [aeiou]", sentence), sentence
