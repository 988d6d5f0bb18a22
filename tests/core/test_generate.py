"""Sampling around the model: seeds, branches, intervals, failure."""

import dataclasses

import pytest
import torch

from pixwizard_core.errors import SamplingError
from pixwizard_core.generate import (
    GuidedVelocity,
    SampleSettings,
    Start,
    evaluations,
    initial_noise,
    sample,
)
from tests.support.tiny import tiny_condition, tiny_model

SHORT = SampleSettings(steps=3, proportional=False)


def pair(rows: int = 1, seed: int = 0):
    return tiny_condition(rows, seed), tiny_condition(rows, seed + 100, text=3)


def test_same_seed_same_latent_inside_a_batch():
    model = tiny_model()
    full, empty = pair(2)
    noise = initial_noise((4, 6, 8), [5, 9])
    for tokens in ("topk", "gumbel"):
        settings = dataclasses.replace(SHORT, tokens=tokens, w_image=1.5)
        both = sample(model, full, empty, noise, settings, seeds=[5, 9])
        second = [condition.rows(slice(1, None)) for condition in (full, empty)]
        alone = sample(model, *second, noise[1:], settings, seeds=[9])
        assert torch.allclose(both[1:], alone, atol=1e-4)


def test_noise_row_depends_on_its_own_seed():
    assert torch.equal(initial_noise((4, 2, 2), [3, 7])[1], initial_noise((4, 2, 2), [7])[0])


@pytest.mark.parametrize(("scales", "runs"), [((4, 1), 2), ((3, 3), 2), ((1, 1), 1), ((4, 1.5), 3)])
def test_model_runs_per_step(scales, runs):
    model, calls = tiny_model(), []
    velocity = model.velocity
    model.velocity = lambda *args, **kw: calls.append(1) or velocity(*args, **kw)
    full, empty = pair()
    settings = dataclasses.replace(SHORT, w_text=scales[0], w_image=scales[1])
    sample(model, full, empty, initial_noise((4, 6, 8), [0]), settings, seeds=[0])
    assert len(calls) == 3 * runs


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"steps": 4}, 8),
        ({"steps": 4, "w_text": 1.0}, 4),
        ({"steps": 4, "w_image": 1.5}, 12),
        ({"steps": 3, "solver": "heun"}, 12),
        ({"steps": 2, "solver": "rk4"}, 16),
        ({"steps": 4, "interval": (0.0, 0.5)}, 7),  # two branches at 0, 0.25 and 0.5, one at 0.75
    ],
)
def test_evaluations_are_those_that_sampling_makes(values, count):
    settings, model, calls = dataclasses.replace(SHORT, **values), tiny_model(), []
    velocity = model.velocity
    model.velocity = lambda *args, **kw: calls.append(1) or velocity(*args, **kw)
    sample(model, *pair(), initial_noise((4, 6, 8), [0]), settings, seeds=[0])
    assert evaluations(settings) == len(calls) == count


def test_evaluations_of_dopri5_cannot_be_told():
    with pytest.raises(ValueError, match="dopri5 chooses its own steps"):
        evaluations(dataclasses.replace(SHORT, solver="dopri5"))


def test_start_begins_between_noise_and_an_earlier_latent():
    """By hand: two of the four steps are left, from the middle of the straight way."""
    model, (full, empty) = tiny_model(), pair()
    noise, before = initial_noise((4, 6, 8), [0, 1]).split(1)
    settings = dataclasses.replace(SHORT, steps=4)
    velocity = GuidedVelocity(model, full, empty, noise, settings, [0])
    x = (noise + before) / 2
    for t in (0.5, 0.75):
        x = x + velocity(x, t) / 4
    found = sample(model, full, empty, noise, settings, seeds=[0], start=Start(0.5, before))
    assert torch.allclose(found, x, atol=1e-5)


def test_outside_the_interval_only_the_full_branch_runs():
    model = tiny_model()
    full, empty = pair()
    noise = initial_noise((4, 6, 8), [0])
    settings = dataclasses.replace(SHORT, interval=(0.5, 1.0))
    velocity = GuidedVelocity(model, full, empty, noise, settings, [0])
    unguided = GuidedVelocity(
        model, full, empty, noise, dataclasses.replace(SHORT, w_text=1.0), [0]
    )
    assert torch.equal(velocity(noise, 0.2), unguided(noise, 0.2))
    assert not torch.allclose(velocity(noise, 0.7), unguided(noise, 0.7))


def test_gumbel_draws_anew_at_each_evaluation():
    model = tiny_model()
    full, empty = pair()
    noise = initial_noise((4, 6, 8), [0])
    drawing = GuidedVelocity(
        model, full, empty, noise, dataclasses.replace(SHORT, tokens="gumbel"), [0]
    )
    assert not torch.equal(drawing(noise, 0.5), drawing(noise, 0.5))
    fixed = GuidedVelocity(model, full, empty, noise, SHORT, [0])
    assert torch.equal(fixed(noise, 0.5), fixed(noise, 0.5))


def test_stopping_from_the_step_callback():
    model = tiny_model()
    full, empty = pair()
    steps = []

    def stop(index, latent):
        steps.append(index)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(model, full, empty, initial_noise((4, 6, 8), [0]), SHORT, seeds=[0], on_step=stop)
    assert steps == [0]


def test_infinite_weights_end_in_an_explanation():
    model = tiny_model()
    model.final_layer.linear.bias.data.fill_(float("inf"))
    full, empty = pair()
    with pytest.raises(SamplingError, match=r"not finite.*bfloat16 or float32"):
        sample(model, full, empty, initial_noise((4, 6, 8), [0]), SHORT, seeds=[0])


def test_settings_refuse_unknown_choices():
    with pytest.raises(SamplingError, match="solver 'warp' is unknown; choose one of"):
        SampleSettings(solver="warp")
    with pytest.raises(SamplingError, match="token selection 'best' is unknown"):
        SampleSettings(tokens="best")
    with pytest.raises(SamplingError, match=r"guidance interval must lie in 0..1"):
        SampleSettings(interval=(0.8, 0.2))
