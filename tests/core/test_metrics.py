"""Scores on cases small enough to work out by hand, lopsided so that swapped arguments would
show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixwizard_core import metrics
from pixwizard_core.errors import MetricError


def test_rmse_and_l1():
    prediction, truth = torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([1.0, 4.0, 0.0, 0.0])
    valid = torch.tensor([True, True, True, False])
    assert metrics.rmse(prediction, truth, valid) == pytest.approx(math.sqrt(13 / 3))
    assert metrics.l1(prediction, truth, valid) == pytest.approx(5 / 3)
    assert metrics.l1(prediction, truth) == pytest.approx(14 / 4)


def test_abs_rel_divides_by_the_truth_and_skips_zero():
    prediction, truth = torch.tensor([1.0, 6.0, 5.0]), torch.tensor([2.0, 4.0, 0.0])
    assert metrics.abs_rel(prediction, truth) == pytest.approx(0.5)
    assert metrics.abs_rel(truth[:2], prediction[:2]) == pytest.approx((1 + 1 / 3) / 2)


def test_delta_1_counts_both_directions_and_fails_non_positive():
    truth = torch.tensor([4.0, 4.0, 4.0, 4.0, 0.0])
    prediction = torch.tensor([4.9, 5.1, 3.3, -1.0, 7.0])
    assert metrics.delta_1(prediction, truth) == 0.5


def test_alignment_finds_scale_and_shift():
    truth = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    aligned = metrics.align_scale_shift((truth - 5) / -2, truth)
    torch.testing.assert_close(aligned, truth)
    valid = torch.tensor([[True, True], [True, False]])
    spoiled = torch.tensor([[0.5, 1.0], [1.5, 50.0]])
    aligned = metrics.align_scale_shift(spoiled, truth, valid)
    torch.testing.assert_close(aligned[valid], truth[valid])
    assert (
        metrics.align_scale_shift(torch.zeros(3), torch.tensor([1.0, 2, 6])).tolist() == [3.0] * 3
    )


LABELS = torch.tensor([[0, 0, 0, 1], [1, 1, 2, 2]])
PREDICTED = torch.tensor([[0, 0, 1, 1], [1, 0, 0, 2]])


def test_pixel_accuracy():
    assert metrics.pixel_accuracy(PREDICTED, LABELS) == 5 / 8
    assert metrics.pixel_accuracy(PREDICTED, LABELS, ignore=0) == 3 / 5


def test_mean_iou_skips_absent_classes():
    # class 0: 2 of 5, class 1: 2 of 4, class 2: 1 of 2, class 3: nowhere
    assert metrics.mean_iou(PREDICTED, LABELS, 4) == pytest.approx((2 / 5 + 2 / 4 + 1 / 2) / 3)
    counts = metrics.confusion(PREDICTED, LABELS, 3)
    assert counts.tolist() == [[2, 1, 0], [1, 2, 0], [1, 0, 1]]


def test_mean_iou_ignores_pixels_not_classes():
    # without truth 0: class 0 is predicted twice and never right, class 1: 2 of 3, class 2: 1 of 2
    score = metrics.mean_iou(PREDICTED, LABELS, 3, ignore=0)
    assert score == pytest.approx((0 + 2 / 3 + 1 / 2) / 3)


def test_confusion_adds_over_batches():
    rows = [metrics.confusion(PREDICTED[i], LABELS[i], 3) for i in range(2)]
    assert metrics.mean_iou_of(rows[0] + rows[1]) == metrics.mean_iou(PREDICTED, LABELS, 3)


def mask(text: str) -> torch.Tensor:
    return torch.tensor([[[c == "#" for c in row] for row in text.split("/")]])


def test_mask_iou_and_cumulative_iou_weigh_differently():
    truth = torch.cat([mask("####/####"), mask("#.../....")])
    prediction = torch.cat([mask("####/##../"[:-1]), mask(".#../....")])
    assert metrics.mask_iou(prediction, truth) == pytest.approx((6 / 8 + 0) / 2)
    assert metrics.cumulative_iou(prediction, truth) == pytest.approx(6 / 10)


def test_empty_masks_agree_but_give_no_cumulative_score():
    empty = mask("..")
    assert metrics.mask_iou(empty, empty) == 1.0
    assert metrics.mask_iou(mask("#."), empty) == 0.0
    assert math.isnan(metrics.cumulative_iou(empty, empty))


def test_box_iou():
    truth = torch.tensor([[0, 0, 4, 4], [0, 0, 2, 2], [5, 5, 8, 8]])
    prediction = torch.tensor([[2, 0, 6, 2], [3, 3, 4, 4], [0, 0, 0, 0]])
    assert metrics.box_iou(prediction, truth) == pytest.approx((4 / 20 + 0 + 0) / 3)
    assert metrics.box_iou(truth.float(), truth.float()) == 1.0


def test_mean_angle():
    truth = torch.tensor([[0.0, 0, 1], [0, 0, 1], [1, 0, 0]]).T.view(1, 3, 1, 3)
    prediction = torch.tensor([[0.0, 0, 5], [0, 2, 2], [-1, 0, 0]]).T.view(1, 3, 1, 3)
    assert metrics.mean_angle_deg(prediction, truth) == pytest.approx((0 + 45 + 180) / 3)
    valid = torch.tensor([[[True, True, False]]])
    assert metrics.mean_angle_deg(prediction, truth, valid) == pytest.approx(22.5)


def test_psnr():
    truth = torch.zeros(1, 3, 2, 2)
    prediction = truth.clone()
    prediction[..., 0] = 0.1
    assert metrics.psnr(prediction, truth) == pytest.approx(10 * math.log10(200))
    valid = torch.tensor([[[True, False], [True, False]]])
    assert metrics.psnr(prediction, truth, valid) == pytest.approx(20.0)
    assert metrics.psnr(truth, truth) == math.inf


def test_ssim_agrees_with_scikit_image():
    structural = pytest.importorskip("skimage.metrics").structural_similarity
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 1, 24, 30, generator=generator)
    prediction = (truth + 0.3 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    _, theirs = structural(
        prediction[0, 0].double().numpy(), truth[0, 0].double().numpy(), data_range=1, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert metrics.ssim(prediction, truth) == pytest.approx(theirs[5:-5, 5:-5].mean(), abs=1e-6)
    assert metrics.ssim(truth, truth) == pytest.approx(1)
    assert math.isnan(metrics.ssim(truth[..., :10], truth[..., :10]))


def test_edge_f1_is_lopsided():
    truth = mask("#......./........")
    prediction = mask("..#..###/........")
    # within 2 px: 1 of 4 predicted pixels is right, the one true pixel is found
    assert metrics.edge_f1(prediction, truth, 2) == pytest.approx(2 * 0.25 * 1 / 1.25)
    assert metrics.edge_f1(prediction, truth, 1) == 0.0
    assert metrics.edge_f1(truth, truth, 0) == 1.0


def test_edge_f1_of_empty_maps():
    empty = mask("..../....")
    assert math.isnan(metrics.edge_f1(empty, empty))
    assert metrics.edge_f1(mask("#.../...."), empty) == 0.0
    assert metrics.edge_f1(empty, mask("#.../....")) == 0.0


@pytest.mark.parametrize(
    "score",
    [metrics.rmse, metrics.l1, metrics.abs_rel, metrics.delta_1, metrics.psnr],
    ids=lambda f: f.__name__,
)
def test_nothing_to_score_is_nan(score):
    values = torch.rand(1, 2, 2)
    assert math.isnan(score(values, values, torch.zeros(1, 2, 2, dtype=torch.bool)))


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_measures_take_any_container_of_numbers(make):
    assert metrics.rmse(make([1.0, 2.0]), make([1.0, 4.0])) == pytest.approx(math.sqrt(2))
    assert metrics.mask_iou(make([[True, True]]), make([[True, False]])) == 0.5
    assert metrics.pixel_accuracy(make([1, 2, 3, 4]), make([1, 2, 0, 0])) == 0.5


def test_measures_do_not_wrap_whole_numbers_around():
    one, two = np.array([0, 10], np.uint8), np.array([1, 10], np.uint8)
    assert metrics.l1(one, two) == 0.5
    assert metrics.rmse(one, two) == pytest.approx(math.sqrt(0.5))


def test_measures_take_mixed_types():
    half, double = torch.tensor([0.5, 0.25]).half(), torch.tensor([0.5, 0.75]).double()
    assert metrics.l1(half, double) == 0.25
    assert metrics.psnr(half, double) == pytest.approx(10 * math.log10(1 / 0.125))


@pytest.mark.parametrize("measure", [metrics.psnr, metrics.ssim])
def test_measures_of_pictures_refuse_8_bit_values(measure):
    eight_bit = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    with pytest.raises(MetricError, match=r"prediction must hold floats in 0..1; divide 8-bit"):
        measure(eight_bit, eight_bit)
    with pytest.raises(MetricError, match=r"truth must hold values in 0..1.*up to 200"):
        measure(eight_bit / 255, eight_bit.float())


def test_measures_refuse_what_cannot_be_compared():
    with pytest.raises(MetricError, match=r"one shape. Got: \(2,\) and \(3,\)"):
        metrics.rmse([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(MetricError, match="truth must be an array of numbers"):
        metrics.rmse([1.0], ["a"])
