"""Any size in, the same size out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pixwizard_core.canvas import FITS, Canvas, Rect, Size, bucket_table, choose, plan
from pixwizard_core.canvas.batch import CanvasBatch
from pixwizard_core.canvas.buckets import REFERENCE_256, whole_cells
from pixwizard_core.errors import CanvasError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sizes.json").read_text())
ODD_SIZES = [(1, 1), (17, 4001), (4000, 17), (513, 769), (100, 300), (64, 64)]


@pytest.mark.parametrize("centre", ["256", "512", "768", "1024"])
def test_tables_are_the_references_in_its_order(centre):
    assert [list(size) for size in bucket_table(int(centre))] == GOLDEN["tables"][centre]


@pytest.mark.parametrize("name", GOLDEN["lists"])
def test_choices_are_the_references(name):
    chosen = [list(choose(*wh, GOLDEN["lists"][name])) for wh in GOLDEN["image_wh"]]
    wanted = GOLDEN["results_w_h_res"][name]
    if name == "256":  # the reference files its 256 table under 512
        assert [c[:2] for c in chosen] == [w[:2] for w in wanted]
        assert {c[2] for c in chosen} == {256}
    else:
        assert chosen == wanted


def test_table_of_a_small_centre_by_hand():
    """32 px is 4 cells: 4x1, 3x1, 2x1, 2x2, 1x2, 1x3, 1x4."""
    table = [(w // 16, h // 16) for w, h in bucket_table(32)]
    assert table == [(4, 1), (3, 1), (2, 1), (2, 2), (1, 2), (1, 3), (1, 4)]


@pytest.mark.parametrize("centre", [16, 128, 640, 1536, 4096])
def test_tables_obey_area_and_aspect(centre):
    table = bucket_table(centre)
    assert len(set(table)) == len(table)
    assert (centre, centre) in table
    for width, height in table:
        assert width % 16 == height % 16 == 0
        assert width * height <= centre * centre
        assert max(width, height) <= 4 * min(width, height)


def test_reference_256_is_part_of_what_the_rule_gives():
    cells = [(w // 16, h // 16) for w, h in REFERENCE_256]
    for width, height in cells:
        assert width * height <= 256 < (width + 1) * (height + 1)


@pytest.mark.parametrize("centre", [0, 8, 500, 4112])
def test_centre_must_fit(centre):
    with pytest.raises(CanvasError, match=f"multiple of 16 from 16 to 4096 px. Got: {centre}"):
        bucket_table(centre)


def test_choose_refuses_nothing():
    with pytest.raises(CanvasError, match="no centre given"):
        choose(10, 10, ())
    with pytest.raises(CanvasError, match=r"at least 1 x 1 px. Got: 0 x 10"):
        choose(0, 10)


def test_whole_cells_rounds_to_the_nearest_cell():
    assert whole_cells(513, 769) == (512, 768)
    assert whole_cells(1, 24) == (16, 32)


def test_pad_keeps_the_shape():
    canvas = plan(200, 100, fit="pad", model=(128, 128))
    assert canvas.content == (0, 32, 128, 96)
    assert canvas.view == (0, 0, 200, 100)


def test_crop_keeps_the_shape():
    canvas = plan(200, 100, fit="crop", model=(128, 128))
    assert canvas.content == (0, 0, 128, 128)
    assert canvas.view == (50, 0, 150, 100)


def test_extreme_shapes_keep_at_least_a_pixel():
    assert plan(4000, 1, (128,), "pad").content.height == 1
    assert plan(1, 4000, (128,), "crop").view == Rect(0, 1998, 1, 2002)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_everything_comes_back_in_the_sources_size(size, fit):
    width, height = size
    canvas = plan(width, height, (128,), fit)
    image = torch.rand(2, 4, height, width)
    fitted = canvas.fit_image(image)
    assert fitted.shape == (2, 3, canvas.model.height, canvas.model.width)
    assert fitted.min() >= 0
    assert fitted.max() <= 1
    assert canvas.restore_image(fitted, image).shape == (2, 3, height, width)
    assert canvas.restore_image(fitted[:, :1]).shape == (2, 1, height, width)
    mask = torch.rand(2, height, width) > 0.5
    fitted_mask = canvas.fit_mask(mask)
    assert fitted_mask.shape == (2, canvas.model.height, canvas.model.width)
    assert fitted_mask.dtype == torch.bool
    back = canvas.restore_mask(fitted_mask.float())
    assert back.shape == mask.shape
    assert set(back.unique().tolist()) <= {0.0, 1.0}
    labels = torch.randint(1, 9, (2, canvas.model.height, canvas.model.width))
    restored = canvas.restore_labels(labels)
    assert restored.shape == mask.shape
    assert restored.dtype == torch.long
    assert canvas.restore_mask(torch.zeros(0, *fitted.shape[-2:])).shape == (0, height, width)


@pytest.mark.parametrize("fit", FITS)
def test_equal_size_is_bit_identical(fit):
    canvas = plan(128, 128, (128,), fit)
    image, mask = torch.rand(1, 3, 128, 128), torch.rand(1, 128, 128)
    assert torch.equal(canvas.fit_image(image), image)
    assert torch.equal(canvas.restore_image(image), image)
    assert torch.equal(canvas.fit_mask(mask), mask)
    assert torch.equal(canvas.restore_mask(mask), mask)


def test_crop_without_scaling_gives_every_pixel_back():
    canvas = plan(200, 128, fit="crop", model=(128, 128))
    image = torch.rand(1, 3, 128, 200)
    fitted = canvas.fit_image(image)
    assert torch.equal(fitted, image[..., 36:164])
    assert torch.equal(canvas.restore_image(fitted, image), image)


def test_crop_leaves_the_margin_untouched():
    canvas = plan(200, 100, fit="crop", model=(128, 128))
    image = torch.rand(2, 3, 100, 200)
    painted = torch.zeros(2, 3, 128, 128)
    restored = canvas.restore_image(painted, image[:1])
    assert torch.equal(restored[..., :50], image[:1, :, :, :50].expand(2, -1, -1, -1))
    assert torch.equal(restored[..., 150:], image[:1, :, :, 150:].expand(2, -1, -1, -1))
    assert not restored[..., 50:150].any()
    assert canvas.covered().sum(1).tolist() == [100] * 100
    without = canvas.restore_image(painted + 1)
    assert torch.equal(without[0, 0].bool(), canvas.covered())


def test_pad_repeats_the_border_and_masks_nothing_there():
    canvas = plan(128, 64, fit="pad", model=(128, 128))
    image = torch.rand(1, 3, 64, 128)
    fitted = canvas.fit_image(image)
    assert torch.equal(fitted[:, :, 32:96], image)
    assert torch.equal(fitted[:, :, 0], image[:, :, 0])
    assert torch.equal(fitted[:, :, 127], image[:, :, 63])
    mask = canvas.fit_mask(torch.ones(1, 64, 128, dtype=torch.bool))
    assert mask.sum() == 64 * 128
    assert torch.equal(canvas.restore_image(fitted), image)


def test_smooth_picture_survives_the_round_trip():
    row = torch.linspace(0.2, 0.8, 250)
    image = (row[None, :] * torch.linspace(0.5, 1, 170)[:, None]).expand(1, 3, -1, -1)
    for fit in ("stretch", "pad"):
        canvas = plan(250, 170, (128,), fit)
        error = (canvas.restore_image(canvas.fit_image(image)) - image).abs()
        assert error[..., 4:-4, 4:-4].max() < 1.5 / 255


def test_labels_are_nearest_and_boxes_linear():
    canvas = plan(4, 2, model=(16, 16))
    labels = torch.zeros(1, 16, 16, dtype=torch.uint8)
    labels[:, 8:, 4:8] = 7
    assert canvas.restore_labels(labels).tolist() == [[[0, 0, 0, 0], [0, 7, 0, 0]]]
    box = torch.tensor([[4.0, 8.0, 8.0, 16.0]])
    assert canvas.restore_boxes(box).tolist() == [[1.0, 1.0, 2.0, 2.0]]


def test_boxes_are_moved_and_clipped():
    canvas = plan(200, 100, fit="pad", model=(128, 128))
    boxes = torch.tensor([[0.0, 0.0, 128.0, 128.0], [64.0, 64.0, 96.0, 80.0]])
    assert canvas.restore_boxes(boxes).tolist() == [[0, 0, 200, 100], [100, 50, 150, 75]]
    assert canvas.restore_boxes(torch.zeros(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtype_is_kept(dtype):
    canvas = plan(50, 20, (64,), "pad")
    fitted = canvas.fit_image(torch.rand(1, 3, 20, 50).to(dtype))
    assert fitted.dtype == dtype
    assert canvas.restore_image(fitted).dtype == dtype


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0, "height": 5}, "at least 1 x 1 px. Got: 0 x 5"),
        ({"width": 40000, "height": 2}, "40000 x 2 px is too large"),
        ({"width": 30000, "height": 30000}, "30000 x 30000 px is too large .*268 million"),
        ({"width": 5, "height": 5, "fit": "squash"}, "one of stretch, pad, crop. Got: 'squash'"),
        ({"width": 5, "height": 5, "model": (100, 128)}, "multiples of 16 px. Got: 100 x 128"),
    ],
    ids=["empty", "long", "huge", "fit", "model"],
)
def test_plan_refuses(arguments, message):
    with pytest.raises(CanvasError, match=message):
        plan(**arguments)


def test_wrong_size_is_named():
    canvas = plan(40, 30, (64,))
    with pytest.raises(
        CanvasError, match="source is 30 x 40 px, but this canvas was made for 40 x"
    ):
        canvas.fit_image(torch.rand(1, 3, 40, 30))
    with pytest.raises(CanvasError, match="model picture is 40 x 30 px"):
        canvas.restore_mask(torch.zeros(1, 30, 40))
    with pytest.raises(CanvasError, match="made for 80 x 48 px; resize it to that, or to a mul"):
        plan(40, 24, model=(80, 48)).restore_image(torch.rand(1, 3, 80, 48))
    broken = torch.rand(1, 3, 30, 40)
    broken[:, :, 4, 7] = torch.nan
    with pytest.raises(CanvasError, match="3 values that are not finite, of 3600"):
        canvas.fit_image(broken)
    crop = plan(60, 30, fit="crop", model=(32, 32))
    with pytest.raises(CanvasError, match="2 sources for 3 pictures"):
        crop.restore_image(torch.rand(3, 3, 32, 32), torch.rand(2, 3, 30, 60))


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("times", [2, 4, 1.5])
def test_upscaled_answer_comes_back_to_its_place(fit, times):
    canvas = plan(400, 200, fit=fit, model=(64, 64))
    side = int(64 * times)
    painted = torch.linspace(0, 1, side).expand(1, 3, side, side)
    plain = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    restored, wanted = canvas.restore_image(painted), canvas.restore_image(plain)
    assert restored.shape == (1, 3, 200, 400)
    assert (restored - wanted).abs().max() < 0.05
    mask = canvas.restore_mask(painted[:, 0] > 0.5)
    assert (mask != canvas.restore_mask(plain[:, 0] > 0.5)).float().mean() < 0.02
    labels = (painted[:, 0] * 4).long()
    assert canvas.restore_labels(labels).unique().tolist() == [0, 1, 2, 3, 4]
    box = torch.tensor([8.0, 16, 40, 48])
    moved = canvas.restore_boxes(box * times, torch.zeros(side, side))
    assert torch.allclose(moved, canvas.restore_boxes(box), atol=4)


def test_upscaled_answer_keeps_detail_that_the_model_size_has_not():
    stripes = (torch.arange(128) % 2).float().expand(1, 3, 128, 128)
    assert torch.equal(plan(128, 128, model=(64, 64)).restore_image(stripes), stripes)


def test_upscaler_may_round_a_side():
    canvas = plan(70, 50, model=(80, 48))
    assert canvas.restore_image(torch.rand(1, 3, 72, 121)).shape == (1, 3, 50, 70)
    with pytest.raises(CanvasError, match="model picture is 124 x 72 px"):
        canvas.restore_image(torch.rand(1, 3, 72, 124))


def two_views():
    """Two crops of a 40 x 30 picture at one model size."""
    whole = Rect(0, 0, 32, 32)
    return [
        Canvas(Size(40, 30), Size(32, 32), "crop", view, whole)
        for view in (Rect(0, 0, 20, 20), Rect(18, 8, 40, 30))
    ]


def test_batch_of_canvases_goes_picture_by_picture():
    one, other = two_views()
    both = CanvasBatch((one, other))
    painted, source = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 30, 40)
    restored = both.restore_image(painted, source)
    assert torch.equal(restored[:1], one.restore_image(painted[:1], source[:1]))
    assert torch.equal(restored[1:], other.restore_image(painted[1:], source[1:]))
    mask = painted[:, 0] > 0.5
    assert torch.equal(both.restore_mask(mask)[1:], other.restore_mask(mask[1:]))
    assert torch.equal(both.restore_labels(mask.long())[:1], one.restore_labels(mask[:1].long()))
    assert torch.equal(both.fit_image(source)[1:], other.fit_image(source[1:]))
    assert torch.equal(both.covered(), torch.stack([one.covered(), other.covered()]))
    assert (both.source, both.model, len(both), both.of(1)) == (one.source, one.model, 2, other)


def test_one_picture_goes_to_the_place_of_each_canvas():
    both = CanvasBatch(tuple(two_views()))
    restored = both.restore_image(torch.ones(1, 3, 32, 32))
    assert torch.equal(restored[:, 0] > 0, both.covered())


def test_batch_of_canvases_refuses_other_counts_and_sizes():
    one, other = two_views()
    with pytest.raises(CanvasError, match="3 pictures for a canvas made for 2"):
        CanvasBatch((one, other)).restore_image(torch.ones(3, 3, 32, 32))
    with pytest.raises(CanvasError, match="share their source"):
        CanvasBatch((one, plan(40, 30, (128,))))
