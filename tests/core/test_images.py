"""Pictures and masks brought to one form, and resized."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.canvas import images
from pixwizard_core.canvas.resample import resample
from pixwizard_core.errors import CanvasError


def test_pixels_and_image_01_are_inverse():
    image = torch.tensor([0.0, 0.25, 1.0])
    assert images.to_pixels(image).tolist() == [-1.0, -0.5, 1.0]
    assert torch.equal(images.to_image_01(images.to_pixels(image)), image)
    assert images.to_image_01(torch.tensor([-3.0, 3.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_ensure_rgb_takes_grey_and_alpha(channels):
    image = torch.rand(2, channels, 3, 5)
    rgb, alpha = images.ensure_rgb(image)
    assert rgb.shape == (2, 3, 3, 5)
    assert torch.equal(rgb[:, 0], image[:, 0])
    assert torch.equal(rgb[:, 2], image[:, 2 if channels > 2 else 0])
    assert (alpha is None) == (channels in (1, 3))
    if alpha is not None:
        assert torch.equal(alpha, image[:, -1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 4, 4), "four axes .* Got: 3 x 4 x 4"),
        (
            torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
            "divide 8-bit values by 255. Got: torch.uint8",
        ),
        (torch.zeros(1, 3, 0, 4), "is empty.*Got: 1 x 3 x 0 x 4"),
        (torch.zeros(0, 3, 4, 4), "is empty.*Got: 0 x 3"),
        (torch.full((1, 3, 2, 2), torch.nan), "12 values that are not finite, of 12"),
        (torch.zeros(1, 5, 2, 2), r"1 to 4 channels .* Got: 5"),
    ],
    ids=["axes", "integers", "no rows", "no pictures", "nan", "channels"],
)
def test_ensure_rgb_refuses(image, message):
    with pytest.raises(CanvasError, match=message):
        images.ensure_rgb(image)


def test_check_finite_counts():
    images.check_finite(torch.tensor([1, 2]), "labels")
    with pytest.raises(CanvasError, match="depth holds 1 values that are not finite, of 3"):
        images.check_finite(torch.tensor([0.0, torch.inf, 1.0]), "depth")


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (1, 1, 4, 6)])
def test_as_mask_accepts_each_shape(shape):
    mask = images.as_mask(torch.ones(shape, dtype=torch.bool), batch=3)
    assert mask.shape == (3, 4, 6)
    assert mask.dtype == torch.bool


def test_as_mask_clamps_resizes_and_takes_equal_channels():
    picture = torch.full((2, 3, 2, 2), 1.5)
    mask = images.as_mask(picture, size=(4, 8))
    assert mask.shape == (2, 4, 8)
    assert torch.equal(mask, torch.ones(2, 4, 8))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.rand(5), r"must be \(H, W\), .* Got: 5"),
        (torch.zeros(1, 0, 4), "the mask is empty. Got: 1 x 0 x 4"),
        (torch.arange(12.0).view(1, 3, 2, 2), "a mask has one channel.* Got: 1 x 3 x 2 x 2"),
        (torch.zeros(2, 4, 4), "2 masks for 3 pictures"),
        (torch.full((1, 2, 2), torch.nan), "mask holds 4 values"),
    ],
    ids=["axes", "empty", "channels", "batch", "nan"],
)
def test_as_mask_refuses(mask, message):
    with pytest.raises(CanvasError, match=message):
        images.as_mask(mask, batch=3)


def test_is_no_mask_only_for_the_hosts_stand_in():
    assert images.is_no_mask(torch.zeros(1, 64, 64))
    assert not images.is_no_mask(torch.zeros(1, 64, 32))
    assert not images.is_no_mask(torch.ones(1, 64, 64))


@pytest.mark.parametrize(
    ("size", "new_size"),
    [((64, 48), (40, 112)), ((9, 5), (33, 17)), ((200, 7), (50, 30)), ((1, 1), (8, 4))],
    ids=str,
)
def test_eight_bit_lanczos_is_pillows(size, new_size):
    """Columns first as in Pillow up to 12; 13 takes the cheaper order, so the order is forced here.

    Pillow counts in fixed point, so a value may seldom round to the other side of a half.
    """
    generator = np.random.default_rng(5)
    array = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
    wide = Image.fromarray(array).resize((new_size[1], size[0]), Image.Resampling.LANCZOS)
    pillow = wide.resize(new_size[::-1], Image.Resampling.LANCZOS)
    image = torch.from_numpy(array).permute(2, 0, 1)[None] / 255
    ours = (images.resize_image(image, *new_size, eight_bit=True)[0] * 255).round()
    difference = (ours - torch.from_numpy(np.array(pillow)).permute(2, 0, 1)).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.002


def test_resample_keeps_a_flat_picture_and_its_dtype():
    flat = torch.full((1, 1, 7, 300), 0.25, dtype=torch.float16)
    for name in ("lanczos", "triangle"):
        small = resample(flat, 5, 131, name)
        assert small.dtype == torch.float16
        assert torch.equal(small, torch.full((1, 1, 5, 131), 0.25, dtype=torch.float16))


def test_triangle_halving_by_hand():
    """Weights are 1 3 3 1; at the border the outer one is missing, which leaves 3 3 1 over
    seven."""
    row = torch.tensor([[8.0, 0.0, 0.0, 0.0]])
    small = resample(row, 1, 2, "triangle")
    torch.testing.assert_close(small, torch.tensor([[24 / 7, 0.0]]))


def test_resize_does_not_touch_an_equal_size():
    image, labels = torch.rand(1, 3, 4, 6), torch.randint(0, 9, (1, 4, 6))
    assert images.resize_image(image, 4, 6, eight_bit=True) is image
    assert images.resize_mask(image[:, 0], 4, 6).data_ptr() == image.data_ptr()
    assert images.resize_labels(labels, 4, 6) is labels


def test_resize_mask_keeps_what_is_binary():
    mask = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    assert images.resize_mask(mask, 1, 2).tolist() == [[[0.0, 0.0]]]
    assert images.resize_mask(mask, 2, 8).unique().tolist() == [0.0, 1.0]
    assert images.resize_mask(mask.bool(), 2, 8).dtype == torch.bool
    soft = images.resize_mask(mask / 2, 1, 8)
    assert 0 < soft[0, 0, 2] < 0.5


def test_resize_labels_takes_pixel_centres():
    labels = torch.tensor([[10, 20, 30]])
    assert images.resize_labels(labels, 2, 6).tolist() == [[10, 10, 20, 20, 30, 30]] * 2
    assert images.resize_labels(labels, 1, 2).tolist() == [[10, 30]]
    assert images.resize_labels(labels, 1, 1).tolist() == [[20]]
