"""Time grids, guidance and solvers on problems with known answers."""

import math

import pytest
import torch

from pixwizard_core.errors import SamplingError
from pixwizard_core.sampling import SOLVERS, combine, dopri5, needed_branches, times


def decay(x, t):
    return -x


def forced(x, t):
    """dx/dt = x cos(t), solved by exp(sin t): depends on time, so that stage times matter."""
    return x * math.cos(t)


def test_times_by_hand():
    assert times(4).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    # shift 4 at t = 0.5: 0.5 / (0.5 + 4 - 2) = 0.2
    assert times(2, 4.0).tolist() == pytest.approx([0.0, 0.2, 1.0])
    assert times(1).dtype == torch.float64


def test_times_refuses_nonsense():
    with pytest.raises(SamplingError, match=r"steps must be at least 1. Got: 0"):
        times(0)
    with pytest.raises(SamplingError, match="time shift must be above 0"):
        times(4, 0.0)


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]
)
def test_order_of_convergence(name, order):
    start = torch.ones(1, dtype=torch.float64)
    errors = [
        abs(float(SOLVERS[name](forced, start, times(n))) - math.exp(math.sin(1.0)))
        for n in (32, 64)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    ("name", "calls"), [("euler", 5), ("midpoint", 10), ("heun", 10), ("rk4", 20)]
)
def test_evaluations_and_step_reports(name, calls):
    asked, reported = [], []

    def velocity(x, t):
        asked.append(t)
        return torch.zeros_like(x)

    SOLVERS[name](velocity, torch.zeros(1), times(5), lambda i, x: reported.append(i))
    assert len(asked) == calls
    assert reported == [0, 1, 2, 3, 4]
    assert min(asked) >= 0.0
    assert max(asked) <= 1.0


def test_straight_flow_is_exact_in_one_step():
    image, noise = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    for solver in SOLVERS.values():
        out = solver(lambda x, t: image - noise, noise, times(1))
        assert torch.allclose(out, image, atol=1e-5)


def test_dopri5_meets_its_tolerance_and_reports_inner_times():
    seen = {}
    start = torch.ones(3, dtype=torch.float64)
    grid = times(4)
    end = dopri5(
        forced, start, grid, lambda i, x: seen.update({i: float(x[0])}), atol=1e-9, rtol=1e-9
    )
    assert float(end[0]) == pytest.approx(math.exp(math.sin(1.0)), abs=1e-7)
    for index, t in enumerate(grid.tolist()[1:]):
        assert seen[index] == pytest.approx(math.exp(math.sin(t)), abs=1e-6)


def test_dopri5_gives_up_with_a_message():
    with pytest.raises(SamplingError, match="dopri5 stopped at t = "):
        dopri5(lambda x, t: x * float("nan"), torch.ones(1), times(1))


@pytest.mark.parametrize(
    ("w_text", "w_image", "names"),
    [
        (4, 1, ("full", "image_only")),
        (3, 3, ("full", "none")),
        (1, 1, ("full",)),
        (4, 1.5, ("full", "image_only", "none")),
        (0, 1.5, ("full", "image_only", "none")),  # the unguided channel still needs it
    ],
)
def test_branches_that_cancel_are_not_run(w_text, w_image, names):
    assert needed_branches(w_text, w_image) == names


def test_full_branch_is_dropped_only_when_all_channels_are_guided():
    assert needed_branches(0, 1.5, all_channels=True) == ("image_only", "none")


def test_combine_by_hand():
    branches = {
        name: torch.full((1, 4, 1, 1), v)
        for name, v in [("full", 5.0), ("image_only", 2.0), ("none", 1.0)]
    }
    # 1 + 1.5 (2 - 1) + 4 (5 - 2) = 14.5; the fourth channel is the full branch's
    assert combine(branches, 4.0, 1.5).flatten().tolist() == [14.5, 14.5, 14.5, 5.0]
    assert combine(branches, 4.0, 1.5, all_channels=True).flatten().tolist() == [14.5] * 4


def test_combine_alone_is_the_branch_itself():
    full = torch.randn(1, 4, 2, 2)
    assert torch.equal(combine({"full": full}, 1.0, 1.0), full)
