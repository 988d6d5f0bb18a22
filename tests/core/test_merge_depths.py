"""Several runs, one depth."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.decode.merge import merge_depths
from pixwizard_core.errors import DecodeError


def truth(height=60, width=80):
    yy = torch.linspace(0, 1, height)[:, None]
    xx = torch.linspace(0, 1, width)[None]
    return 0.2 + 0.5 * yy + 0.1 * (6 * xx).sin()


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def test_runs_that_differ_in_scale_and_shift_agree_after_merging():
    runs = torch.stack([truth(), 0.6 * truth() + 0.2, 1.3 * truth() - 0.1])
    merged = merge_depths(runs)
    assert float((merged.aligned - merged.aligned[0]).abs().max()) < 1e-5
    assert float(merged.uncertainty.max()) < 1e-5
    assert correlation(merged.depth, truth()) > 0.99999


def test_merged_depth_keeps_the_level_and_spread_of_its_runs():
    runs = torch.stack([truth(), 0.5 * truth() + 0.3, 0.8 * truth()])
    merged = merge_depths(runs).depth
    assert float(merged.mean()) == pytest.approx(float(runs.mean()), abs=1e-5)
    assert float(merged.std()) == pytest.approx(float(truth().std()) * 2.3 / 3, rel=1e-4)


def test_merging_lowers_the_error_and_one_wrong_patch_does_not_show():
    generator = torch.Generator().manual_seed(0)
    noise = 0.05 * torch.randn(7, 60, 80, generator=generator)
    scale = 0.7 + 0.6 * torch.rand(7, 1, 1, generator=generator)
    runs = scale * (truth() + noise)
    runs[2, 10:25, 10:30] = 1.0
    merged = merge_depths(runs)
    assert correlation(merged.depth, truth()) > correlation(runs[0], truth())
    assert correlation(merged.depth, truth()) > 0.985
    # the six good runs alone give the same scale for the seventh
    rest = merged.aligned[2, 30:] - merged.depth[30:]
    assert abs(float(rest.mean())) < 0.01


def test_uncertainty_is_where_the_runs_differ():
    runs = truth().repeat(4, 1, 1)
    runs[::2, :, 60:] += 0.2
    uncertain = merge_depths(runs, align=False).uncertainty
    assert float(uncertain[:, :60].max()) == 0
    assert float(uncertain[:, 60:].mean()) == pytest.approx(0.1 * 1.4826, rel=1e-4)


def test_one_run_comes_back_unchanged():
    merged = merge_depths(truth()[None])
    assert torch.equal(merged.depth, truth())
    assert not merged.uncertainty.any()


def test_without_alignment_it_is_the_plain_median():
    runs = torch.tensor([0.1, 0.9, 0.3, 0.5]).view(4, 1, 1).expand(4, 2, 2)
    assert merge_depths(runs, align=False).depth.tolist() == [[pytest.approx(0.4)] * 2] * 2


def test_flat_runs_do_no_harm():
    assert torch.isfinite(merge_depths(torch.full((3, 5, 5), 0.4)).depth).all()
    runs = torch.stack([truth(), truth(), torch.full((60, 80), 0.4)])
    assert correlation(merge_depths(runs).depth, truth()) > 0.999


@pytest.mark.parametrize("wrong", [torch.zeros(0, 4, 4), torch.zeros(4, 4)])
def test_what_is_no_stack_of_maps_is_refused(wrong):
    with pytest.raises(DecodeError, match="N, H, W"):
        merge_depths(wrong)


def test_unfinite_depth_is_refused():
    with pytest.raises(DecodeError, match="not finite"):
        merge_depths(torch.full((2, 3, 3), float("nan")))
