"""Blank parts in, the answer back, and not a bit changed elsewhere."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.errors import CanvasError
from pixwizard_core.inpaint import (
    Sides,
    aspect_sides,
    blank_canvas,
    composite,
    fade_in,
    parse_aspect,
    prepare_inpaint,
    prepare_outpaint,
)

ODD_SIZES = [(1, 1), (17, 4001), (4000, 17), (513, 769), (64, 64)]


def picture(width: int, height: int, batch: int = 1, channels: int = 3, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, channels, height, width, generator=generator)


def some_mask(width: int, height: int, batch: int = 1):
    """A rectangle off the middle, at least one pixel."""
    mask = torch.zeros(batch, height, width)
    mask[:, height // 3 : max(height // 3 + 1, height // 2), width // 4 : width // 4 + 9] = 1
    return mask


def same_outside(out, source, mask):
    outside = (mask == 0)[:, None].expand_as(out)
    return torch.equal(out[outside], source.expand_as(out)[outside])


@pytest.mark.parametrize(("width", "height"), ODD_SIZES)
@pytest.mark.parametrize("feather", [0.0, 5.0])
def test_composite_keeps_every_bit_outside(width, height, feather):
    source, result = picture(width, height), picture(width, height, seed=1)
    mask = some_mask(width, height)
    out = composite(source, result, mask, feather)
    assert out.shape == source.shape
    assert same_outside(out, source, mask)
    assert not torch.equal(out, source)
    if feather == 0:
        inside = (mask == 1)[:, None].expand_as(out)
        assert torch.equal(out[inside], result[inside])


@pytest.mark.parametrize(("width", "height"), ODD_SIZES)
@pytest.mark.parametrize("context", [None, 0.5])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_inpaint_there_and_back_keeps_every_bit_outside(width, height, context, fit):
    source, mask = picture(width, height), some_mask(width, height)
    prepared = prepare_inpaint(source, mask, context=context, centres=(128,), fit=fit)
    size = prepared.canvas.model
    assert prepared.picture.shape == (1, 3, size.height, size.width)
    assert prepared.hole.shape == (1, size.height, size.width)
    assert torch.equal(prepared.source, source)
    assert torch.equal(prepared.mask, mask > 0)
    answer = picture(size.width, size.height, seed=2)
    restored = prepared.canvas.restore_image(answer, source)
    out = composite(source, restored, prepared.mask, feather=3)
    assert out.shape == source.shape
    assert same_outside(out, source, mask)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (170, 61), (48, 513)])
def test_outpaint_there_and_back_keeps_every_bit(width, height):
    given = picture(width, height, batch=2)
    prepared = prepare_outpaint(given, Sides(7, 0, 3, 11), centres=(128,))
    assert prepared.source.shape == (2, 3, height + 11, width + 10)
    size = prepared.canvas.model
    restored = prepared.canvas.restore_image(picture(size.width, size.height, 2, seed=3))
    out = composite(prepared.source, restored, prepared.mask, feather=4)
    assert torch.equal(out[:, :, :height, 7 : 7 + width], given)
    assert prepared.mask.sum() == 2 * ((height + 11) * (width + 10) - height * width)


def test_composite_takes_one_for_many():
    source, result = picture(20, 10), picture(20, 10, 3, seed=1)
    mask = some_mask(20, 10)
    out = composite(source, result, mask)
    assert out.shape == (3, 3, 10, 20)
    assert same_outside(out, source, mask.expand(3, -1, -1))
    many = composite(picture(20, 10, 3), result[:1], mask.expand(3, -1, -1))
    assert many.shape == (3, 3, 10, 20)
    masks_only = composite(source, result[:1], some_mask(20, 10, 2))
    assert masks_only.shape == (2, 3, 10, 20)


def test_composite_refuses_two_of_one_and_three_of_another():
    with pytest.raises(CanvasError, match="2 sources, 3 results and 1 masks"):
        composite(picture(8, 8, 2), picture(8, 8, 3), torch.ones(8, 8))


@pytest.mark.parametrize("shape", [(10, 20), (1, 10, 20), (1, 1, 10, 20)])
def test_composite_takes_masks_of_any_rank(shape):
    source, result = picture(20, 10), picture(20, 10, seed=1)
    mask = some_mask(20, 10)
    assert torch.equal(composite(source, result, mask.view(shape)), composite(source, result, mask))


@pytest.mark.parametrize("mask", [None, torch.zeros(1, 64, 64), torch.zeros(64, 64)])
def test_composite_without_mask_is_the_source(mask):
    source = picture(33, 21)
    assert torch.equal(composite(source, picture(33, 21, seed=1), mask), source)


def test_composite_keeps_the_sources_transparency_outside():
    source, mask = picture(20, 10, channels=4), some_mask(20, 10)
    out = composite(source, picture(20, 10, seed=1), mask)
    assert out.shape == source.shape
    assert same_outside(out, source, mask)
    assert bool((out[:, 3][mask == 1] == 1).all())  # painted, so it shows
    clear = picture(20, 10, channels=4, seed=2)
    assert torch.equal(composite(source, clear, torch.ones(10, 20)), clear)


def test_composite_of_grey_and_of_half_precision_keeps_the_kind():
    grey, half = picture(20, 10, channels=1), picture(20, 10).half()
    mask = some_mask(20, 10)
    assert composite(grey, picture(20, 10, seed=1), mask).shape == grey.shape
    out = composite(half, picture(20, 10, seed=1), mask, 2)
    assert out.dtype == torch.float16
    assert same_outside(out, half, mask)


def test_composite_mixes_where_the_mask_is_soft():
    source, result = torch.zeros(1, 3, 1, 3), torch.ones(1, 3, 1, 3)
    out = composite(source, result, torch.tensor([[0.0, 0.25, 1.0]]))
    assert out[0, 0, 0].tolist() == [0.0, 0.25, 1.0]


def test_composite_refuses_another_size():
    with pytest.raises(CanvasError, match="result is 16 x 8 px, the source 20 x 10 px"):
        composite(picture(20, 10), picture(16, 8), None)


def test_feather_rises_over_its_width_from_the_edge():
    mask = torch.zeros(1, 1, 20)
    mask[..., 5:] = 1
    weights = fade_in(mask, 4.0)[0, 0]
    assert weights[:5].tolist() == [0.0] * 5
    assert weights[5:10].tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875, 1.0])
    assert weights[10:].tolist() == [1.0] * 10  # the picture's border is no edge


def test_feather_leaves_thin_objects_whole_in_the_middle():
    mask = torch.zeros(1, 30, 60)
    mask[0, 14:17, 2:28] = 1
    mask[0, 2:28, 32:58] = 1
    weights = fade_in(mask, 10.0)[0]
    assert weights[15, 15] == 1
    assert weights[15, 45] == 1
    assert weights[15, 34] == pytest.approx(0.25)  # the thick one keeps the wide fade
    assert bool((weights[mask[0] == 0] == 0).all())


def test_inpaint_fills_the_hole_flat_and_leaves_the_rest():
    source, mask = picture(128, 128), some_mask(128, 128)
    for fill, level in (("black", 0.0), ("white", 1.0)):
        prepared = prepare_inpaint(source, mask, fill=fill, centres=(128,))
        assert torch.equal(prepared.hole, mask > 0)
        assert bool((prepared.picture.movedim(1, -1)[prepared.hole] == level).all())
        outside = ~prepared.hole
        assert torch.equal(prepared.picture.movedim(1, -1)[outside], source.movedim(1, -1)[outside])


def test_inpaint_hole_covers_all_that_the_mask_touches():
    """One pixel of a large picture must not vanish when the picture shrinks."""
    mask = torch.zeros(1, 2000, 2000)
    mask[0, 777, 1234] = 1
    prepared = prepare_inpaint(picture(2000, 2000), mask, centres=(128,))
    assert prepared.hole[0, 777 * 128 // 2000, 1234 * 128 // 2000]
    assert int(prepared.hole.sum()) <= 9


def test_inpaint_grow_widens_and_narrows():
    mask = some_mask(60, 60)
    area = int(mask.sum())
    assert int(prepare_inpaint(picture(60, 60), mask, grow=2).mask.sum()) > area
    assert int(prepare_inpaint(picture(60, 60), mask, grow=-2).mask.sum()) < area


def test_inpaint_around_the_mask_uses_the_whole_model_picture():
    mask = torch.zeros(1, 900, 1200)
    mask[0, 400:440, 1000:1060] = 1
    prepared = prepare_inpaint(picture(1200, 900), mask, context=0.5, centres=(128,))
    view = prepared.canvas.view
    assert view.left <= 970 < 1090 <= view.right
    assert view.top <= 370 < 470 <= view.bottom
    assert view.width <= 200
    assert view.width / view.height == pytest.approx(
        prepared.canvas.model.width / prepared.canvas.model.height, rel=0.02
    )
    assert float(prepared.hole.float().mean()) > 0.1


def test_inpaint_around_the_mask_stays_inside_the_picture():
    mask = torch.zeros(1, 50, 70)
    mask[0, 45:, 66:] = 1
    view = prepare_inpaint(picture(70, 50), mask, context=3.0, centres=(128,)).canvas.view
    assert view.left >= 0
    assert view.top >= 0
    assert (view.right, view.bottom) == (70, 50)


@pytest.mark.parametrize("mask", [None, torch.zeros(1, 64, 64), torch.zeros(1, 30, 40)])
def test_inpaint_of_nothing_selected_changes_nothing(mask):
    source = picture(128, 128)
    prepared = prepare_inpaint(source, mask, context=0.5, centres=(128,))
    assert torch.equal(prepared.picture, source)
    assert not prepared.mask.any()


def test_inpaint_takes_one_picture_for_many_masks():
    prepared = prepare_inpaint(picture(40, 40), some_mask(40, 40, 3), context=1.0)
    assert len(prepared.picture) == len(prepared.mask) == len(prepared.source) == 3
    with pytest.raises(CanvasError, match="3 masks for 2 pictures"):
        prepare_inpaint(picture(40, 40, 2), some_mask(40, 40, 3))
    with pytest.raises(CanvasError, match="0 masks for 1 pictures; give one mask"):
        prepare_inpaint(picture(40, 40), torch.zeros(0, 40, 40))


def test_inpaint_names_the_fills():
    with pytest.raises(CanvasError, match="black, white"):
        prepare_inpaint(picture(40, 40), None, fill="grey")


def test_outpaint_fills_the_margins_flat():
    given = picture(96, 128)
    prepared = prepare_outpaint(given, Sides(left=32), centres=(128,), fill="white")
    assert bool((prepared.picture[..., :32] == 1).all())
    assert torch.equal(prepared.picture[..., 32:], given)
    assert torch.equal(prepared.source[..., 5], given[..., 0])  # the border runs on


def test_outpaint_to_an_aspect_ratio_never_cuts():
    assert aspect_sides(100, 100, (16, 9)) == Sides(39, 0, 39, 0)
    assert aspect_sides(100, 100, (9, 16), "top") == Sides(0, 0, 0, 78)
    assert aspect_sides(100, 50, (2, 1)) == Sides(0, 0, 0, 0)
    prepared = prepare_outpaint(picture(30, 60), aspect=(1, 1), anchor="left")
    assert prepared.source.shape[-2:] == (60, 60)
    assert not prepared.mask[0, :, :30].any()


def test_outpaint_refuses_what_makes_no_sense():
    with pytest.raises(CanvasError, match="margins cannot be negative"):
        prepare_outpaint(picture(8, 8), Sides(left=-1))
    with pytest.raises(CanvasError, match="centre, left, top, right, bottom"):
        prepare_outpaint(picture(8, 8), aspect=(1, 2), anchor="middle")


@pytest.mark.parametrize(
    ("text", "aspect"), [("16:9", (16, 9)), ("3/2", (3, 2)), ("1.5", (1.5, 1)), (" ", None)]
)
def test_aspect_is_read(text, aspect):
    assert parse_aspect(text) == aspect


@pytest.mark.parametrize("text", ["wide", "1:2:3", "0:1", "nan", "-1"])
def test_aspect_that_is_none_is_refused(text):
    with pytest.raises(CanvasError, match="16:9"):
        parse_aspect(text)


def test_blank_canvas_leads_back_to_the_size_asked_for():
    blank, canvas = blank_canvas(301, 203, "black", batch=2)
    assert blank.shape == (2, 3, 208, 304)
    assert not blank.any()
    assert canvas.restore_image(blank).shape == (2, 3, 203, 301)
    assert float(blank_canvas(64, 64)[0].min()) == 1
