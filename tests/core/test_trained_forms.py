"""The sentences that models were trained on: the table, a file's header, and what is sent."""

from __future__ import annotations

import json
import re

import pytest
import torch

from pixwizard_core.bundle import MODEL_FILE, load_tiny
from pixwizard_core.config import PRESETS, TINY
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.errors import CheckpointError, InstructionError
from pixwizard_core.task_table.forms import form_rows, forms_of, released_tasks
from pixwizard_core.tasks import (
    FREE_TEXT,
    TASK_IDS,
    TASKS,
    find_task,
    instruction,
    not_taught,
    read_phrasing,
)
from pixwizard_core.taught import UNKNOWN, Taught, released, taught_by, taught_header
from pixwizard_core.weights.checkpoint import open_checkpoint
from tests.support import wording_table

RELEASED_CONFIG = PRESETS["PixWizard_2B_GQA_patch2"]
WORDS = {
    "caption": "A cat on a mat.",
    "colour": "red",
    "target": "the cat.",
    "question": "What purrs?",
}
SENT = {  # task -> what `trained` sends to the released model
    "depth": "Depth estimation",
    "normal": "Surface normal estimation",
    "segmentation": "Semantic segmentation.",
    "canny": "Image to canny edge.",
    "hed": "Image to HED (Holistic Edge Detection).",
    "sketch": "Image to sketch",
    "lineart": "Draw this picture as clean line art.",
    "pose": "Human pose estimation.",
    "mask": "Generate a binary mask for the described object: the cat.",
    "highlight": "Please mark the pixels in red based on the referring description: the cat.",
    "highlight_reasoning": "Please mark the pixels in red based on the question: What purrs?",
    "box": "Mark the specified area with a bounding box in red: the cat.",
    "edit": "A cat on a mat.",
    "recolour": "Make the cat red.",
    "remove": "Remove the cat from the picture.",
    "add": "Add the cat to the picture.",
    "replace": "Replace the cat with A cat on a mat.",
    "background": "Change the background to A cat on a mat.",
    "style": "Redo the picture in this style: A cat on a mat.",
    "inpaint": "Inpainting: A cat on a mat.",
    "inpaint_face": "Inpainting.",
    "outpaint": "Outpaint the image with the description: A cat on a mat.",
    "denoise": "denoise",
    "derain": "Derain",
    "dehaze": "Dehaze",
    "deblur": "Deblur",
    "desnow": "Desnow",
    "deshadow": "deshadow",
    "lowlight": "Low light enhancement",
    "demoire": "Remove the moire patterns.",
    "face": "Face restoration",
    "watermark": "Dewatermark",
    "superres": "Super resolution",
    "reflection": "Remove the flash reflection.",
    "restore": "Image restoration",
    "restore_captioned": "Restore this image: A cat on a mat.",
    "recolour_photo": "Image color restoration",
    "from_canny": "Canny edge to image: A cat on a mat.",
    "from_hed": "HED edge map to image: A cat on a mat.",
    "from_depth": "Depth to image: A cat on a mat.",
    "from_sketch": "Sketch to image: A cat on a mat.",
    "from_pose": "Huamn pose map to image: A cat on a mat.",
    "from_segmentation": "Seg map to image: A cat on a mat.",
    "from_normal": "Surface normal map to image: A cat on a mat.",
    "from_lineart": "Condition map to image: A cat on a mat.",
    "from_any": "Condition map to image: A cat on a mat.",
    "text2image": "Image generation: A cat on a mat.",
    "subject": "Subject-driven generation: A cat on a mat.",
    "person": "ID-driven generation: A cat on a mat.",
    "logo": "Logo-driven generation: A cat on a mat.",
}


def test_trained_sends_the_released_model_the_first_form_of_every_task():
    assert {task: instruction(task, **WORDS, taught=released()) for task in TASKS} == SENT
    assert {task: instruction(task, **WORDS) for task in TASKS} == SENT


def test_further_forms_follow_the_preferred_one():
    assert {task: forms_of(task)[1:] for task in TASKS if len(forms_of(task)) > 1} == {
        "mask": ("Grounding, extract the binary mask: {target}",),
        "highlight": ("Grounding, {colour}: {target}",),
        "box": ("Detect, {colour}: {target}",),
        "from_pose": ("Human pose map to image: {caption}",),
        "text2image": ("Text to image generation: {caption}",),
    }


def test_every_task_has_a_line_with_its_own_fields_and_a_source():
    assert {row.task for row in form_rows()} == set(TASKS)
    for row in form_rows():
        assert re.fullmatch(r"released|none|paper B\.2 \([123]\)", row.source), row
        if row.form:
            assert set(re.findall(r"\{(\w+)\}", row.form)) == set(TASKS[row.task].fields), row


def test_released_model_knows_every_task_but_line_art():
    assert set(TASKS) - released_tasks() == {"lineart"}


def test_caption_that_may_be_left_out_leaves_a_whole_sentence():
    assert instruction("inpaint") == "Inpainting."
    assert instruction("outpaint") == "Outpaint the image."


def test_free_text_is_sent_as_it_is():
    for taught in (None, UNKNOWN, released()):
        assert instruction(FREE_TEXT, caption="Swap the sky", taught=taught) == "Swap the sky"


