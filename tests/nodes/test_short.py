"""The short node: which nodes it stands for, with which settings, and what it says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from pixwizard_core.own_settings import bundled_settings
from tests.nodes.test_data_nodes import called, image, some_mask

CHAIN = ["Instruction", "Encode", "Sample", "VAEDecode"]
PARTS = [
    "PixWizard transformer", "Gemma 2B, first generation", "CLIP-L/14 at 336 px", "SDXL VAE"
]  # fmt: skip


@pytest.fixture(scope="module")
def errors(extension):
    return extension("pixwizard_core.errors")


@pytest.fixture
def short(nodes, monkeypatch):
    """Run the node with links to node 1 for what is given; returns the graph's nodes by kind, and
    what the view is told."""

    def run(**inputs):
        node = nodes["PixWizard"]
        links = {name: ["1", i] for i, name in enumerate(("image", "mask", "pixwizard"))}
        prompt = {"9": {"inputs": {name: link for name, link in links.items() if name in inputs}}}
        hidden = SimpleNamespace(unique_id="9", dynprompt=SimpleNamespace(get_node=prompt.get))
        monkeypatch.setattr(node, "hidden", hidden, raising=False)
        result = called(node, **inputs)
        graph = result.expand
        kinds = [one["class_type"].removeprefix("PixWizard_") for one in graph.values()]
        by_kind = dict(zip(kinds, [one["inputs"] for one in graph.values()], strict=True))
        told = json.loads(by_kind["DecodeAnswer"]["settings"])
        return SimpleNamespace(
            kinds=kinds, inputs=by_kind, told=told, ids=dict(zip(kinds, graph, strict=True)),
            outputs=list(result.args), says=[one["say"] for one in told["notes"]],
        )  # fmt: skip

    return run


def whole(extension, **changes):
    """A PIXWIZARD whose parts nobody calls."""
    bundle = extension("nodes.loaders.bundle")
    core = extension("pixwizard_core.bundle")
    tiny = extension("pixwizard_core.encoders.tiny").BUNDLE
    opened = extension("pixwizard_core.weights.checkpoint").open_checkpoint(tiny / core.MODEL_FILE)
    return bundle.WholeModel(1, 2, 3, 4, core.about(opened), **changes)


def test_short_depth_stands_for_the_long_way(short):
    made = short(task="depth", image=image(90, 60), seed=7)
    assert sorted(made.kinds) == sorted(
        ["LoadTiny", "ListItem", "FitToCanvas", *CHAIN, "DecodeAnswer"]
    )
    assert made.inputs["ListItem"] == {"value": ["1", 0], "index": 0}
    item, tiny = [made.ids["ListItem"], 0], made.ids["LoadTiny"]
    fitted = made.inputs["FitToCanvas"]
    assert (fitted["image"], fitted["centre_by"], fitted["model"]) == (item, "auto", [tiny, 0])
    asked, answer = made.inputs["Instruction"], made.inputs["DecodeAnswer"]
    assert (asked["task"], asked["phrasing"]) == ("depth", -1)
    assert made.inputs["Encode"]["instruction"] == [made.ids["Instruction"], 0]
    assert made.inputs["VAEDecode"]["vae"] == [tiny, 3]
    assert answer["about"] == [made.ids["Instruction"], 1]
    assert (answer["source"], answer["canvas"]) == (item, [made.ids["FitToCanvas"], 2])
    assert made.outputs == [[made.ids["DecodeAnswer"], slot] for slot in (0, 1, 3, 2)]


@pytest.mark.parametrize("task", ["depth", "mask", "text2image", "style"])
def test_short_auto_is_what_the_model_says_of_the_task(short, task):
    made = short(task=task, words="the ball", image=image(64, 64), seed=3)
    own, sampled = bundled_settings().of(task), made.inputs["Sample"]
    assert (sampled["steps"], sampled["sampler"]) == (own.steps, own.solver)
    assert (sampled["text_guidance"], sampled["image_guidance"]) == (own.w_text, own.w_image)
    assert (sampled["speed"], sampled["seed"]) == ("as set", 3)
    assert made.told["auto"] == ["speed", "guidance", "centre"]
    assert made.told["settings"]["steps"] == own.steps


def test_short_settings_replace_auto_one_by_one(short):
    given = {"task": "mask", "words": "the ball", "image": image(90, 60)}
    fast = short(**given, speed="fast")
    assert (fast.inputs["Sample"]["steps"], fast.inputs["Sample"]["text_guidance"]) == (14, 2.0)
    assert fast.told["auto"] == ["guidance", "centre"]
    steps = short(**given, speed="as set", steps=3, guidance="as set", text_guidance=1.5)
    assert (steps.inputs["Sample"]["steps"], steps.inputs["Sample"]["text_guidance"]) == (3, 1.5)
    small = short(**given, centre_by="as set", centre=64, fit="pad")
    fitted = small.inputs["FitToCanvas"]
    assert (fitted["centre_by"], fitted["centre"], fitted["fit"]) == ("as set", 64, "pad")
    assert small.told["settings"]["size"] == [80, 48]
    assert short(**given).told["settings"]["size"] == [144, 96]


def test_short_without_a_model_or_files_says_that_it_took_the_demo_model(short):
    made = short(task="depth", image=image(32, 32))
    assert made.told["model"] == {
        "name": "PixWizard Tiny", "demo": True, "from": "bundled", "taught": True,
        "missing": PARTS, "photographs": False,
    }  # fmt: skip
    assert made.says == ["took_bundled", "demo_model"]
    assert made.told["notes"][0]["names"] == ", ".join(PARTS)


def test_short_says_where_the_demo_model_also_learned_on_photographs(short):
    made = short(task="denoise", image=image(32, 32))
    assert made.told["model"]["photographs"]
    assert made.says == ["took_bundled", "demo_photographs"]


def test_short_takes_the_released_model_if_its_files_are_there(short, extension, monkeypatch):
    tiny = extension("pixwizard_core.encoders.tiny").BUNDLE
    place = {part: tiny / "dit.safetensors" for part in ("model", "gemma", "clip", "vae")}
    monkeypatch.setattr(extension("nodes.loaders.choices"), "chosen", lambda names: place)
    made = short(task="depth", image=image(32, 32))
    assert made.inputs["LoadPixWizard"]["model_name"] == "auto"
    assert "LoadTiny" not in made.kinds
    assert made.told["model"]["from"] == "released"
    assert made.says[0] == "took_released"


def test_short_takes_the_connected_model(short, extension):
    made = short(task="depth", image=image(32, 32), pixwizard=whole(extension))
    assert made.told["model"]["from"] == "connected"
    assert made.says == ["demo_model"]
    assert "LoadTiny" not in made.kinds
    assert made.kinds[:3] == ["ListItem", "ModelParts", "ListItem"]
    assert made.inputs["ModelParts"]["whole"] == ["new.0", 0]


def test_short_remembers_which_files_it_chose(nodes, extension, monkeypatch, tmp_path):
    """In the host's cache. What is linked counts by itself."""
    fingerprint = nodes["PixWizard"].fingerprint_inputs
    assert fingerprint(pixwizard=None, task="depth") == ""
    without = fingerprint(task="depth")
    assert all(title in without for title in PARTS)
    assert fingerprint(task="mask") == without
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    choices = extension("nodes.loaders.choices")
    monkeypatch.setattr(choices, "chosen", lambda names: {"model": file})
    first = fingerprint(task="depth")
    assert first != without
    file.write_bytes(b"another")
    assert fingerprint(task="depth") != first


