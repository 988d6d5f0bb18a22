"""Fréchet distance and Inception Score against closed forms, in running sums."""

import math

import pytest
import torch

from pixwizard_core.evaluation.frechet import FeatureSums, ScoreSums, frechet_distance
from pixwizard_core.evaluation.set_measures import part_of


def of(rows):
    rows = torch.as_tensor(rows, dtype=torch.float64)
    sums = FeatureSums.empty(rows.shape[1])
    sums.add(rows)
    return sums


def cross(mean, spread):
    """Four points of this mean whose covariance is diagonal: spread² * 2/3 in each direction."""
    (x, y), (a, b) = mean, spread
    return [[x - a, y], [x + a, y], [x, y - b], [x, y + b]]


def test_feature_sums_have_the_mean_and_covariance_of_their_rows():
    sums = of(cross((1, -2), (3, 6)))
    assert sums.mean.tolist() == [1, -2]
    assert torch.allclose(sums.covariance, torch.tensor([[6.0, 0], [0, 24]], dtype=torch.float64))


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    # |m|² = 3² + 4² = 25; covariances diag(6, 24) and diag(24, 6):
    # (√6 - √24)² + (√24 - √6)² = 2 * 6 = 12
    one, other = of(cross((0, 0), (3, 6))), of(cross((3, 4), (6, 3)))
    assert frechet_distance(one, other) == pytest.approx(37)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_turned_gaussians_depends_on_both():
    # Equal spreads, turned by 45 degrees against each other: C1 = diag(6, 24) and the turned one.
    turn = torch.tensor([[1.0, -1], [1, 1]], dtype=torch.float64) / math.sqrt(2)
    rows = torch.tensor(cross((0, 0), (3, 6)), dtype=torch.float64)
    one, other = of(rows), of(rows @ turn.T)
    c1, c2 = one.covariance, other.covariance
    root = torch.linalg.cholesky(c1)
    inner = torch.linalg.eigvalsh(root.T @ c2 @ root).sqrt().sum()
    assert frechet_distance(one, other) == pytest.approx(float(60 - 2 * inner))


def test_frechet_distance_needs_two_of_each():
    assert math.isnan(frechet_distance(of([[1.0, 2]]), of(cross((0, 0), (1, 1)))))


def test_feature_sums_do_not_depend_on_how_rows_are_dealt_out():
    rows = torch.randn(40, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole, dealt = of(rows), FeatureSums.empty(8)
    for part in rows.split(7):
        dealt.add(part)
    assert dealt.count == whole.count == 40
    assert torch.allclose(dealt.covariance, whole.covariance, rtol=1e-12, atol=1e-12)


def scored(logits, parts=1):
    sums = ScoreSums.empty(logits.shape[1], parts)
    places = torch.arange(len(logits)) * parts // len(logits)
    sums.add(logits, places)
    return sums.score()


def test_inception_score_of_undecided_pictures_is_one():
    assert scored(torch.zeros(6, 5)) == (pytest.approx(1), 0)


def test_inception_score_of_sure_and_even_pictures_is_the_number_of_classes():
    assert scored(100 * torch.eye(5))[0] == pytest.approx(5)


def test_inception_score_averages_its_parts():
    logits = torch.cat([100 * torch.eye(4), torch.zeros(4, 4)])
    mean, spread = scored(logits, 2)  # 4 in the first part, 1 in the second
    assert mean == pytest.approx(2.5)
    assert spread == pytest.approx(1.5)


@pytest.mark.parametrize("total", [10, 24, 37, 5000])
def test_parts_of_a_set_begin_where_those_of_torch_fidelity_do(total):
    parts = part_of(torch.arange(total), total)
    begins = [(parts == part).nonzero()[0].item() for part in range(10)]
    assert begins == [part * total // 10 for part in range(10)]


def test_inception_score_of_nothing_is_no_number():
    assert math.isnan(ScoreSums.empty(3, 2).score()[0])
