"""Levels of speed, and what they save."""

import json
from dataclasses import replace

import pytest

from pixwizard_core.bundle import load_tiny
from pixwizard_core.cli import entry
from pixwizard_core.cli import run as cli_run
from pixwizard_core.errors import SamplingError
from pixwizard_core.evaluation import savings
from pixwizard_core.evaluation.savings import Cost
from pixwizard_core.evaluation.scoring import Plan, score_task
from pixwizard_core.generate import SampleSettings
from pixwizard_core.presets import SPEEDS, with_speed
from pixwizard_core.sampling import needed_branches
from tests.support.bundles import write_bundle


def evaluations(settings: SampleSettings) -> int:
    return settings.steps * len(needed_branches(settings.w_text, settings.w_image))


def test_fast_takes_at_most_a_quarter_of_the_reference():
    counts = {name: evaluations(with_speed(SampleSettings(), name)) for name in SPEEDS}
    assert counts == {"fast": 28, "balanced": 58, "reference": 118}
    assert 4 * counts["fast"] <= counts["reference"]


def test_speed_keeps_guidance_and_refuses_other_names():
    settings = with_speed(SampleSettings(steps=3, w_text=2.5, shift=4.0), "fast")
    assert (settings.w_text, settings.shift) == (2.5, 1.0)
    with pytest.raises(SamplingError, match=r"'quick' is unknown; choose one of: fast, balanced"):
        with_speed(SampleSettings(), "quick")


def test_run_takes_a_speed_and_lets_single_settings_win():
    line = ["run", "a.png", "--task", "depth", "--speed", "fast", "--shift", "2"]
    arguments = entry._parser().parse_args(line)
    settings = cli_run._settings(arguments, SampleSettings(steps=1, w_text=1.0))
    assert (settings.steps, settings.shift, settings.w_text) == (14, 2.0, 1.0)


@pytest.mark.parametrize(
    ("score", "value", "reference", "loss"),
    [("rmse", 0.06, 0.05, 20), ("iou", 0.6, 0.75, 20), ("iou", 0.9, 0.75, -20), ("f1", 1, 0, 0)],
)
def test_loss_is_positive_when_worse(score, value, reference, loss):
    assert savings.loss_percent(score, value, reference) == pytest.approx(loss)


def test_study_counts_the_evaluations_of_each_way(monkeypatch, tmp_path):
    few = (
        "reference", "fast", "euler 2", "heun 4", "guided, reference", "guided, fast",
        "guided in 0–0.5",
    )  # fmt: skip
    every = savings.ways
    monkeypatch.setattr(savings, "REFERENCE_STEPS", 4)
    monkeypatch.setattr(
        savings,
        "ways",
        lambda guided, levels: {k: v for k, v in every(guided, levels).items() if k in few},
    )
    bundle, plan = load_tiny(write_bundle(tmp_path)), Plan(count=3, batch=2)
    (found,) = savings.study(bundle, plan, ["depth"])
    assert {label: cost.evaluations for label, cost in found.costs.items()} == {
        "reference": 4,
        "fast": 14,
        "euler 2": 2,
        "heun 4": 8,
        "guided, reference": 8,
        "guided, fast": 28,
        "guided in 0–0.5": 7,  # times 0, 0.25 and 0.5 with two branches, 0.75 with one
    }
    assert found.costs["reference"].loss == found.costs["guided, reference"].loss == 0
    table = savings.savings_table([found])
    assert "| depth | rmse | " in table
    assert "| evaluations | | 4 | 14 | 2 | 8 | 8 | 28 | 7 |" in table
    (written,) = json.loads(savings.savings_json([found]))
    assert written["costs"]["fast"]["evaluations"] == 14


def test_study_paints_what_the_pipeline_does(tmp_path):
    """Conditions are encoded once for all ways; that must not change a score."""
    bundle, plan = load_tiny(write_bundle(tmp_path)), Plan(count=2, phrasings=("seen",), wide=0)
    (found,) = savings.study(bundle, plan, ["depth"], levels=True)
    settings = with_speed(bundle.settings_of("depth"), "fast")
    wanted = score_task(bundle, "depth", replace(plan, settings=settings)).answers["seen"]["rmse"]
    assert found.costs["fast"].score == pytest.approx(wanted, abs=1e-6)


def test_verdict_names_the_tasks_that_lose():
    def saving(task, loss):
        costs = {"reference": Cost(1.0, 59, 0.0), "fast": Cost(1 - loss / 100, 14, loss)}
        return savings.Saving(task, "iou", costs)

    found = [saving("mask", 2.5), saving("box", 1.5), saving("depth", -3.0)]
    assert savings.verdict(found, "fast") == (
        "fast stays within 2 % in 2 of 3 tasks; not in: mask (+2.5 %)."
    )
    assert savings.verdict(found, "reference") == ""
