"""Scores by name."""

from __future__ import annotations

import math

import pytest
import torch

from pixwizard_core.errors import DecodeError
from pixwizard_core.metrics import compare


def test_depth_scores_of_hand_worked_metres():
    prediction = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    truth = torch.tensor([[[1.0, 2.0], [4.0, 2.0]]])
    scores = compare.compare_depth(prediction, truth)
    assert scores == {
        "rmse_m": pytest.approx(math.sqrt(5 / 4)),
        "abs_rel": pytest.approx((0.25 + 1) / 4),
        "delta_1": pytest.approx(0.5),
    }
    valid = torch.tensor([[[True, True], [True, False]]])
    assert compare.compare_depth(prediction, truth, valid)["rmse_m"] == pytest.approx(
        math.sqrt(1 / 3)
    )


def test_aligned_depth_takes_each_picture_by_itself():
    truth = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0)) + 1
    prediction = truth * torch.tensor([2.0, 0.5]).view(2, 1, 1) + 3
    assert compare.compare_depth(prediction, truth, align=True)["rmse_m"] < 1e-6
    assert compare.compare_depth(prediction, truth)["rmse_m"] > 1
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[:, 0] = False
    prediction[:, 0] = 99
    assert compare.compare_depth(prediction, truth, valid, align=True)["rmse_m"] < 1e-6


def test_normals_a_right_angle_apart():
    prediction = torch.zeros(1, 3, 1, 2)
    truth = torch.zeros(1, 3, 1, 2)
    prediction[:, 0] = 1
    truth[0, 0, 0, 0] = truth[0, 1, 0, 1] = 1
    assert compare.compare_normals(prediction, truth) == {"mean_angle_deg": pytest.approx(45)}


def test_labels_and_masks():
    truth = torch.tensor([[[0, 0, 1, 1]]])
    scores = compare.compare_labels(torch.tensor([[[0, 1, 1, 1]]]), truth, 5)
    assert scores == {"miou": pytest.approx((1 / 2 + 2 / 3) / 2), "pixel_accuracy": 0.75}
    seen = torch.tensor([[[True, False, True, True]]])
    assert compare.compare_labels(torch.tensor([[[0, 1, 1, 1]]]), truth, 5, seen)["miou"] == 1
    both = compare.compare_masks(torch.tensor([[[1, 1, 0]], [[1, 0, 0]]]).bool(),
                                 torch.tensor([[[1, 0, 0]], [[1, 0, 0]]]).bool())  # fmt: skip
    assert both == {"ciou": pytest.approx(2 / 3), "miou": pytest.approx(0.75)}


def test_pictures_that_are_the_same_and_that_are_not():
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    same = compare.compare_pictures(picture, picture)
    assert same == {"psnr_db": math.inf, "ssim": pytest.approx(1), "l1": 0, "rmse": 0}
    lighter = compare.compare_pictures(picture + 0.1, picture)
    assert lighter["psnr_db"] == pytest.approx(20, abs=1e-3)
    assert lighter["l1"] == pytest.approx(0.1)
    changed = picture.clone()
    changed[..., :4] = 1
    valid = torch.ones(1, 16, 16)
    valid[..., :4] = 0
    assert compare.compare_pictures(changed, picture, valid)["l1"] == 0


def test_boxes_are_matched_best_first():
    truth = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 40]])
    prediction = torch.tensor([[20.0, 20, 30, 30], [0, 0, 10, 10], [50, 50, 60, 60]])
    assert compare.compare_boxes([prediction], [truth]) == {
        "box_iou": pytest.approx(0.75),
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
    }
    assert compare.compare_boxes([prediction[:1]], [truth])["box_iou"] == pytest.approx(0.25)


def test_no_boxes_where_there_are_none_is_no_score():
    none, one = torch.zeros(0, 4), torch.tensor([[0.0, 0, 4, 4]])
    assert all(math.isnan(score) for score in compare.compare_boxes([none], [none]).values())
    assert compare.compare_boxes([none], [one]) == {"box_iou": 0, "precision": 0, "recall": 0}
    assert compare.compare_boxes([one], [none]) == {"box_iou": 0, "precision": 0, "recall": 0}


def test_edges_one_pixel_off_still_count():
    truth = torch.zeros(1, 9, 9, dtype=torch.bool)
    truth[:, 4] = True
    assert compare.compare_edges(truth.roll(1, 1), truth) == {"edge_f1": 1.0}
    assert compare.compare_edges(truth.roll(1, 1), truth, 0) == {"edge_f1": 0.0}


def test_boxes_are_matched_within_their_picture():
    left, right = torch.tensor([[0, 0, 4, 4]]), torch.tensor([[8, 8, 12, 12]])
    both = compare.compare_boxes([left, right], [left, right])
    assert both == {"box_iou": 1, "precision": 1, "recall": 1}
    crossed = compare.compare_boxes([left, right], [right, left])
    assert crossed == {"box_iou": 0, "precision": 0, "recall": 0}
    half = {"box_iou": 0.5, "precision": 0.5, "recall": 0.5}
    assert compare.compare_boxes([left, right], [left]) == half


def test_boxes_of_other_numbers_of_pictures_are_refused():
    one = torch.zeros(0, 4)
    with pytest.raises(DecodeError, match="boxes of 2 pictures"):
        compare.compare_boxes([one, one], [one] * 3)
