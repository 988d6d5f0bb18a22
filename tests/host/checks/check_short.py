"""The short node in the host's executor: what it expands into, what is cached, what it says."""

from __future__ import annotations

import asyncio
import json

import execution
import torch
from check_data_nodes import CACHE, Given, Graph, Kept, Server, kept
from small import refused

NOTES, VIEW, RUN = "pixwizard_notes", "pixwizard_view", "pixwizard_run"


class Session:
    """Prompts one after the other in one executor, as a server runs them."""

    def __init__(self) -> None:
        self.server = Server()
        self.executor = execution.PromptExecutor(self.server, **CACHE)
        self.runs = 0

    def run(self, graph: Graph) -> list[tuple[str, dict]]:
        """What the page is told of this prompt."""
        self.server.told.clear()
        self.runs += 1
        name = f"check {self.runs}"
        valid = asyncio.run(execution.validate_prompt(name, graph.prompt, None))
        assert valid[0], valid
        self.executor.execute(graph.prompt, name, {"client_id": "check"}, valid[2])
        failed = [data for event, data in self.server.told if event == "execution_error"]
        assert self.executor.success, failed
        return list(self.server.told)


def executed(told: list, display: str) -> list[dict]:
    """The outputs that the page gets for a node."""
    return [
        data["output"]
        for event, data in told
        if event == "executed" and data["display_node"] == display and data["output"]
    ]


def ran(told: list) -> list[str]:
    return [data["node"] for event, data in told if event == "executing" and data.get("node")]


def picture(width: int = 90, height: int = 60, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(3))


def check_short_depth_is_the_long_way(setup):
    graph = Graph()
    image = graph.give("image", picture())
    short = graph.ours("PixWizard", task="depth", image=image, seed=5)
    graph.keep(short, 4, "short")
    tiny = graph.ours("LoadTiny")
    ask = graph.ours("Instruction", task="depth", model=[tiny, 0])
    fitted, painted = graph.long_way(tiny, ask, image, 5)
    found = graph.ours(
        "DecodeAnswer", image=[painted, 0], about=[ask, 1], source=image, canvas=[fitted, 2]
    )
    graph.keep(found, 4, "long")
    told = Session().run(graph)
    assert torch.equal(kept("short"), kept("long"))
    assert kept("short").shape == (1, 60, 90, 3)
    shown = executed(told, short)[-1]
    assert shown[VIEW] == executed(told, found)[-1][VIEW]
    (run,) = shown[RUN]
    # Other checks of this process may leave a transformer's file.
    missing = [one for one in run["model"]["missing"] if one != "PixWizard transformer"]
    assert {**run["model"], "missing": missing} == {
        "name": "PixWizard Tiny", "demo": True, "from": "bundled", "taught": True,
        "photographs": False,
        "missing": ["Gemma 2B, first generation", "CLIP-L/14 at 336 px", "SDXL VAE"],
    }, run  # fmt: skip
    assert run["settings"]["steps"] == 1
    assert run["auto"] == ["speed", "guidance", "centre"]
    assert [one["say"] for one in shown[NOTES]] == ["took_bundled", "demo_model", "relative"]
    assert json.loads(kept("short", 2))["run"] == run


def depth_of(seed: int, **inputs) -> Graph:
    """A picture, the short node (2) and a node that takes its outputs."""
    graph = Graph()
    image = graph.give("image", picture())
    short = graph.ours("PixWizard", image=image, **{"task": "depth", "seed": seed, **inputs})
    graph.keep(short, 4, "short")
    return graph


def check_short_caches_what_did_not_change(setup):
    session = Session()
    first = session.run(depth_of(1))
    assert {"2", "3"} < set(ran(first)), first
    again = session.run(depth_of(1))
    assert (ran(again), executed(again, "2")) == ([], [])
    other = session.run(depth_of(2))
    # Of eight: not the loader, the picture, the canvas, the instruction and the encoding.
    assert [name for name in ran(other) if "." in name] == ["2.0.0.6", "2.0.0.7", "2.0.0.8"], other
    assert executed(other, "2")[-1][VIEW] != executed(first, "2")[-1][VIEW]