def test_short_names_the_input_that_lacks_words(short, errors):
    needs = {
        "mask": r"'mask' needs words: what to find or change, for example: the red ball",
        "text2image": r"'text2image' needs words: the picture",
        "highlight_reasoning": r"'highlight_reasoning' needs words: a question",
    }
    for task, message in needs.items():
        with pytest.raises(errors.InstructionError, match=message):
            short(task=task, words="  ", image=image(32, 32))
    with pytest.raises(errors.InstructionError, match=r"'replace' needs new_words"):
        short(task="replace", words="the ball", image=image(32, 32))
    with pytest.raises(errors.InstructionError, match=r"'depth' needs a picture; connect one to"):
        short(task="depth")
    with pytest.raises(errors.InstructionError, match=r"unknown task 'fly'"):
        short(task="fly", image=image(32, 32))


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        ("mask", {"target": "the ball"}),
        ("highlight", {"target": "the ball", "colour": "blue"}),
        ("edit", {"caption": "the ball"}),
        ("replace", {"target": "the ball", "caption": "a cube"}),
        ("highlight_reasoning", {"question": "the ball"}),
        ("custom", {"caption": "the ball"}),
        ("inpaint", {"caption": "the ball"}),
    ],
)
def test_short_words_go_to_the_fields_of_the_task(short, task, fields):
    made = short(task=task, words="the ball", new_words="a cube", colour="blue",
                 image=image(32, 32))  # fmt: skip
    asked = made.inputs["Instruction"]
    unfilled = {"caption": "", "target": "", "question": "", "colour": "blue"}
    assert {name: asked[name] for name in unfilled} == {**unfilled, **fields}


