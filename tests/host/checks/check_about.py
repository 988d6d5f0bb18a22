"""What Instruction says of a question, through the host's executor into the decoders."""

from __future__ import annotations

import json

import torch
from check_data_nodes import Graph, kept, outlined

NOTES, VIEW = "pixwizard_notes", "pixwizard_view"


def check_about_reaches_the_decoder_that_fits(setup):
    source, answer = outlined()
    graph = Graph()
    picture, painted = graph.give("source", source), graph.give("answer", answer)
    ask = graph.ours("Instruction", task="box", target="the ball")
    found = graph.ours("DecodeAnswer", image=painted, about=[ask, 1], source=picture)
    own = graph.ours("DecodeBoxes", image=painted, source=picture, label="the ball")
    wrong = graph.ours("DecodeDepth", image=painted, about=[ask, 1], units="auto")
    graph.keep(found, 4, "found")
    graph.keep(own, 6, "own")
    shown = graph.run()
    assert torch.equal(kept("found"), kept("own", 5))
    assert kept("found", 2) == kept("own", 1)
    (data,) = json.loads(kept("found", 3))["found"]
    assert data["labels"] == ["the ball"], data
    assert not shown[found].get(NOTES), shown[found]
    assert shown[found][VIEW][0]["kind"] == "boxes"
    assert [one["say"] for one in shown[own][NOTES]] == ["unknown"]
    assert [one["say"] for one in shown[wrong][NOTES]] == ["mismatch", "relative"]
    assert shown[wrong][VIEW][0]["unit"] == ""


def check_about_holds_the_palette_of_the_connected_model(setup):
    graph = Graph()
    floor = (torch.tensor([210, 60, 200]) / 255).expand(1, 16, 16, 3)
    tiny = graph.ours("LoadTiny")
    ask = graph.ours("Instruction", task="segmentation", model=[tiny, 0])
    painted = graph.give("answer", floor)
    found = graph.ours("DecodeSegmentation", image=painted, about=[ask, 1])
    graph.keep(found, 3, "classes")
    shown = graph.run()
    assert [one["name"] for one in json.loads(kept("classes", 2))] == ["floor"]
    assert [one["say"] for one in shown[found][NOTES]] == ["palette"]


def check_about_says_what_the_connected_model_is(setup):
    graph = Graph()
    tiny = graph.ours("LoadTiny")
    ask = graph.ours("Instruction", task="depth", model=[tiny, 0])
    painted = graph.give("answer", torch.rand(1, 16, 16, 3))
    found = graph.ours("DecodeDepth", image=painted, about=[ask, 1])
    other = graph.ours("DecodeAnswer", image=painted, about=[ask, 1])
    shown = graph.run()
    for node in (found, other):
        (model,) = shown[node]["pixwizard_model"]
        assert (model["name"], model["demo"]) == ("PixWizard Tiny", True), model


def check_about_sizes_of_auto_say_whose_they_are(setup):
    graph = Graph()
    image = graph.give("image", torch.rand(1, 64, 96, 3))
    tiny = graph.ours("LoadTiny")
    alone = graph.ours("FitToCanvas", image=image, centre=512, fit="stretch", centre_by="auto")
    asked = graph.ours(
        "FitToCanvas", image=image, centre=512, fit="stretch", centre_by="auto", model=[tiny, 0]
    )
    wider = graph.ours(
        "PrepareOutpaint", image=image, left=8, top=0, right=0, bottom=0, aspect="",
        anchor="centre", fill="black", centre=512, fit="stretch", centre_by="auto",
    )  # fmt: skip
    for node in (alone, asked, wider):
        graph.keep(node, 1, f"kept {node}")
    shown = graph.run()
    told = {node: [one["say"] for one in shown[node][NOTES]] for node in (alone, asked, wider)}
    assert told == {alone: ["released_sizes"], asked: [], wider: ["released_sizes"]}, told
    centres = [shown[node]["pixwizard_auto"][0]["centre"] for node in (alone, asked)]
    assert centres == [512, 128], centres


def check_about_of_an_empty_inpaint_mask(setup):
    graph = Graph()
    image = graph.give("image", torch.rand(1, 64, 96, 3))
    mask = graph.give("mask", torch.zeros(1, 64, 96))
    ready = graph.ours("PrepareInpaint", image=image, mask=mask, centre=128)
    graph.keep(ready, 4, "ready")
    shown = graph.run()
    assert [one["say"] for one in shown[ready][NOTES]] == ["empty_mask"], shown
