"""PixWizard as a Python user meets it: load, ask, read the answer."""

import dataclasses
import doctest
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import pixwizard_core
from pixwizard_core import instruction, interface, load, load_tiny, run
from pixwizard_core.decode import bundled_palette
from pixwizard_core.errors import CanvasError, InstructionError, PixWizardError, SamplingError
from pixwizard_core.files.picture_files import as_pil, open_picture, save_picture
from pixwizard_core.files.picture_values import as_image_01
from pixwizard_core.taught import Taught
from tests.support.paths import ROOT

PICTURE = np.random.default_rng(3).integers(0, 256, (40, 56, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pw():
    return load()


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, pixwizard_core; print('torch' in sys.modules, pixwizard_core.load.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "load"], done.stderr


def test_every_exported_name_is_there():
    assert all(hasattr(pixwizard_core, name) for name in pixwizard_core.__all__)
    assert set(pixwizard_core.__all__) <= set(dir(pixwizard_core))
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        _ = pixwizard_core.laod


def test_depth_of_an_array(pw):
    answer = pw("depth", PICTURE)
    assert answer.depth.shape == (1, 40, 56)
    assert answer.image.size == (56, 40)
    assert answer.instruction == instruction("depth", taught=pw.bundle.taught)
    assert torch.equal(answer.depth, answer.image_01.mean(1)) or answer.depth.max() <= 1


def test_task_is_worded_for_the_model_or_as_asked(pw):
    taught = Taught(frozenset(["depth"]), {"depth": ("Depth estimation",)})
    knows = interface.Pipeline(dataclasses.replace(pw.bundle, taught=taught))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert knows("depth", PICTURE, steps=1).instruction == "Depth estimation"
        numbered = knows("depth", PICTURE, phrasing=3, steps=1)
    assert numbered.instruction == "Draw the depth of the scene."
    with pytest.warns(UserWarning, match="this model was not taught task 'highlight_reasoning'"):
        answer = knows("highlight_reasoning", PICTURE, question="What rolls?", steps=1)
    assert answer.instruction == "Highlight in red what answers this question: What rolls?"
    assert answer.mask.shape == (1, 40, 56)


def test_every_kind_of_picture_gives_the_same_answer(pw, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    tensor = torch.from_numpy(PICTURE).movedim(-1, 0)
    kinds = [
        PICTURE,
        PICTURE / np.float64(255),
        Image.fromarray(PICTURE),
        str(tmp_path / "photo.png"),
        tmp_path / "photo.png",
        tensor,
        tensor.float() / 255,
        tensor[None],
        [PICTURE],
    ]
    wanted = pw("normal", PICTURE, seed=4).image_01
    for kind in kinds:
        torch.testing.assert_close(pw("normal", kind, seed=4).image_01, wanted, atol=1e-5, rtol=0)


def test_a_batch_gives_each_picture_its_own_seed(pw):
    both = pw("depth", [PICTURE, PICTURE[::-1].copy()], seed=7)
    assert len(both.images) == 2
    alone = pw("depth", PICTURE[::-1].copy(), seed=8)
    torch.testing.assert_close(both.image_01[1:], alone.image_01, atol=1e-4, rtol=0)


def test_settings_are_those_of_the_task_and_can_be_changed(pw):
    calls = []
    pw("depth", PICTURE, on_progress=lambda done, total: calls.append(total))
    assert calls == [1]  # depth suits one step on the bundled model
    calls.clear()
    pw("depth", PICTURE, steps=3, on_progress=lambda done, total: calls.append(total))
    assert calls == [3, 3, 3]


def test_segments_come_in_the_palette_of_the_model(pw):
    answer = pw("segmentation", PICTURE)
    assert answer.hints.palette == bundled_palette("PixWizard Tiny world")
    assert answer.segments.labels.shape == (1, 40, 56)
    assert int(answer.segments.labels.max()) < len(answer.hints.palette.names)


def test_masks_have_boxes_and_nothing_found_has_none(pw):
    answer = pw("mask", PICTURE, target="the red ball")
    assert answer.mask.shape == (1, 40, 56)
    assert answer.mask.dtype == torch.bool
    blank = interface.Answer("mask", "", torch.zeros(2, 3, 8, 8), answer.hints, answer.canvas)
    assert blank.boxes == [[], []]
    some = torch.zeros(1, 3, 8, 8)
    some[:, :, 2:4, 1:6] = 1
    found = interface.Answer("mask", "", some, answer.hints, answer.canvas)
    assert found.boxes[0][0].xyxy_px == (1, 2, 6, 4)


def test_a_picture_from_words_has_the_size_asked_for(pw):
    answer = pw("text2image", caption="a red ball", size=(96, 64))
    assert answer.image.size == (96, 64)


def test_an_answer_without_that_reading_says_which_task_has_it(pw):
    answer = pw("depth", PICTURE)
    with pytest.raises(AttributeError, match="task 'depth' has no mask; ask for: mask, highlight"):
        _ = answer.mask


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (InstructionError, "unknown task 'detph'", {"task": "detph", "image": PICTURE}),
        (InstructionError, "task 'mask' needs target", {"task": "mask", "image": PICTURE}),
        (InstructionError, "there is no setting stpes; choose from steps",
         {"task": "depth", "image": PICTURE, "stpes": 3}),
        (SamplingError, "steps must be at least 1",
         {"task": "depth", "image": PICTURE, "steps": 0}),
        (CanvasError, "task 'depth' needs a picture", {"task": "depth"}),
        (CanvasError, "size must be at least 1 x 1 px. Got: 0 x 4",
         {"task": "text2image", "caption": "x", "size": (0, 4)}),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(pw, error, words, arguments):
    with pytest.raises(error, match=words):
        pw(**arguments)


def test_the_released_model_needs_all_its_parts():
    with pytest.raises(PixWizardError, match="give also gemma, vae"):
        load(model="a.pth", clip="b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "image is an empty list"),
        (3, "Got: int"),
        (np.zeros((2, 3, 4, 5, 6)), "Got: 2 x 3 x 4 x 5 x 6"),
        (np.zeros((3, 20, 20)), r"channels last. Got: 3 x 20 x 20"),
        (np.zeros((4, 4), np.int64), "Got: int64"),
        (torch.zeros(7, 4, 4), "1 to 4 channels. Got: 7 x 4 x 4"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "Got: torch.int32"),
        (torch.full((3, 4, 4), 255.0), "floats from 255 to 255; they must lie in 0..1"),
        (torch.full((3, 4, 4), -1.0), r"bring -1..1 to 0..1"),
        (torch.full((3, 4, 4), float("nan")), "48 values that are not finite"),
        ([np.zeros((4, 4)), np.zeros((4, 5))], "one size. Got: 4 x 4, 5 x 4 px"),
    ],
)  # fmt: skip
def test_pictures_that_cannot_be_used_are_refused(value, words):
    with pytest.raises(CanvasError, match=words):
        as_image_01(value)


def test_transparency_is_laid_on_white_from_every_container():
    array = np.zeros((2, 2, 4), np.uint8)
    array[..., 3] = [[255, 0], [0, 255]]
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).expand(1, 3, 2, 2)
    for value in (array, Image.fromarray(array), torch.from_numpy(array).movedim(-1, 0)):
        assert torch.equal(as_image_01(value), wanted)


def test_pillow_images_are_turned_upright():
    image = Image.fromarray(PICTURE)
    exif = image.getexif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    image = Image.fromarray(PICTURE)
    image.getexif()[0x0112] = 6
    assert as_image_01(image).shape == (1, 3, 56, 40)


def test_pictures_go_to_pillow_and_back():
    image_01 = as_image_01(PICTURE)
    assert np.array_equal(np.asarray(as_pil(image_01[0])), PICTURE)
    assert as_pil(torch.ones(3, 4, dtype=torch.bool)).mode == "L"


def test_saving_takes_what_opening_gives(tmp_path):
    save_picture(tmp_path / "a.png", as_image_01(PICTURE))
    assert torch.equal(open_picture(tmp_path / "a.png"), as_image_01(PICTURE))
    with pytest.raises(CanvasError, match=r"b\.png holds one picture. Got: 2"):
        save_picture(tmp_path / "b.png", torch.zeros(2, 3, 4, 4))


def test_the_examples_of_the_docs_run(tmp_path, monkeypatch):
    Image.fromarray(PICTURE).resize((640, 480)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for place in (ROOT / "docs" / "python.md", ROOT / "README.md"):
        done = doctest.testfile(str(place), module_relative=False)
        assert done.failed == 0
        assert done.attempted > 4, place


def test_the_parts_are_exported_too():
    bundle = load_tiny()
    request = pixwizard_core.Request(as_image_01(PICTURE), pixwizard_core.instruction("depth"))
    assert run(bundle, request).image_01.shape == (1, 3, 40, 56)


def test_regions_take_masks_of_any_kind_and_warn(pw):
    left = np.zeros((40, 56), dtype=np.uint8)
    left[:, :28] = 255
    plain = pw("custom", PICTURE, caption="make it blue").image_01
    one, two = (
        pw("custom", PICTURE, caption="make it blue", regions=[(mask, "make it red")]).image_01
        for mask in (left, torch.from_numpy(left > 0))
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, plain)
    with pytest.warns(UserWarning, match="region 1 is 28 x 20 px and was resized to the picture's"):
        pw("custom", PICTURE, caption="x", regions=[(left[::2, ::2], "y")], regions_apart=False)


def test_masks_of_a_batch_are_one_for_each_picture(pw):
    """Three axes of a tensor are never colours; one mask for each of two pictures."""
    masks = torch.zeros(2, 40, 56)
    masks[0, :, :28], masks[1, :, 28:] = 1, 1
    pictures = [PICTURE, PICTURE]
    both = pw("custom", pictures, caption="make it blue", seed=3, regions=[(masks, "make it red")])
    for row, seed in ((0, 3), (1, 4)):
        regions = [(masks[row], "make it red")]
        alone = pw("custom", PICTURE, caption="make it blue", seed=seed, regions=regions)
        assert torch.allclose(both.image_01[row], alone.image_01[0], atol=1e-3)


def test_regions_by_transparency_are_said(pw):
    cut_out = np.zeros((40, 56, 4), dtype=np.uint8)
    cut_out[:, :28] = 0, 0, 200, 255
    with pytest.warns(UserWarning, match="the mask of region 1 has transparency, so what is opaqu"):
        pw("custom", PICTURE, caption="x", regions=[(cut_out, "y")])


@pytest.mark.parametrize(("regions", "error", "match"), [
    ((torch.ones(40, 56), "red"), CanvasError, "a list of pairs .* Got as entry 1: Tensor"),
    ({"mask": torch.ones(40, 56)}, CanvasError, r"list of pairs \(mask, instruction\).* Got: dict"),
    ("ball.png", CanvasError, "is a list of pairs .* Got: str"),
    ([("red", torch.ones(40, 56))], CanvasError, r"Got as entry 1: \(str, Tensor\)"),
    ([(torch.ones(40, 56),)], CanvasError, r"Got as entry 1: \(Tensor\)"),
    ([(torch.ones(40, 56), "")], InstructionError, "region 1 has an empty instruction"),
    ([(np.eye(40, 56, dtype=np.uint8), "x")], CanvasError, "brightest value is 0.00392 of 1"),
    ([(torch.ones(1, 3, 40, 56), "x")], CanvasError, "the mask of region 1 as a tensor must be"),
    ([(torch.ones(3, 40, 56), "x")], CanvasError, "3 masks for 1 pictures"),
])  # fmt: skip
def test_regions_that_are_none_are_refused(pw, regions, error, match):
    with pytest.raises(error, match=match):
        pw("custom", PICTURE, caption="x", regions=regions)


def test_sharp_answer_follows_the_picture_or_warns(pw):
    large = np.kron(PICTURE, np.ones((6, 6, 1), dtype=np.uint8))
    plain, sharp = (pw("depth", large, sharp=on).depth for on in (False, True))
    assert plain.shape == sharp.shape == (1, 240, 336)
    assert not torch.equal(plain, sharp)
    with pytest.warns(UserWarning, match="sharp has no effect: only answers of these kinds"):
        pw("canny", PICTURE, sharp=True)