def test_model_that_knows_no_form_is_asked_in_its_own_first_sentence():
    for taught in (UNKNOWN, Taught(frozenset(TASKS)), Taught(forms={"depth": ("Give me depth",)})):
        assert instruction("depth", taught=taught) == "Estimate the depth map of this picture."


def test_first_form_of_the_table_that_the_header_lists_is_sent():
    second = Taught(forms={"mask": ("Grounding, extract the binary mask: {target}",)})
    said = instruction("mask", target="the cup", taught=second)
    assert said == "Grounding, extract the binary mask: the cup"
    both = Taught(forms={"text2image": tuple(reversed(forms_of("text2image")))})
    assert instruction("text2image", caption="a cup", taught=both) == "Image generation: a cup"


def test_header_brings_back_what_was_written_into_it():
    forms = {"depth": ("Depth estimation",), "box": forms_of("box")}
    header = taught_header(["depth", "box", "depth"], forms, ["depth"])
    assert header["tasks"] == "depth,box"
    assert json.loads(header["forms"]) == {name: list(known) for name, known in forms.items()}
    read = taught_by(header, TINY, "m.safetensors")
    assert read == Taught(frozenset(["depth", "box"]), forms, frozenset(["depth"]))


def test_header_without_forms_names_tasks_only():
    read = taught_by({"tasks": "depth, mask"}, TINY, "m.safetensors")
    assert read == Taught(frozenset(["depth", "mask"]))
    assert read.knows("mask")
    assert not read.knows("face")
    assert read.knows(FREE_TEXT)


def test_file_of_the_released_layout_without_header_is_the_released_model():
    for config in PRESETS.values():
        assert taught_by({"format": "pt"}, config, "ema.pth") == released()
    assert taught_by({}, TINY, "m.safetensors") == UNKNOWN
    assert UNKNOWN.knows("face")


def test_header_of_a_released_layout_that_was_trained_further_wins():
    read = taught_by(taught_header(["depth"]), RELEASED_CONFIG, "own.safetensors")
    assert read == Taught(frozenset(["depth"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "m.safetensors: the header entry forms is not valid JSON"),
        ("[]", "must give each task a list of sentences; export the model again"),
        ('{"depth": "x"}', "must give each task a list of sentences"),
        ('{"depth": [1]}', "must give each task a list of sentences"),
    ],
)
def test_damaged_header_is_refused(text, said):
    with pytest.raises(CheckpointError, match=re.escape(said)):
        taught_by({"tasks": "depth", "forms": text}, TINY, "m.safetensors")


def test_bundled_model_is_asked_as_its_own_header_says():
    """No sentence that its header does not list reaches it."""
    opened = open_checkpoint(BUNDLE / MODEL_FILE)
    taught = load_tiny().taught
    assert taught == taught_by(opened.metadata, opened.config, MODEL_FILE)
    assert taught.tasks == frozenset(opened.metadata["tasks"].split(","))
    known = json.loads(opened.metadata.get("forms", "{}"))
    for task in TASKS.values():
        assert task.trained(taught) in [*known.get(task.id, []), task.phrasings[0]]


def test_task_that_was_not_taught_is_said_by_its_header():
    taught = Taught(frozenset(["depth"]))
    assert not_taught("depth", taught) == ""
    assert not_taught("face", taught) == (
        "this model was not taught task 'face' (Restore a face), so its answer is a guess"
    )
    assert not_taught("face", UNKNOWN) == not_taught(FREE_TEXT, taught) == ""


def test_phrasing_is_read_from_text():
    assert read_phrasing(" Trained ") == {"phrasing": "trained"}
    assert read_phrasing("7") == {"phrasing": 7}
    assert read_phrasing("seed:123") == {"seed": 123}
    for wrong in ("", "-1", "seed:", "seed:x", "1.5", "first"):
        with pytest.raises(InstructionError, match="a phrasing is 'trained', a number from 0, or"):
            read_phrasing(wrong)


def test_ids_of_nodes_are_appended_to():
    assert TASK_IDS[39:42] == ("text2image", FREE_TEXT, "reflection")
    assert set(TASK_IDS) == {*TASKS, FREE_TEXT}
    assert all(find_task(name).id == name for name in TASK_IDS)


def test_converted_file_keeps_what_was_taught(tmp_path):
    from pixwizard_core.weights.convert import convert

    convert(BUNDLE / MODEL_FILE, tmp_path / "c.safetensors", "bf16")
    opened = open_checkpoint(tmp_path / "c.safetensors")
    assert taught_by(opened.metadata, opened.config, "c.safetensors") == load_tiny().taught
    assert opened.dtypes[next(iter(opened.dtypes))] == torch.bfloat16


def test_page_of_wordings_is_current():
    """`python -m tests.support.wording_table` makes it anew."""
    text = wording_table.PAGE.read_text(encoding="utf-8")
    assert text == wording_table.with_table(text)
    assert "| `depth` | Depth map |  | `Depth estimation` | released | as trained | " in text
    assert text.count("| not taught |") == 1 + len(set(TASKS) - load_tiny().taught.tasks)