def check_short_runs_once_for_each_item_of_a_list(setup):
    graph = Graph()
    Given.VALUES["images"] = [picture(90, 60), picture(48, 80)]
    listed = graph.add("CheckListed", name="images")
    short = graph.ours("PixWizard", task="normal", image=[listed, 0])
    graph.keep(short, 4, "short")
    told = Session().run(graph)
    assert [one.shape for one in Kept.VALUES["short.0"]] == [(1, 60, 90, 3), (1, 80, 48, 3)]
    assert len(Kept.VALUES["short.2"]) == 2
    sizes = [(one[VIEW][0]["width"], one[VIEW][0]["height"]) for one in executed(told, short)
             if RUN in one]  # fmt: skip
    assert sorted(sizes) == [(48, 80), (90, 60)]


def check_short_takes_any_picture(setup):
    """Batches, transparency, grey, odd sizes; and what needs no picture."""
    for width, height, batch, channels in ((33, 61, 2, 3), (1, 1, 1, 3), (70, 40, 1, 4),
                                           (40, 70, 1, 1)):  # fmt: skip
        graph = Graph()
        some = torch.rand(batch, height, width, channels)
        mask = torch.zeros(batch, height, width)
        mask[:, : height // 2 + 1] = 1
        image, selected = graph.give("image", some), graph.give("mask", mask)
        for task in ("mask", "remove"):
            short = graph.ours("PixWizard", task=task, words="the ball", image=image, mask=selected)
            graph.keep(short, 4, task)
        Session().run(graph)
        assert kept("mask", 1).shape == (batch, height, width)
        assert len(kept("mask", 3)) == batch
        edited = kept("remove")
        assert edited.shape[:3] == (batch, height, width)
        below = mask[0, :, 0] == 0
        assert torch.equal(edited[:, below][..., :channels], some[:, below]), "outside the mask"


def check_short_makes_new_and_wider_pictures(setup):
    graph = Graph()
    image = graph.give("image", picture(80, 64))
    new = graph.ours("PixWizard", task="text2image", words="a room with a red ball")
    wide = graph.ours("PixWizard", task="outpaint", image=image)
    graph.keep(new, 4, "new")
    graph.keep(wide, 4, "wide")
    told = Session().run(graph)
    assert kept("new").shape == (1, 128, 128, 3)
    assert kept("wide").shape == (1, 96, 120, 3)
    assert torch.equal(kept("wide")[:, 16:80, 20:100], picture(80, 64))
    assert executed(told, wide)[-1][VIEW][0]["kind"] == "pair"
    assert executed(told, new)[-1][VIEW][0]["kind"] == "plain"


def check_short_runs_a_model_that_was_put_together(setup):
    graph = Graph()
    image = graph.give("image", picture())
    tiny = graph.ours("LoadTiny")
    parts = graph.ours("ModelParts", whole=[tiny, 4])
    again = graph.ours("ModelParts", whole=[tiny, 4], with_model=[parts, 0])
    one = graph.ours("PixWizard", task="depth", image=image, pixwizard=[again, 4], seed=5)
    two = graph.ours("PixWizard", task="depth", image=image, seed=5)
    graph.keep(one, 4, "one")
    graph.keep(two, 4, "two")
    told = Session().run(graph)
    assert torch.equal(kept("one"), kept("two"))
    run = executed(told, one)[-1][RUN][0]
    assert (run["model"]["from"], run["model"]["demo"]) == ("connected", True)


def check_short_names_what_is_wrong(setup):
    session = Session()

    def failing(**inputs):
        graph = Graph()
        given = {"image": graph.give("image", picture())} if inputs.pop("picture", True) else {}
        graph.ours("PixWizard", **given, **inputs)
        session.run(graph)

    def failed(says, **inputs):
        refused(AssertionError, says, lambda: failing(**inputs))

    failed(task="mask", says=("needs words: what to find", "node_id"))
    failed(task="depth", picture=False, says=("needs a picture; connect one",))
    failed(task="outpaint", extend_to="wide", says=("wide",))