def test_short_says_what_it_does_not_use(short):
    given = {"image": image(32, 32), "words": "the ball", "mask": some_mask(32, 32)}
    depth = short(task="depth", **given)
    (note,) = [one for one in depth.told["notes"] if one["say"] == "unused"]
    assert note["names"] == "words, mask"
    assert "unused" not in short(task="remove", **given).says
    assert "size_only" in short(task="text2image", **given).says


def test_short_says_that_its_mask_is_empty(short):
    given = {"image": image(32, 32), "words": "the ball"}
    assert "empty_mask" in short(task="remove", mask=torch.zeros(1, 32, 32), **given).says
    assert "empty_mask" not in short(task="remove", mask=some_mask(32, 32), **given).says
    assert "empty_mask" not in short(task="depth", mask=torch.zeros(1, 32, 32), **given).says


def test_short_says_that_a_task_was_not_taught(short, caplog):
    made = short(task="face", image=image(32, 32))
    assert "untaught" in made.says
    assert made.told["model"]["taught"] is False
    assert "was not taught task 'face'" in caplog.text


def test_short_mask_confines_an_edit_and_is_the_hole_of_inpainting(short):
    given = {"image": image(40, 32), "mask": some_mask(40, 32)}
    edit = short(task="remove", words="the ball", **given)
    laid = edit.inputs["Composite"]
    assert laid["canvas"] == [edit.ids["FitToCanvas"], 2]
    assert edit.inputs["DecodeAnswer"]["image"] == [edit.ids["Composite"], 0] == edit.outputs[0]
    assert "canvas" not in edit.inputs["DecodeAnswer"]
    hole = short(task="inpaint", **given)
    assert "FitToCanvas" not in hole.kinds
    assert hole.inputs["Composite"]["mask"] == [hole.ids["PrepareInpaint"], 3]
    assert "Composite" not in short(task="inpaint", image=image(40, 32)).kinds
    assert "Composite" not in short(task="depth", **given).kinds


def test_short_outpaint_adds_a_quarter_or_reaches_the_aspect_ratio(short):
    made = short(task="outpaint", image=image(80, 60))
    sides = ("left", "top", "right", "bottom")
    assert [made.inputs["PrepareOutpaint"][side] for side in sides] == [20, 15, 20, 15]
    wide = short(task="outpaint", image=image(80, 60), extend_to="2:1").inputs["PrepareOutpaint"]
    assert [wide[side] for side in sides] == [0, 0, 0, 0]
    assert wide["aspect"] == "2:1"
    assert made.inputs["DecodeAnswer"]["source"] == [made.ids["PrepareOutpaint"], 3]


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ({}, (128, 128)),
        ({"width": 200, "height": 100}, (200, 100)),
        ({"width": 3}, (16, 128)),
        ({"image": image(90, 70)}, (90, 70)),
        ({"image": image(90, 70), "height": 40}, (90, 40)),
    ],
)
def test_short_picture_from_text_has_the_size_that_is_asked_for(short, inputs, size):
    made = short(task="text2image", words="a room", **inputs)
    blank = made.inputs["BlankCanvas"]
    assert (blank["width"], blank["height"]) == size
    assert "source" not in made.inputs["DecodeAnswer"]


def test_short_lists_the_tasks_of_instruction_by_family(nodes, extension):
    tasks = extension("pixwizard_core.tasks")
    options = {s.id: s for s in nodes["PixWizard"].define_schema().inputs}["task"].options
    assert sorted(options) == sorted(tasks.TASK_IDS)
    families = [tasks.find_task(id).family for id in options]
    assert list(dict.fromkeys(families)) == [
        "Perceive", "Ground", "Edit", "Inpaint", "Restore", "Control", "Generate"
    ]  # fmt: skip
    assert [one for i, one in enumerate(families) if one not in families[:i]] == list(
        dict.fromkeys(families)
    )
    assert families == sorted(families, key=list(dict.fromkeys(families)).index)


def test_short_passes_on_values_that_no_link_gives(nodes):
    """As in a graph that another node stands for."""
    some = image(32, 32)
    graph = called(nodes["PixWizard"], task="depth", image=some).expand
    assert [one["inputs"]["image"] is some for one in graph.values()
            if one["class_type"] == "PixWizard_FitToCanvas"] == [True]  # fmt: skip


