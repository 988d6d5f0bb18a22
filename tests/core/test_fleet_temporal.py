"""Frames after one another: warm starts, and how flicker is measured."""

import math

import pytest
import torch

from pixwizard_core import cli
from pixwizard_core.canvas import plan
from pixwizard_core.errors import SamplingError
from pixwizard_core.evaluation import films
from pixwizard_core.fleet.forward import RememberedTexts, paint_frame
from pixwizard_core.generate import Start
from pixwizard_core.metrics.flicker import flicker, static_regions
from pixwizard_core.pipeline import Request, run
from pixwizard_core.world.motion import moving_scene
from tests.support.tiny import tiny_bundle


def film(*values: float, side: int = 12) -> torch.Tensor:
    return torch.stack([torch.full((3, side, side), value) for value in values])


def test_flicker_is_the_mean_change_in_grey_steps():
    static = torch.ones(2, 12, 12, dtype=torch.bool)
    assert flicker(film(0.0, 10 / 255, 0.0), static) == pytest.approx(10)


def test_flicker_looks_at_static_parts_only():
    frames, answers = film(0.5, 0.5), film(0.0, 0.0)
    frames[1, :, :, 0] = 1
    answers[1, :, :, :3] = 1  # the changed column and two beside it
    static = static_regions(frames)
    assert static.shape == (1, 12, 12)
    assert static[0, 0].tolist() == [False] * 3 + [True] * 9
    assert flicker(answers, static) == 0
    assert math.isnan(flicker(answers, torch.zeros_like(static)))


@pytest.fixture(scope="module")
def bundle():
    return tiny_bundle()


def painted(bundle, seed=1, start=None, shade=0.3):
    image = torch.full((1, 3, 64, 64), shade)
    settings = bundle.settings_of("depth")
    return paint_frame(bundle, plan(64, 64, (64,)), image, "Depth.", seed, settings, start)


def test_warm_start_lies_between_noise_and_the_previous_result(bundle):
    """The nearer to the previous result, the less is left to change."""
    _, before = painted(bundle, seed=2, shade=0.9)
    apart = [float((painted(bundle, 1, Start(time, before))[1] - before).abs().mean())
             for time in (0.0, 0.5, 0.9)]  # fmt: skip
    assert apart[0] > apart[1] > apart[2]


def test_start_at_no_time_is_that_of_noise_alone(bundle):
    cold, latent = painted(bundle)
    assert torch.equal(cold, painted(bundle, start=Start(0.0, latent))[0])


def test_frame_is_what_the_pipeline_paints(bundle):
    """Frames and single pictures take one way through the model."""
    image = torch.full((1, 3, 64, 64), 0.3)
    request = Request(image, "Depth.", [1], bundle.settings_of("depth"), centre=64)
    assert torch.equal(painted(bundle)[0], run(bundle, request).image_01)


def test_frame_that_breaks_down_is_refused(bundle):
    broken = Start(0.5, torch.full((1, 4, 8, 8), math.inf))
    with pytest.raises(SamplingError, match="numbers that are not finite"):
        painted(bundle, start=broken)


def test_remembered_texts_refuse_lengths_that_would_pad(bundle):
    texts = RememberedTexts(bundle.text)
    assert texts.encode(["a", "a"]).text.shape[0] == 2
    with pytest.raises(ValueError, match="different lengths"):
        texts.encode(["a", " ".join(["several words and more of them"] * 5)])


def test_moving_scene_moves_one_thing_before_a_still_room():
    views = moving_scene(0, 3, 64, 64)
    static = static_regions(views.rgb)
    assert 0.5 < float(static.float().mean()) < 1
    assert not torch.equal(views.rgb[0], views.rgb[2])


def test_the_right_answers_have_no_error_and_no_flicker():
    views = moving_scene(0, 3, 64, 64)
    depth = views.depth_01[:, None].expand(-1, 3, -1, -1)
    assert films.frame_error("depth", depth, views) == pytest.approx(0, abs=1e-6)
    assert flicker(depth, static_regions(views.rgb)) == pytest.approx(0, abs=0.5)


def test_evaluate_prints_flicker(bundle, capsys, monkeypatch):
    from pixwizard_core.cli import models as cli_models

    monkeypatch.setattr(cli_models, "load_small", lambda folder, device: bundle)
    monkeypatch.setattr(films, "WAYS", {"independent": None, "warm 0.5": 0.5})
    words = ["evaluate", "films", "--frames", "2", "--count", "1", "--tasks", "depth"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("Asked as: depth “Estimate the depth map of this picture.”\n")
    assert "| depth | 2 | independent |" in out
    assert "| depth | 2 | warm 0.5 |" in out
    assert cli.main([*words, "--phrasing", "3"]) == 0
    assert capsys.readouterr().out.startswith("Asked as: depth “Draw the depth of the scene.”\n")
    assert cli.main(["evaluate", "films", "--frames", "1"]) == 2
    assert cli.main(["evaluate", "films", "--tasks", "mask"]) == 2


def test_temporal_options_are_checked(tmp_path, capsys):
    base = ["batch", str(tmp_path), "--task", "depth"]
    assert cli.main([*base, "--temporal", "1"]) == 2
    assert cli.main([*base, "--temporal", "0.5", "--batch", "2"]) == 2
    err = capsys.readouterr().err
    assert "from 0 to below 1. Got: 1.0" in err
    assert "leave --batch at 1" in err
