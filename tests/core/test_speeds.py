"""Levels of speed, and what they save."""

from dataclasses import replace

import pytest

from pixwizard_core.bundle import load_tiny
from pixwizard_core.errors import PixWizardError, SamplingError
from pixwizard_core.evaluation import sampler_study
from pixwizard_core.evaluation import variations as variations_module
from pixwizard_core.evaluation.sampler_study import StudyRow
from pixwizard_core.evaluation.scoring import ScoringPlan, score_task
from pixwizard_core.evaluation.variations import variations
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


@pytest.mark.parametrize(
    ("score", "value", "reference", "loss"),
    [("rmse", 0.06, 0.05, 20), ("iou", 0.6, 0.75, 20), ("iou", 0.9, 0.75, -20), ("f1", 1, 0, 0)],
)
def test_loss_is_positive_when_worse(score, value, reference, loss):
    assert sampler_study.loss_percent(score, value, reference) == pytest.approx(loss)


def test_variations_change_one_thing_at_a_time():
    own = SampleSettings(steps=3, w_text=2.0)
    labels = [one.label for one in variations(image_tokens=144)]
    assert len(set(labels)) == len(labels)
    (_, base, *levels) = variations(["speed"])
    assert [(one.label, one.base) for one in levels] == [
        ("fast", "reference"), ("balanced", "reference"),
    ]  # fmt: skip
    assert base.change(own) == replace(own, steps=59, solver="euler")
    (_, base, *levels) = variations(["guided"])
    assert base.change(own) == replace(own, steps=59, solver="euler", w_text=3.0)
    assert levels[0].change(own) == replace(own, steps=14, w_text=3.0)
    kept = variations(["tokens"], image_tokens=144)[-4:]
    assert [one.change(own).kept for one in kept] == [16, 32, 64, 144]


def test_unknown_kind_of_settings_is_refused():
    with pytest.raises(PixWizardError, match=r"no kind 'colour' of settings; choose from: speed"):
        variations(["speed", "colour"])


def test_study_counts_the_evaluations_of_each_way(monkeypatch, tmp_path):
    few = (
        "own settings", "reference", "fast", "2 steps", "heun, 4 steps", "guided, reference",
        "guided, fast", "guided in 0–0.5", "dopri5",
    )  # fmt: skip
    every = variations_module.variations
    monkeypatch.setattr(variations_module, "REFERENCE_STEPS", 4)
    monkeypatch.setattr(
        sampler_study,
        "variations",
        lambda kinds, tokens: [one for one in every(kinds, tokens) if one.label in few],
    )
    bundle, plan = load_tiny(write_bundle(tmp_path)), ScoringPlan(count=3, batch=2)
    kinds = ["speed", "guided", "steps", "solver", "interval"]
    (rows,) = sampler_study.study(bundle, plan, ["depth"], kinds)
    found = {row.change: row for row in rows}
    assert {label: row.evaluations for label, row in found.items()} == {
        "own settings": bundle.settings_of("depth").steps,
        "reference": 4,
        "guided, reference": 8,
        "fast": 14,
        "guided, fast": 28,
        "2 steps": 2,
        "heun, 4 steps": 8,
        "dopri5": None,  # it chooses its own steps
        "guided in 0–0.5": 7,  # times 0, 0.25 and 0.5 with two branches, 0.75 with one
    }
    assert found["reference"].loss == found["guided, reference"].loss == 0
    table = sampler_study.study_table(rows)
    assert table.startswith("| change | depth rmse | evaluations | s a picture |")
    assert f"| reference | {found['reference'].value:.3f} | 4 | " in table
    assert f"| dopri5 | {found['dopri5'].value:.3f} ({found['dopri5'].loss:+.1f} %) | – | " in table


def test_study_paints_what_the_pipeline_does(tmp_path):
    """Conditions are encoded once for all ways; that must not change a score."""
    bundle = load_tiny(write_bundle(tmp_path))
    plan = ScoringPlan(count=2, phrasings=("seen",), wide=0)
    (rows,) = sampler_study.study(bundle, plan, ["depth"], ["speed"])
    settings = with_speed(bundle.settings_of("depth"), "fast")
    wanted = score_task(bundle, "depth", replace(plan, settings=settings)).answers["seen"]["rmse"]
    (found,) = (row.value for row in rows if row.change == "fast")
    assert found == pytest.approx(wanted, abs=1e-6)


def rows_of(losses, kind="speed"):
    """Rows of tasks with the score 1 at the reference's way and a loss at the fast one."""
    for task, loss in losses.items():
        yield StudyRow(task, "iou", kind, "reference", "reference", 1.0, 0.0, 59, 0.5)
        yield StudyRow(task, "iou", kind, "fast", "reference", 1 - loss / 100, loss, 14, 0.1)


def test_verdict_names_the_tasks_that_lose():
    rows = [*rows_of({"mask": 2.5, "box": 1.5, "depth": -3.0})]
    assert sampler_study.verdict(rows, "fast") == (
        "fast stays within 2 % in 2 of 3 tasks; not in: mask (+2.5 %)."
    )
    assert sampler_study.verdict(rows, "reference") == ""
    assert sampler_study.verdict([*rows_of({"mask": 9.0}, "steps")], "fast") == ""


def test_study_table_puts_the_more_numerous_downwards():
    lines = sampler_study.study_table([*rows_of({"mask": 2.5, "box": 1.5, "depth": -3.0})])
    assert lines.splitlines()[:3] == [
        "| task | score | reference | fast |", "|---|---|---|---|",
        "| mask | iou | 1.000 | 0.975 (+2.5 %) |",
    ]  # fmt: skip
    assert "| evaluations |  | 59 | 14 |\n| s a picture |  | 0.50 | 0.10 |" in lines
