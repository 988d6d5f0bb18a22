"""Answers that follow the edges of a large source, the best of several, and layers, through the
host's executor."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import torch
from check_data_nodes import Graph, kept
from PIL import Image
from small import refused

SIDE, SMALL = 256, 64
NOTES = "pixwizard_notes"


def disc(side: int):
    place = (torch.arange(side) + 0.5) / side - 0.5
    return place.square()[:, None] + place.square() < 0.09


def check_sharpened_answer_has_the_outline_of_the_source(setup):
    red, wall = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.6, 0.6, 0.6])
    graph = Graph()
    source = graph.give("source", torch.where(disc(SIDE)[..., None], red, wall)[None])
    painted = graph.give("answer", disc(SMALL).float()[None, ..., None].expand(1, -1, -1, 3))
    fitted = graph.ours("FitToCanvas", image=source, centre=SMALL)
    ask = graph.ours("Instruction", task="mask", target="the red disc")
    sharp = graph.ours(
        "SharpenAnswer", image=painted, source=source, canvas=[fitted, 2], about=[ask, 1]
    )
    plain = graph.ours("DecodeMask", image=painted, canvas=[fitted, 2], about=[ask, 1])
    found = graph.ours("DecodeAnswer", image=[sharp, 0], about=[ask, 1], source=source)
    graph.keep(plain, 1, "plain")
    graph.keep(found, 2, "sharp")
    shown = graph.run()
    assert shown[sharp][NOTES] == [], shown[sharp]
    wrong = [
        int(((kept(name, slot)[0] > 0.5) != disc(SIDE)).sum())
        for name, slot in (("plain", 0), ("sharp", 1))
    ]
    assert wrong[1] < 20 < wrong[0], wrong


def check_best_of_a_batch_is_picked(setup):
    answers = torch.zeros(3, 32, 48, 3)
    for answer, left in zip(answers, (30, 4, 5), strict=True):
        answer[8:20, left : left + 12] = 1
    graph = Graph()
    images = graph.give("answers", answers)
    source = graph.give("source", torch.full((1, 32, 48, 3), 0.5))
    ask = graph.ours("Instruction", task="mask", target="it")
    best = graph.ours("PickBest", images=images, about=[ask, 1], source=source)
    graph.keep(best, 4, "best")
    shown = graph.run()
    assert kept("best", 1) == 1
    assert torch.equal(kept("best"), answers[1:2])
    assert [note["say"] for note in shown[best][NOTES]] == ["best"]


def check_best_of_answers_that_need_no_choice_is_refused(setup):
    graph = Graph()
    images = graph.give("answers", torch.zeros(2, 32, 48, 3))
    source = graph.give("source", torch.full((1, 32, 48, 3), 0.5))
    ask = graph.ours("Instruction", task="depth")
    best = graph.ours("PickBest", images=images, about=[ask, 1], source=source)
    graph.keep(best, 4, "best")
    refused(AssertionError, ("'depth'", "needs one answer only", "Ask once"), graph.run)


def check_layers_are_saved_with_transparency_and_stack(setup):
    source = torch.rand(1, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))
    graph = Graph()
    picture = graph.give("source", source)
    masks = graph.give("masks", disc(SIDE).float()[None])
    cut = graph.ours("CutOut", source=picture, masks=masks)
    graph.add("SaveImage", images=[cut, 0], filename_prefix="layer")
    graph.keep(cut, 4, "cut")
    graph.run()
    assert kept("cut").shape == (1, SIDE, SIDE, 4)
    assert torch.equal(kept("cut", 1)[0] > 0.5, disc(SIDE))
    assert torch.equal(kept("cut", 3), source)
    (saved,) = Path(folder_paths.get_output_directory()).glob("layer_*.png")
    assert Image.open(saved).mode == "RGBA"
