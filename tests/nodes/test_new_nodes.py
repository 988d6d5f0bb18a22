"""Inputs that came later: a node that a person adds may begin with another value, while graphs
saved without the input keep what they had."""

from __future__ import annotations

import inspect
import logging

import pytest
import torch

from pixwizard_core.presets import PRESETS
from tests.nodes.test_data_nodes import called
from tests.nodes.test_execute import call

# Each input that begins otherwise on a new node, with the value of graphs that do not have it.
NEW = {
    ("FitToCanvas", "centre_by"): ("auto", "as set"),
    ("PrepareInpaint", "centre_by"): ("auto", "as set"),
    ("PrepareOutpaint", "centre_by"): ("auto", "as set"),
    ("DecodeDepth", "units"): ("auto", "metres"),
    ("DecodeSegmentation", "palette"): ("auto", "ADE20K (150 classes)"),
    ("DecodeHighlight", "colour"): ("auto", "red"),
    ("DecodeBoxes", "colour"): ("auto", "red"),
    ("PixWizard", "colour"): ("auto", "red"),
    ("DualCFGGuider", "preset"): ("auto", "as set"),
    ("Sample", "speed"): ("auto", "as set"),
}


def inputs_of(node) -> dict:
    return {socket.id: socket for socket in node.define_schema().inputs}


def new_value(socket):
    return ((getattr(socket, "extra_dict", None) or {}).get("pixwizard") or {}).get("new")


def test_new_nodes_begin_with_auto_and_saved_ones_as_set(nodes):
    found = {
        (name, id): (new_value(socket), socket.settings["default"])
        for name, node in nodes.items()
        for id, socket in inputs_of(node).items()
        if new_value(socket) is not None
    }
    assert found == NEW


# Those that were there from the beginning: no graph lacks them.
FIRST = {
    ("DecodeSegmentation", "palette"), ("DecodeHighlight", "colour"), ("DecodeBoxes", "colour")
}  # fmt: skip


@pytest.mark.parametrize(("name", "id"), NEW)
def test_input_that_is_missing_runs_as_its_default(nodes, name, id):
    """A prompt without it runs with the default of `run`, a workflow with the schema's."""
    socket = inputs_of(nodes[name])[id]
    assert socket.optional == ((name, id) not in FIRST)
    if socket.optional:
        assert inspect.signature(nodes[name].run).parameters[id].default == NEW[name, id][1]
    assert new_value(socket) in socket.settings["options"]


def test_speed_keeps_its_choices_and_ends_with_the_presets(nodes):
    for name in ("Sample", "Schedule"):
        options = inputs_of(nodes[name])["speed"].settings["options"]
        assert options == [
            "as set", "fast", "balanced", "reference", "auto", "own", "paper-dense",
        ]  # fmt: skip
    assert set(options) - {"as set", "auto"} == set(PRESETS)


def test_fields_that_a_preset_replaces_are_hidden(nodes):
    def shown(node, id):
        return inputs_of(nodes[node])[id].extra_dict["pixwizard"]["used_when"]

    free = ["as set", "fast", "balanced", "reference"]
    assert shown("Sample", "text_guidance") == shown("Sample", "guided_channels") == {"speed": free}
    assert shown("Sample", "steps") == {"speed": ["as set"]}
    assert shown("DualCFGGuider", "image_guidance") == {"preset": ["as set"]}
    assert shown("FitToCanvas", "centre") == {"centre_by": ["as set"]}


def test_canvas_of_a_graph_without_auto_has_its_centre(nodes):
    image = torch.zeros(1, 1080, 1920, 3)
    assert call(nodes["FitToCanvas"], image=image, centre=512)[3:] == (672, 384)
    assert call(nodes["FitToCanvas"], image=image, centre=512, centre_by="auto")[3:] == (1360, 768)


def test_inpainting_crop_with_auto_goes_by_the_crop(nodes):
    image, mask = torch.zeros(1, 2000, 2000, 3), torch.zeros(1, 2000, 2000)
    mask[:, 900:1100, 900:1100] = 1
    given = {"image": image, "mask": mask, "crop": True, "context": 0.0, "centre_by": "auto"}
    prepared = call(nodes["PrepareInpaint"], **given)[0]
    assert prepared.shape[1:3] == (512, 512)
    whole = call(nodes["PrepareInpaint"], **{**given, "crop": False})[0]
    assert whole.shape[1:3] == (1024, 1024)


def test_blank_canvas_begins_at_the_side_that_suits_the_released_model(nodes):
    settings = inputs_of(nodes["BlankCanvas"])
    assert settings["width"].settings["default"] == settings["height"].settings["default"] == 768


def test_instruction_is_a_text_that_knows_its_task(nodes):
    for phrasing in (-1, 0, 3):
        sentence = (
            nodes["Instruction"]
            .execute(task="depth", caption="", target="", colour="red", phrasing=phrasing)
            .args[0]
        )
        assert isinstance(sentence, str)
        assert sentence.task == "depth"


def test_decode_depth_takes_white_for_near_unless_told(nodes, caplog):
    painted = torch.linspace(0, 1, 6)[None, :, None, None].expand(1, 6, 4, 3)  # a white floor
    depth = call(nodes["DecodeDepth"], image=painted)[0]
    with caplog.at_level(logging.INFO):
        looked = call(nodes["DecodeDepth"], image=1 - painted, answer_near="auto")
    assert "black is near: brightness and closeness to the bottom correlate by -1.00" in caplog.text
    black = call(nodes["DecodeDepth"], image=1 - painted, answer_near="black")
    for one in (looked, black):
        assert torch.allclose(one[0], depth, atol=1e-6)
        assert float(one[2][0, -1, 0, 0]) == pytest.approx(0, abs=1e-5)  # metres: the floor is near


def test_segmentation_mask_of_a_class_that_shares_its_colour_is_said(nodes, caplog):
    given = {"image": torch.zeros(1, 4, 4, 3), "palette": "ADE20K (150 classes)"}
    with caplog.at_level(logging.WARNING):
        call(nodes["DecodeSegmentation"], **given, classes="skyscraper")
        assert "road or skyscraper, which this palette paints in one colour" in caplog.text
        caplog.clear()
        call(nodes["DecodeSegmentation"], **given, classes="road, skyscraper, sky")
    assert not caplog.text


AUTO_CENTRES = {
    "FitToCanvas": {}, "PrepareOutpaint": {}, "PrepareInpaint": {"mask": torch.ones(1, 400, 600)},
}  # fmt: skip


@pytest.mark.parametrize(("name", "inputs"), AUTO_CENTRES.items())
def test_canvas_says_what_auto_chose(nodes, name, inputs):
    image = torch.zeros(1, 400, 600, 3)
    shown = called(nodes[name], image=image, centre_by="auto", **inputs).ui["pixwizard_auto"]
    assert shown == [
        {"choice": "centre_by", "value": "auto", "centre": 512, "width": 624, "height": 416}
    ]
    as_set = called(nodes[name], image=image, centre=512, **inputs).ui or {}
    assert "pixwizard_auto" not in as_set


def test_schedule_says_what_its_speed_means(nodes):
    shown = called(nodes["Schedule"], speed="fast").ui["pixwizard_auto"]
    assert shown == [{"choice": "speed", "value": "fast", "steps": 14, "time_shift": 1.0}]
    assert called(nodes["Schedule"]).ui is None
