"""Grey answers to depth, and depth to numbers and colours."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.decode.depth import COLOUR_MAPS, colourise, decode_depth, normalise, to_metres
from pixwizard_core.errors import DecodeError


def test_depth_is_the_mean_of_the_channels():
    image = torch.tensor([0.0, 0.3, 0.9]).view(1, 3, 1, 1).expand(2, 3, 2, 4)
    depth = decode_depth(image)
    torch.testing.assert_close(depth, torch.full((2, 2, 4), 0.4))
    torch.testing.assert_close(decode_depth(image, "black"), torch.full((2, 2, 4), 0.6))


def test_depth_is_float32_and_keeps_small_steps():
    image = torch.linspace(0, 1, 4096).view(1, 1, 64, 64).expand(1, 3, -1, -1)
    assert decode_depth(image).unique().numel() == 4096
    assert decode_depth(image.bfloat16()).dtype == torch.float32


def test_metres_undo_the_linear_map():
    depth = torch.tensor([1.0, 0.25, 0.0])
    assert to_metres(depth).tolist() == [0.0, 7.5, 10.0]
    assert to_metres(depth, 2, 6, white_is_near=False).tolist() == [6.0, 3.0, 2.0]
    with pytest.raises(DecodeError, match=r"near must be below far. Got: 6 and 2"):
        to_metres(depth, 6, 2)


def test_normalise_by_image_and_by_batch():
    depth = torch.tensor([[[0.2, 0.4]], [[0.4, 0.6]]])
    torch.testing.assert_close(normalise(depth, "image"), torch.tensor([[[0.0, 1]], [[0, 1]]]))
    torch.testing.assert_close(normalise(depth, "batch"), torch.tensor([[[0.0, 0.5]], [[0.5, 1]]]))


def test_normalise_fixed_and_none():
    depth = torch.tensor([[[0.2, 0.5, 0.9]]])
    wanted = torch.tensor([[[0.0, 0.5, 1.0]]])
    torch.testing.assert_close(normalise(depth, "fixed", low=0.3, high=0.7), wanted)
    assert normalise(depth, "none") is depth


def test_normalise_ignores_percentiles():
    depth = torch.arange(101.0).view(1, 1, 101)
    stretched = normalise(depth, percentiles=(10, 90))
    assert stretched[0, 0, [5, 10, 50, 90, 95]].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_normalise_flat_picture_is_zero():
    assert not normalise(torch.full((2, 3, 3), 0.7)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "frame"}, "one of none, image, batch, fixed. Got: 'frame'"),
        ({"mode": "fixed", "low": 1, "high": 1}, "low must be below high"),
        ({"percentiles": (50, 20)}, "percentiles must rise within 0 to 100. Got: 50 and 20"),
    ],
    ids=["mode", "range", "percentiles"],
)
def test_normalise_refuses(arguments, message):
    with pytest.raises(DecodeError, match=message):
        normalise(torch.rand(1, 2, 2), **arguments)


def test_colour_map_ends_and_middle():
    values = torch.tensor([[[0.0, 0.5, 1.0]]])
    colours = (colourise(values, "spectral_r")[0, :, 0].T * 255).round().int().tolist()
    assert colours == [[94, 79, 162], [255, 255, 191], [158, 1, 66]]
    assert colourise(torch.tensor([[[0.25]]]), "grey").flatten().tolist() == [0.25] * 3


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colour_maps_are_continuous_and_distinct(name):
    ramp = torch.linspace(0, 1, 1001).view(1, 1, -1)
    colours = colourise(ramp, name)
    assert colours.shape == (1, 3, 1, 1001)
    steps = colours.diff(dim=-1).abs().amax(1)
    assert steps.min() > 0
    assert steps.max() < 0.01


@pytest.mark.parametrize("name", [name for name in COLOUR_MAPS if not name.endswith("_r")])
def test_reversed_colour_map_runs_backwards(name):
    ramp = torch.linspace(0, 1, 65).view(1, 1, -1)  # steps of 1/64, so 1 - ramp is exact
    torch.testing.assert_close(colourise(1 - ramp, f"{name}_r"), colourise(ramp, name))


def test_unknown_colour_map():
    with pytest.raises(
        DecodeError, match="unknown colour map 'jet'; choose one of: grey, spectral"
    ):
        colourise(torch.rand(1, 2, 2), "jet")
