"""Instruction nodes of saved graphs keep their sentence, and new ones ask as the model was trained.

A graph saved by the page holds an Instruction's widgets by their place, one posted to the server by
their names; neither holds inputs that came later.
"""

from __future__ import annotations

import copy
import json

import pytest

from pixwizard_core.taught import Taught
from tests.support.paths import ROOT

FROZEN = json.loads((ROOT / "tests/core/frozen_phrasings.json").read_text(encoding="utf-8"))
OLD_WIDGETS = ("task", "caption", "target", "colour", "phrasing", "phrasing_seed")
FIRST_TASKS = list(FROZEN)[:40]  # those that graphs could ask for before there were trained forms
WORDS = {"caption": "a quiet harbour", "target": "the left boat", "colour": "cyan"}


def filled(template: str) -> str:
    for name, value in WORDS.items():
        template = template.replace(f"{{{name}}}", value)
    return template.replace("[", "").replace("]", "")


def widgets(node) -> list:
    """The inputs with a widget, in the order of a saved node's widgets_values."""
    ordered = sorted(node.define_schema().inputs, key=lambda socket: socket.optional)
    return [one for one in ordered if one.io_type in ("COMBO", "STRING", "INT")]


def loaded(node, values: list) -> dict:
    """What a page makes of saved widgets_values: by place, and the default for what is missing."""
    known = widgets(node)
    rest = [one.settings["default"] for one in known[len(values) :]]
    return dict(zip([one.id for one in known], [*values, *rest], strict=True))


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_saved_numbers_keep_their_sentence(nodes, task):
    node = nodes["Instruction"]
    for number, template in enumerate(FROZEN[task]):
        values = [task, WORDS["caption"], WORDS["target"], WORDS["colour"], number, -1]
        by_place = loaded(node, values)
        posted = dict(zip(OLD_WIDGETS, values, strict=True))
        for given in (by_place, posted, {k: v for k, v in posted.items() if k != "phrasing_seed"}):
            sentence = node.execute(**given).args[0]
            assert sentence == filled(template)
            assert not hasattr(sentence, "to")  # nothing words it again


@pytest.mark.parametrize("task", ["depth", "box", "text2image"])
def test_saved_seeds_keep_their_sentence(nodes, task):
    node = nodes["Instruction"]
    for seed in range(12):
        values = [task, WORDS["caption"], WORDS["target"], WORDS["colour"], 7, seed]
        sentence = node.execute(**loaded(node, values)).args[0]
        assert sentence == filled(FROZEN[task][seed % 6])


def test_widgets_of_old_graphs_keep_their_place(nodes):
    assert tuple(one.id for one in widgets(nodes["Instruction"]))[:6] == OLD_WIDGETS


def test_new_instruction_asks_as_the_model_was_trained(nodes):
    node = nodes["Instruction"]
    new = loaded(node, [])
    assert (new["task"], new["phrasing"], new["phrasing_seed"]) == ("depth", -1, -1)
    assert node.execute(**new).args[0] == "Depth estimation"


def test_trained_sentence_is_worded_again_for_the_model_of_the_text_encoder(nodes):
    sentence = nodes["Instruction"].execute(**loaded(nodes["Instruction"], [])).args[0]
    assert sentence.to(Taught(frozenset())) == "Estimate the depth map of this picture."
    again = copy.deepcopy(sentence)
    assert again == sentence == "Depth estimation"
    assert again.to(Taught(frozenset())) == "Estimate the depth map of this picture."


def test_choices_of_the_task_are_appended_to(nodes):
    options = next(one for one in nodes["Instruction"].define_schema().inputs if one.id == "task")
    assert set(options.options[:41]) == {*FIRST_TASKS, "custom"}
    assert options.options[40] == "custom"
    assert options.options[41:] == [
        "reflection", "restore", "restore_captioned", "recolour_photo", "inpaint_face",
        "highlight_reasoning", "subject", "person", "logo", "from_any",
    ]  # fmt: skip
