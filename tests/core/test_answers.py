"""Answers written to files: what each task leaves behind."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.decode import DECODERS, Hints, Palette
from pixwizard_core.files.answers import WRITERS, write_answer

BLACK = torch.zeros(1, 3, 16, 24)


def square(colour=(1.0, 1.0, 1.0)) -> torch.Tensor:
    """Black with a filled square at x 4..12, y 2..10."""
    image_01 = BLACK.clone()
    image_01[:, :, 2:10, 4:12] = torch.tensor(colour).view(1, 3, 1, 1)
    return image_01


def pixels(path) -> np.ndarray:
    return np.array(Image.open(path))


def test_every_decoder_is_written_or_is_a_plain_picture():
    assert set(DECODERS) - set(WRITERS) == {"image", "pose"}


def test_picture_task_writes_the_answer_only(tmp_path):
    files, facts = write_answer(tmp_path / "new", "cat", "image", square())
    assert [path.name for path in files.values()] == ["cat_answer.png"]
    assert facts == {}
    assert pixels(files["answer"])[5, 5].tolist() == [255, 255, 255]


def test_depth_is_sixteen_bit_grey_and_colour(tmp_path):
    files, facts = write_answer(tmp_path, "cat", "depth", square((0.5, 0.5, 0.5)))
    assert pixels(files["16bit"])[5, 5] == 32768
    assert pixels(files["16bit"])[0, 0] == 0
    assert pixels(files["colour"]).shape == (16, 24, 3)
    assert facts == {
        "white_is": "near", "answer_near": "white", "unit": "relative", "smallest": 0.0,
        "largest": 0.5,
    }  # fmt: skip


def test_mask_is_black_and_white_with_its_box(tmp_path):
    files, facts = write_answer(tmp_path, "cat", "mask", square((0.9, 0.9, 0.9)))
    assert sorted(np.unique(pixels(files["binary"])).tolist()) == [0, 255]
    assert facts == {"area_percent": 16.67, "box_xyxy_px": [4, 2, 12, 10]}


def test_segmentation_has_labels_and_a_legend(tmp_path):
    palette = Palette.from_mapping("two", {"ball": "#ff0000", "cube": "#0000ff"})
    files, facts = write_answer(
        tmp_path, "cat", "segmentation", square((1.0, 0.0, 0.0)), Hints(palette=palette)
    )
    assert pixels(files["labels"])[5, 5] == 1
    assert pixels(files["labels"])[0, 0] == 0
    legend = json.loads(files["legend"].read_text())
    assert legend["palette"] == "two"
    assert [(entry["name"], entry["area_percent"]) for entry in legend["classes"]] == [
        ("background", 83.33),
        ("ball", 16.67),
    ]
    assert facts["classes"] == legend["classes"]


def test_box_is_listed_in_pixels(tmp_path):
    image_01 = BLACK.clone()
    image_01[:, 0, 2:14, 4:20] = 1.0
    image_01[:, 0, 4:12, 6:18] = 0.0
    files, facts = write_answer(tmp_path, "cat", "box", image_01, Hints(colour="red"))
    assert facts["boxes"][0]["box_xyxy_px"] == [4, 2, 20, 14]
    assert json.loads(files["boxes"].read_text()) == facts["boxes"]
    assert pixels(files["binary"]).sum() == 255 * 16 * 12


def test_no_box_is_an_empty_list_and_an_empty_mask(tmp_path):
    files, facts = write_answer(tmp_path, "cat", "box", BLACK, Hints(colour="red"))
    assert facts == {"boxes": []}
    assert pixels(files["binary"]).max() == 0


@pytest.mark.parametrize(("kind", "what"), [("normal", "unit"), ("edge", "grey")])
def test_normals_and_edges_are_pictures_of_the_same_size(tmp_path, kind, what):
    files, _ = write_answer(tmp_path, "cat", kind, square((0.5, 0.5, 1.0)))
    assert pixels(files[what]).shape[:2] == (16, 24)
