"""The node that takes a picture apart."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.nodes.test_data_nodes import called, image
from tests.nodes.test_short import whole


def masks() -> torch.Tensor:
    """Two things: one with soft sides, one that is nowhere."""
    soft = torch.zeros(2, 40, 60)
    soft[0, 10:30, 20:40] = 1
    soft[0, 10:30, 19] = soft[0, 10:30, 40] = 0.5
    return soft


def test_layers_stack_to_the_picture(nodes):
    source, behind = image(60, 40), image(60, 40, seed=2)
    result = called(nodes["CutOut"], source=source, masks=masks(), background=behind)
    layers, alphas, background, stacked = result.args
    assert layers.shape == (2, 40, 60, 4)
    assert torch.equal(layers[..., 3], alphas)
    rim = (alphas > 0) & (alphas < 1)
    assert 0 < int(rim.sum()) <= 40
    outside = ~rim.any(0)
    assert torch.equal(stacked[0][outside], source[0][outside])
    there = alphas[0] > 0
    assert torch.equal(background[0][there], behind[0][there])
    assert torch.equal(background[0][~there], source[0][~there])
    assert [note["say"] for note in result.ui["pixwizard_notes"]] == ["blank_masks"]
    assert result.ui["pixwizard_notes"][0]["numbers"] == "2"


def test_background_is_black_without_one(nodes):
    result = called(nodes["CutOut"], source=image(60, 40) + 0.1, masks=masks()[:1])
    assert float(result.args[2][0][result.args[1][0] > 0].max()) == 0


@pytest.fixture
def painted(extension, monkeypatch):
    """A PIXWIZARD that finds "the ball" in the middle and paints what is behind it blue."""

    def paint(task, target, fitted_01, _canvas, _seed):
        answer = torch.zeros_like(fitted_01)
        if task == "inpaint":
            answer[:, 2] = 1
        elif target == "the ball":
            answer[..., 48:80, 48:80] = 1
        return answer

    node = extension("nodes.short.cut_out")
    monkeypatch.setattr(node, "host_painter", lambda whole: paint)
    monkeypatch.setattr(node, "trained_centres", lambda model: (128,))
    return whole(extension)


def test_names_are_found_and_what_is_behind_them_is_filled(nodes, painted):
    source = image(128, 128)
    result = called(nodes["CutOut"], source=source, names="the cone, the ball", pixwizard=painted)
    layers, alphas, background, stacked = result.args
    assert (layers.shape, alphas.shape) == ((1, 128, 128, 4), (1, 128, 128))
    assert float(alphas[0, 60, 60]) == 1
    assert background[0, 60, 60].tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    apart = (alphas[0] > 0) & (alphas[0] < 1)
    assert torch.equal(stacked[0][~apart], source[0][~apart])
    (note,) = result.ui["pixwizard_notes"]
    assert note == {"say": "not_found", "warns": False, "names": "the cone"}
    assert result.ui["pixwizard_model"] == [
        {"name": "PixWizard Tiny", "demo": True, "photographs": False}
    ]


def test_names_that_are_not_there_give_one_empty_layer_and_the_source(nodes, painted):
    source = image(128, 128)
    result = called(nodes["CutOut"], source=source, names="the cone", pixwizard=painted)
    assert [note["say"] for note in result.ui["pixwizard_notes"]] == ["not_found"]
    assert not bool(result.args[0].any())
    assert torch.equal(result.args[2], source)


def test_names_without_a_model_stand_for_a_loader_and_the_node(nodes, monkeypatch):
    node = nodes["CutOut"]
    given = {"source": ["1", 0], "background": ["2", 1]}
    hidden = SimpleNamespace(
        unique_id="9", dynprompt=SimpleNamespace(get_node=lambda _: {"inputs": given})
    )
    monkeypatch.setattr(node, "hidden", hidden, raising=False)
    result = called(node, source=image(60, 40), background=image(60, 40), names="a, b", seed=3)
    kinds = [one["class_type"].removeprefix("PixWizard_") for one in result.expand.values()]
    assert kinds == ["ListItem", "ListItem", "LoadTiny", "CutOut"]
    first, second, tiny, again = result.expand
    assert result.expand[first]["inputs"]["value"] == ["1", 0]
    assert result.expand[again]["inputs"] == {
        "source": [first, 0], "background": [second, 0], "names": "a, b",
        "pixwizard": [tiny, 4], "seed": 3,
    }  # fmt: skip
    assert list(result.args) == [[again, slot] for slot in range(4)]


def test_files_count_for_the_cache_only_where_a_model_is_looked_for(nodes, extension, monkeypatch):
    monkeypatch.setattr(extension("nodes.short.cut_out"), "state", lambda: "files")
    cached = nodes["CutOut"].fingerprint_inputs
    assert cached(source=None, masks=None) == cached(names="") == ""
    assert cached(names="the ball", pixwizard=None) == ""
    assert cached(names="the ball") == cached(names=None) == "files"


def test_what_to_cut_out_is_said_once(nodes, extension):
    error = extension("pixwizard_core.errors").InstructionError
    given = {"source": image(60, 40)}
    with pytest.raises(error, match="nothing to cut out: write names, such as 'the red ball, the"):
        called(nodes["CutOut"], **given, names=" , ")
    with pytest.raises(error, match="both masks and names say what to cut out; disconnect masks"):
        called(nodes["CutOut"], **given, masks=masks(), names="the ball")
    with pytest.raises(error, match=r"name 1 to 32 things to cut out\. Got: 33"):
        called(nodes["CutOut"], **given, names="x," * 33)
    with pytest.raises(error, match="name each thing once; the second layer of 'a' would lie"):
        called(nodes["CutOut"], **given, names="a, b, a")


def test_what_cannot_be_cut_is_refused(nodes, extension):
    errors = extension("pixwizard_core.errors")
    with pytest.raises(
        errors.CanvasError, match="source holds 2 pictures; cut them out one by one"
    ):
        called(nodes["CutOut"], source=image(60, 40, 2), masks=masks())
    with pytest.raises(errors.DecodeError, match="mask 1 is 60 x 40 px and the picture 30 x 40"):
        called(nodes["CutOut"], source=image(30, 40), masks=masks())
    none = torch.zeros(1, 64, 64)  # what a host gives for a picture without transparency
    with pytest.raises(errors.InstructionError, match="nothing to cut out: write names"):
        called(nodes["CutOut"], source=image(30, 40), masks=none)
    with pytest.raises(errors.CanvasError, match="65 masks are too many; give at most 64"):
        called(nodes["CutOut"], source=image(6, 4), masks=torch.zeros(65, 4, 6))
