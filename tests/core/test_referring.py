"""Phrases by kind, and masks scored by what names them."""

import random

import pytest
import torch

from pixwizard_core.evaluation.referring import KINDS, groups_of, kind_of, score_groups
from pixwizard_core.world import render, sample_scenes
from pixwizard_core.world.held_out import examples_of
from pixwizard_core.world.phrases import phrases, things

# The world's own names of its kinds, where two of them share a row of the table.
ROWS = dict(
    zip(("relation", "side", "size shape", "colour shape", "colour", "shape"), KINDS, strict=True)
)
ROWS |= {"depth": ROWS["side"], "size colour shape": ROWS["size shape"]}


def test_every_phrase_of_the_world_has_its_kind():
    scenes = sample_scenes(60, torch.Generator().manual_seed(0))
    met = set()
    for found in things(scenes, render(scenes, 64, 64)):
        for thing in found:
            for kind, phrase in phrases(found, thing):
                assert kind_of(phrase) == ROWS[kind], phrase
                met.add(kind)
    assert met == set(ROWS)


def test_other_words_are_no_phrase():
    with pytest.raises(ValueError, match="names no object of the demo world: 'the moon'"):
        kind_of("the moon")


def test_groups_hold_every_row_twice_and_right_masks_score_best():
    examples = examples_of("mask", 24, (64, 64), 5, False)
    groups = groups_of(examples)
    rows = [row for group in groups.values() for row in group]
    assert sorted(rows) == sorted([*range(24)] * 2)
    counted = {name[0] for name in groups if name.endswith("in view")}
    assert counted <= set("1234"), "a phrase names an object, so there is one"
    truth = examples.truth["mask"]
    for count, scores in score_groups(truth, examples).values():
        assert count > 0
        assert scores["iou"] == scores["found"] == 1
    wrong = truth[random.Random(0).sample(range(24), 24)]
    overall = score_groups(wrong, examples).values()
    assert sum(count * scores["iou"] for count, scores in overall) < 0.6 * 48
