"""Masks of every kind in: one form out, and transparency by one rule."""

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.errors import CanvasError
from pixwizard_core.files.mask_values import read_mask

WHITE_LEFT = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]  # 2 rows of 3 px
RIGHT = [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
BY_ALPHA = "it has transparency, so what is opaque is in the region, whatever its colour"
BY_COLOUR = (
    "it is black and white with transparency, so white is in the region, and what is transparent "
    "is not"
)


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (1, 1, 2, 3)])
def test_tensors_of_one_mask_are_read(shape):
    assert read_mask(torch.tensor(WHITE_LEFT).reshape(shape)).mask.tolist() == [WHITE_LEFT]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_three_axes_of_a_tensor_are_one_mask_for_each_picture(count):
    """Never colours, nor transparency."""
    masks = torch.tensor([WHITE_LEFT, RIGHT, WHITE_LEFT, RIGHT])[:count]
    assert torch.equal(read_mask(masks).mask, masks)
    assert torch.equal(read_mask(masks[:, None] > 0).mask, masks)


def test_arrays_of_three_axes_are_pictures_if_the_last_says_so():
    many = np.zeros((2, 4, 7), np.uint8)
    many[1] = 255
    assert read_mask(many).mask[:, 0, 0].tolist() == [0, 1]
    grey = np.repeat(np.array(WHITE_LEFT, np.float32)[..., None], 3, axis=2)
    assert read_mask(grey).mask.tolist() == [WHITE_LEFT]
    assert read_mask(grey[None]).mask.tolist() == [WHITE_LEFT]
    assert read_mask([grey, np.array(RIGHT, np.float32)]).mask.tolist() == [WHITE_LEFT, RIGHT]


@pytest.mark.parametrize(("value", "match"), [
    (torch.zeros(1, 3, 4, 4), r"a tensor must be .* or \(B, 1, H, W\). Got: 1 x 3 x 4 x 4"),
    (torch.zeros(4), r"as a tensor must be \(H, W\), .* Got: 4"),
    (np.zeros((2, 5, 6, 7)), r"as a NumPy array must be .* Got: 2 x 5 x 6 x 7"),
    (np.zeros((5, 6), np.int64), "must hold uint8 or floats. Got: int64"),
    (torch.full((5, 6), 255.0), "holds floats from 255 to 255"),
    ([], "is an empty list; give at least one mask"),
    ([torch.zeros(2, 3), torch.zeros(4, 3)], "several sizes; give one size. Got: 3 x 2, 3 x 4 px"),
    (7, "must be a path, a Pillow image, a tensor .* Got: int"),
])  # fmt: skip
def test_what_is_no_mask_is_refused_with_what_goes(value, match):
    with pytest.raises(CanvasError, match=f"the mask of region 2 .*{match}"):
        read_mask(value, "the mask of region 2")


def cut_out(*pixels: tuple[int, int, int, int]) -> Image.Image:
    """A row of RGBA pixels."""
    return Image.fromarray(np.array([pixels], np.uint8))


@pytest.mark.parametrize(("pixels", "wanted", "note"), [
    ([(200, 30, 20, 255), (0, 0, 0, 0), (90, 60, 5, 51)], [1, 0, 0.2], BY_ALPHA),
    ([(0, 0, 0, 255), (255, 255, 255, 0)], [1, 0], BY_ALPHA),
    ([(255, 255, 255, 255), (0, 0, 0, 0)], [1, 0], BY_ALPHA),
    ([(255, 255, 255, 255), (0, 0, 0, 255), (255, 255, 255, 0)], [1, 0, 0], BY_COLOUR),
    ([(255, 255, 255, 255), (0, 0, 0, 255), (9, 90, 0, 255), (0, 0, 0, 0)], [1, 1, 1, 0], BY_ALPHA),
])  # fmt: skip
def test_transparency_is_the_mask_unless_the_colours_are_one(pixels, wanted, note, tmp_path):
    picture = cut_out(*pixels)
    picture.save(tmp_path / "a.png")
    for value in (picture, tmp_path / "a.png", np.array(picture), np.array(picture)[None]):
        mask, notes = read_mask(value, "it")
        assert mask[0, 0].tolist() == pytest.approx(wanted)
        assert notes == (note,)


def test_brightness_is_the_mask_of_an_opaque_picture(tmp_path):
    picture = cut_out((255, 255, 255, 255), (0, 0, 0, 255), (51, 51, 51, 255))
    for value in (picture, picture.convert("L"), picture.convert("RGB"), picture.convert("LA")):
        mask, notes = read_mask(value)
        assert mask[0, 0].tolist() == pytest.approx([1, 0, 0.2])
        assert notes == ()
