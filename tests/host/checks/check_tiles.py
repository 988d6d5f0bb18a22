"""Large pictures answered by tiles, through the host's executor."""

from __future__ import annotations

import comfy.model_management as management
import torch
from check_data_nodes import Graph, kept
from check_short import Session, executed
from small import refused

NOTES = "pixwizard_notes"
TILE = 64  # px; the bundled model sees a tile at its own 128


def picture(width: int, height: int, batch: int = 1) -> torch.Tensor:
    coarse = torch.rand(batch, 3, 4, 5, generator=torch.Generator().manual_seed(3))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth.movedim(1, -1)


def tiled(graph: Graph, task: str, image: torch.Tensor, **inputs) -> tuple[str, str, str]:
    """The node of Load Tiny, of Instruction and of the answer."""
    tiny = graph.ours("LoadTiny")
    ask = graph.ours("Instruction", task=task, model=[tiny, 0])
    found = graph.ours(
        "TiledAnswer", pixwizard=[tiny, 4], image=graph.give("image", image), instruction=[ask, 0],
        about=[ask, 1], seed=5, **inputs,
    )  # fmt: skip
    graph.keep(found, 1, "tiled")
    return tiny, ask, found


def check_one_tile_gives_the_bits_of_the_long_way(setup):
    graph, image = Graph(), picture(120, 90)
    tiny, ask, found = tiled(graph, "canny", image)
    fitted, painted = graph.long_way(tiny, ask, graph.give("same", image), 5)
    long = graph.ours("RestoreFromCanvas", canvas=[fitted, 2], image=[painted, 0])
    graph.keep(long, 1, "long")
    told = Session().run(graph)
    assert kept("tiled").shape == (1, 90, 120, 3)
    assert torch.equal(kept("tiled"), kept("long"))
    assert [note["say"] for note in executed(told, found)[-1][NOTES]] == ["one_tile"]


def check_tiled_answers_are_the_core_s(setup):
    """Without a guide, and with it; each picture of a batch by itself."""
    core, bundle = setup.module("pixwizard_core.tiles"), setup.module("pixwizard_core.bundle")
    tiny, image = bundle.load_tiny(), picture(110, 100, 2)
    apart = {}
    for task in ("canny", "denoise"):
        graph = Graph()
        *_, found = tiled(graph, task, image, tile=TILE)
        told = Session().run(graph)
        (note,) = executed(told, found)[-1][NOTES]
        assert (note["say"], note["width"], note["height"]) == ("tiles", TILE, TILE), note
        sentence = tiny.taught.form(task)
        for number in range(2):
            request = core.TiledRequest(task, sentence, 5 + number, side=TILE)
            answer = core.answer_tiled(tiny, image[number : number + 1].movedim(-1, 1), request)
            assert answer.grid.count == note["count"]
            wanted = answer.image_01.movedim(1, -1)
            apart[task, number] = float((kept("tiled")[number : number + 1] - wanted).abs().max())
    assert max(apart.values()) < 0.02, apart
    return {f"{task} {number}": value for (task, number), value in apart.items()}


def check_stopping_the_prompt_stops_between_tiles(setup):
    node = setup.module("nodes.short.tiled_answer")
    painted, paint = [], node.Asking.paint

    def stopped(self, fitted_01, noise, seed):
        painted.append(len(fitted_01))
        management.interrupt_current_processing(True)
        return fitted_01

    graph = Graph()
    tiled(graph, "canny", picture(150, 110), tile=TILE)
    node.Asking.paint = stopped
    session = Session()
    try:
        session.run(graph)
    except AssertionError:
        pass
    finally:
        node.Asking.paint = paint
        management.interrupt_current_processing(False)
    events = [event for event, _ in session.server.told]
    assert "execution_interrupted" in events, events
    assert painted == [3], painted


def check_other_tasks_are_refused_with_what_to_do(setup):
    errors, node = setup.module("pixwizard_core.errors"), setup.module("nodes.short.tiled_answer")
    ask = setup.module("nodes.shared.question").question
    given = {
        "pixwizard": None, "image": picture(90, 90), "instruction": "x", "seed": 0, "tile": 0,
        "overlap": 25, "speed": "auto",
    }  # fmt: skip

    def answer(about):
        node.TiledAnswer.run(**given, about=about)

    for about, words in (
        (ask("depth", {}), "use --sharp or Sharpen Answer"),
        (ask("custom", {"caption": "night"}), "tiles need a task"),
    ):
        refused(errors.InstructionError, (words,), answer, about)