def test_list_item_takes_the_item_or_the_last(nodes, errors):
    pick = nodes["ListItem"]
    assert pick.execute(value=["a", "b"], index=[1]).args == ("b",)
    assert pick.execute(value=["a", "b"], index=[7]).args == ("b",)
    assert pick.execute(value=[None], index=[0]).args == (None,)
    with pytest.raises(errors.InstructionError, match="the list is empty"):
        pick.execute(value=[], index=[0])
    with pytest.raises(errors.InstructionError, match=r"index must be a number from 0"):
        pick.execute(value=["a"], index=[-1])


def test_model_parts_puts_a_whole_together_again(nodes, errors, extension):
    given = whole(extension)
    *parts, again = nodes["ModelParts"].execute(whole=given).args
    assert parts == [1, 2, 3, 4]
    assert again == given
    *parts, other = nodes["ModelParts"].execute(whole=given, with_vae=SimpleNamespace(own=1)).args
    assert (parts[:3], other.vae.own, other.about) == ([1, 2, 3], 1, given.about)
    with pytest.raises(errors.CheckpointError, match=r"nothing gives model, clip, vae; connect"):
        nodes["ModelParts"].execute(with_clip_vision=SimpleNamespace())


def test_answer_shows_and_keeps_the_settings_of_its_run(nodes, extension):
    about = extension("nodes.shared.question").question("depth", {})
    note = {"say": "demo_model", "warns": False, "name": "X"}
    text = json.dumps({"model": {"demo": True}, "notes": [note]})
    given = {"image": image(8, 6), "about": about}
    result = called(nodes["DecodeAnswer"], **given, settings=text)
    assert result.ui["pixwizard_run"] == [{"model": {"demo": True}}]
    assert result.ui["pixwizard_notes"][0] == note
    assert json.loads(result.args[3])["run"] == {"model": {"demo": True}}
    plain = called(nodes["DecodeAnswer"], **given)
    assert "pixwizard_run" not in plain.ui
    assert "run" not in json.loads(plain.args[3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "settings must be JSON"),
        ("[1]", "settings must be a JSON object"),
        ('{"notes": 1}', "the notes of settings"),
        ('{"notes": [{"warns": true}]}', "the notes of settings"),
    ],
)
def test_answer_refuses_settings_of_another_form(nodes, errors, extension, text, message):
    about = extension("nodes.shared.question").question("depth", {})
    with pytest.raises(errors.DecodeError, match=message):
        called(nodes["DecodeAnswer"], image=image(8, 6), about=about, settings=text)


def test_decoders_that_select_say_when_nothing_was_found(nodes):
    black = torch.zeros(3, 24, 24, 3)
    black[1, 5:9, 5:9] = 1
    some = called(nodes["DecodeMask"], image=black)
    assert {"say": "nothing_in", "warns": False, "numbers": "1, 3"} in some.ui["pixwizard_notes"]
    none = called(nodes["DecodeMask"], image=black[:1])
    assert none.ui["pixwizard_notes"][-1]["say"] == "nothing"
    boxes = called(nodes["DecodeBoxes"], image=black[:1])
    assert boxes.ui["pixwizard_notes"][-1]["say"] == "nothing"
    found = called(nodes["DecodeMask"], image=black[1:2])
    assert "nothing" not in [one["say"] for one in found.ui["pixwizard_notes"]]


@pytest.mark.parametrize(
    ("task", "words", "given", "wanted"),
    [
        ("highlight", "the ball", "auto", "red"),
        ("highlight", "the red ball", "auto", "green"),
        ("box", "the Red and green balls", "auto", "blue"),
        ("box", "the red ball", "red", "red"),
        ("recolour", "the red ball", "blue", "blue"),
    ],
)
def test_short_auto_colour_is_none_that_the_words_name(short, task, words, given, wanted):
    made = short(task=task, words=words, image=image(90, 60), seed=7, colour=given)
    assert made.inputs["Instruction"]["colour"] == wanted
    assert made.told["settings"]["colour"] == wanted
    assert ("colour" in made.told["auto"]) == (given == "auto")


def test_short_auto_colour_is_refused_where_the_colour_is_what_is_wanted(short, errors):
    with pytest.raises(errors.InstructionError, match="'recolour' needs the new colour; set"):
        short(task="recolour", words="the ball", image=image(90, 60), seed=7, colour="auto")
    made = short(task="depth", image=image(90, 60), seed=7, colour="auto")
    assert "colour" not in made.told["settings"]
