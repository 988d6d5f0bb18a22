"""Sentences that training asks in: varied, complete, and never one that is kept out."""

import random

import pytest

from pixwizard_core.tasks import TASKS, instruction
from pixwizard_core.world.examples import WORLD_TASKS
from pixwizard_core.world.sentence_patterns import PATTERNS
from pixwizard_core.world.wordings import ask, composed, expand, form_sentence, same

FIELDS = {"target": "the red ball", "colour": "blue", "caption": "a green cube"}


def fields(task: str) -> dict[str, str]:
    return {name: FIELDS[name] for name in TASKS[task].fields}


def test_every_task_of_the_world_has_patterns():
    assert set(PATTERNS) == set(WORLD_TASKS)


@pytest.mark.parametrize("task", WORLD_TASKS)
def test_sentences_hold_their_words_and_no_marks_of_a_pattern(task):
    rng = random.Random(0)
    sentences = [ask(task, fields(task), rng) for _ in range(200)]
    assert len(set(sentences)) > 20
    forms = {form_sentence(task, form, fields(task)) for form in TASKS[task].forms}
    sentences = [sentence for sentence in sentences if sentence not in forms]
    for sentence in sentences:
        assert not set(sentence) & set("{}[]|()"), sentence
        assert "  " not in sentence
        assert sentence == sentence.strip()
    # "edit" and "text2image" may be nothing but the caption; all others say more
    for name in fields(task):
        bare = FIELDS[name].removeprefix("the ")
        assert all(bare in s for s in sentences) or name in TASKS[task].optional


@pytest.mark.parametrize("task", ["depth", "mask", "text2image"])
def test_half_of_the_sentences_are_trained_forms(task):
    rng = random.Random(2)
    sentences = [ask(task, fields(task), rng) for _ in range(1000)]
    counts = [
        sentences.count(form_sentence(task, form, fields(task))) for form in TASKS[task].forms
    ]
    assert 440 < sum(counts) < 560
    assert min(counts) > 0.8 * 500 / len(counts)


def test_task_without_trained_forms_is_asked_in_its_own_words():
    sentences = {ask("recolour", fields("recolour"), random.Random(i)) for i in range(100)}
    assert len(sentences) > 40


@pytest.mark.parametrize("task", WORLD_TASKS)
def test_what_is_kept_out_is_never_asked(task):
    rng = random.Random(1)
    kept_out = [instruction(task, phrasing=i, **fields(task)) for i in TASKS[task].held_out]
    for _ in range(400):
        sentence = ask(task, fields(task), rng)
        assert not any(same(sentence, other) for other in kept_out)


def test_a_hole_without_a_caption_needs_none():
    rng = random.Random(2)
    for _ in range(50):
        assert ":" not in composed("inpaint", {}, rng)


def test_patterns_expand_by_their_two_rules():
    rng = random.Random(3)
    assert {expand("(a|b) c", rng) for _ in range(50)} == {"a c", "b c"}
    assert {expand("x[ y]", rng) for _ in range(50)} == {"x", "x y"}
    assert {expand("show[ me] it.", rng) for _ in range(50)} == {"show it.", "show me it."}


def test_same_ignores_capitals_and_stops():
    assert same("Make a mask.", "make a mask")
    assert not same("make a mask", "make the mask")
