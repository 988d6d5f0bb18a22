"""Cut Out by names, through the host's executor: as the core does it, with and without a model."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import torch
from check_data_nodes import Given, Graph, Kept, kept
from check_short import Session, executed, ran
from PIL import Image

NOTES, VIEW, MODEL = "pixwizard_notes", "pixwizard_view", "pixwizard_model"
ROOM = {"seed": 28, "objects": 4, "width": 160, "height": 128}


def room(graph: Graph) -> str:
    return graph.ours("DemoScene", **ROOM)


def check_cut_out_by_names_is_the_core_s(setup):
    graph = Graph()
    scene, tiny = room(graph), graph.ours("LoadTiny")
    graph.keep(scene, 5, "scene")
    session = Session()
    session.run(graph)
    target, truth = kept("scene", 2), kept("scene", 4)[0] > 0.5
    names = f"{target}, the wall"
    cut = graph.ours("CutOut", source=[scene, 0], names=names, pixwizard=[tiny, 4], seed=4)
    graph.add("SaveImage", images=[cut, 0], filename_prefix="named")
    graph.keep(cut, 4, "cut")
    told = session.run(graph)
    layers, alphas, background, stacked = (kept("cut", slot) for slot in range(4))
    core = setup.module("pixwizard_core.cutout").cut_out(
        setup.module("pixwizard_core.bundle").load_tiny(), kept("scene").movedim(-1, 1),
        names.split(","), seed=4,
    )  # fmt: skip
    assert [one.name for one in core.layers] == [target, "the wall"], core.missing
    wanted = torch.stack([one.alpha for one in core.layers])
    differ = float(((alphas > 0.5) != (wanted > 0.5)).float().mean())
    apart = float((background[0].movedim(-1, 0) - core.background).abs().mean())
    assert differ < 0.001, differ
    assert apart < 0.005, apart
    found = alphas[0] > 0.5
    overlap = float((found & truth).sum() / (found | truth).sum())
    assert overlap > 0.7, overlap
    rim = ((alphas > 0) & (alphas < 1)).any(0)
    assert torch.equal(stacked[0][~rim], kept("scene")[0][~rim])
    saved = sorted(Path(folder_paths.get_output_directory()).glob("named_*.png"))
    assert [Image.open(path).mode for path in saved] == ["RGBA"] * len(layers)
    shown = executed(told, cut)[-1]
    assert shown[VIEW][0]["kind"] == "pair"
    assert shown[MODEL][0]["demo"] is True
    return {"masks differ": differ, "background apart": apart, "overlap": overlap}


def check_cut_out_without_a_model_takes_the_one_that_is_there(setup):
    graph, session = Graph(), Session()
    scene = room(graph)
    graph.keep(scene, 5, "scene")
    session.run(graph)
    given = {"source": [scene, 0], "names": kept("scene", 2), "seed": 4}
    alone = graph.ours("CutOut", **given)
    beside = graph.ours("CutOut", **given, pixwizard=[graph.ours("LoadTiny"), 4])
    graph.keep(alone, 4, "alone")
    graph.keep(beside, 4, "beside")
    told = session.run(graph)
    for slot in range(4):
        assert torch.equal(kept("alone", slot), kept("beside", slot)), slot
    shown = executed(told, alone)[-1]
    assert shown[VIEW] == executed(told, beside)[-1][VIEW]
    assert shown[MODEL] == [{"name": "PixWizard Tiny", "demo": True, "photographs": False}]
    again = session.run(graph)
    assert ran(again) == [], "what did not change was computed again"


def check_cut_out_runs_once_for_each_picture_of_a_list(setup):
    graph = Graph()
    Given.VALUES["rooms"] = [torch.rand(1, 48, 64, 3), torch.rand(1, 64, 48, 3)]
    listed = graph.add("CheckListed", name="rooms")
    cut = graph.ours("CutOut", source=[listed, 0], names="the ball", seed=1)
    graph.keep(cut, 4, "listed")
    Session().run(graph)
    assert [one.shape for one in Kept.VALUES["listed.2"]] == [(1, 48, 64, 3), (1, 64, 48, 3)]
