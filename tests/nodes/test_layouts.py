"""Layouts at the border to the host."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.canvas.images import to_pixels


@pytest.fixture(scope="module")
def layouts(extension):
    return extension("nodes.shared.layouts")


@pytest.fixture(scope="module")
def canvas_error(extension):
    return extension("pixwizard_core.errors").CanvasError


def picture(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_core_pixels_lie_between_minus_one_and_one(layouts):
    """On the way that Encode Source takes."""
    image = torch.zeros(1, 2, 3, 3)
    image[0, 1, 2] = torch.tensor([1.0, 0.5, 0.0])
    pixels = to_pixels(layouts.to_image_01(image))
    assert pixels.shape == (1, 3, 2, 3)
    assert pixels[0, :, 1, 2].tolist() == [1.0, 0.0, -1.0]
    assert pixels[0, :, 0, 0].tolist() == [-1.0, -1.0, -1.0]


def test_alpha_is_dropped_and_grey_repeated(layouts):
    rgba, grey = picture(1, 4, 4, 4), picture(1, 4, 4, 1)
    assert torch.equal(layouts.to_image_01(rgba), rgba[..., :3].movedim(-1, 1))
    assert torch.equal(layouts.to_image_01(grey), grey.movedim(-1, 1).expand(1, 3, 4, 4))


def test_single_picture_becomes_a_batch(layouts):
    assert layouts.to_image_01(picture(4, 6, 3)).shape == (1, 3, 4, 6)


@pytest.mark.parametrize("shape", [(2, 6, 8), (1, 6, 128)])
def test_grey_pictures_without_channels_are_read(layouts, shape):
    grey = picture(*shape)
    wanted = grey[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(layouts.to_image_01(grey), wanted)
    assert torch.equal(layouts.to_image_01(grey[0]), wanted[:1])


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((1, 3, 64, 128), r"\(1, 3, 64, 128\); its channels come second"),
        ((1, 8, 64, 64, 3), "give its frames as the batch"),
        ((1, 64, 64, 128), r"1 to 4 channels. Got: \(1, 64, 64, 128\); connect the IMAGE"),
    ],
)
def test_refusal_of_a_shape_says_how_to_mend_it(layouts, canvas_error, shape, advice):
    with pytest.raises(canvas_error, match=advice):
        layouts.to_image_01(picture(*shape))


def test_result_is_clamped_and_contiguous_float32(layouts):
    host = layouts.from_image_01(
        torch.tensor([-1.0, 0.25, 3.0], dtype=torch.float64).view(1, 3, 1, 1)
    )
    assert host.dtype == torch.float32
    assert host.is_contiguous()
    assert host.flatten().tolist() == [0.0, 0.25, 1.0]


def test_grey_map_becomes_three_equal_channels(layouts):
    host = layouts.from_image_01(torch.full((2, 3, 4), 0.5))
    assert host.shape == (2, 3, 4, 3)
    assert torch.equal(host, torch.full((2, 3, 4, 3), 0.5))


@pytest.mark.parametrize("shape", [(4,), (1, 2, 4, 4, 3), (1, 4, 4, 5)])
def test_what_is_no_picture_is_refused(layouts, canvas_error, shape):
    with pytest.raises(canvas_error, match="Got"):
        layouts.to_image_01(picture(*shape))


def test_values_that_are_not_finite_are_refused(layouts, canvas_error):
    image = picture(1, 4, 4, 3)
    image[0, 0, 0, 0] = float("nan")
    with pytest.raises(canvas_error, match="not finite"):
        layouts.to_image_01(image)


@pytest.mark.parametrize("shape", [(6, 8), (1, 6, 8), (1, 1, 6, 8), (1, 6, 8, 1)])
def test_mask_shapes_mean_the_same(layouts, shape):
    flat = picture(6, 8)
    mask = layouts.to_mask(flat.reshape(shape), picture(2, 3, 6, 8))
    assert torch.equal(mask, flat.expand(2, 6, 8))


def test_mask_of_another_size_is_resized(layouts):
    mask = torch.zeros(1, 4, 4)
    mask[:, :, 2:] = 1
    resized = layouts.to_mask(mask, picture(1, 3, 8, 8))
    assert resized.shape == (1, 8, 8)
    assert torch.equal(resized, mask.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_empty_64_mask_counts_as_none(layouts):
    assert layouts.to_mask(torch.zeros(1, 64, 64), picture(1, 3, 30, 20)) is None
    assert layouts.to_mask(None, picture(1, 3, 30, 20)) is None
    assert layouts.to_mask(torch.zeros(1, 65, 64), picture(1, 3, 65, 64)) is not None


def test_mask_batch_that_fits_no_picture_is_refused(layouts, canvas_error):
    with pytest.raises(canvas_error, match="3 masks for 2 pictures"):
        layouts.to_mask(torch.zeros(3, 8, 8), picture(2, 3, 8, 8))


def test_bool_mask_comes_out_as_zero_and_one(layouts):
    mask = layouts.from_mask(torch.tensor([[[True, False]]]))
    assert mask.dtype == torch.float32
    assert mask.tolist() == [[[1.0, 0.0]]]


def test_no_masks_stack_to_one_empty_mask(extension):
    selection = extension("nodes.decoders.selection")
    like = torch.ones(2, 3, 4, dtype=torch.bool)
    assert torch.equal(selection.stack_masks([], like), torch.zeros(1, 3, 4))
    assert selection.stack_masks([like[0], like[1]], like).shape == (2, 3, 4)
