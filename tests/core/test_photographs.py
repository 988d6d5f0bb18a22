"""Photographs: which are trained on, how pieces are cut, and the tasks whose truth they hold."""

import dataclasses

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.baselines import trivial_answer
from pixwizard_core.evaluation.scorers import SCORERS
from pixwizard_core.tasks import TASKS
from pixwizard_core.world import photograph_tasks, photographs
from pixwizard_core.world.held_out import photographs_of
from pixwizard_core.world.photograph_tasks import PHOTOGRAPH_TASKS, photograph_mix, show
from pixwizard_core.world.photographs import HOLD_OUT, TRAIN, load, other_colours, pieces, window

pytest.importorskip("skimage")
pytest.importorskip("matplotlib")
FREE = {"CC0", "public domain"}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_photographs_are_free_and_six_or_more_are_held_out():
    listed = photographs.photographs()
    assert {row.licence for row in listed} == FREE
    assert {row.use for row in listed} == {TRAIN, HOLD_OUT}
    assert len({row.sha256 for row in listed}) == len({row.name for row in listed}) == len(listed)
    assert len(photographs.photographs(HOLD_OUT)) >= 6
    assert all(row.by for row in listed)


@pytest.mark.parametrize("row", photographs.photographs(), ids=lambda row: row.name)
def test_photographs_are_the_ones_of_the_list(row):
    picture = load(row)
    assert picture.shape[:2] == (1, 3)
    assert min(picture.shape[2:]) >= 128
    assert 0 <= picture.min() < picture.max() <= 1


def test_photograph_of_another_content_is_refused():
    row = dataclasses.replace(photographs.photographs()[0], sha256="0" * 64)
    with pytest.raises(PixWizardError, match=r"another picture at data/astronaut\.png"):
        load(row)


def test_photograph_of_a_missing_package_says_what_to_install():
    row = dataclasses.replace(photographs.photographs()[0], package="no_such_package")
    with pytest.raises(PixWizardError, match="pip install scikit-image matplotlib"):
        load(row)


def test_window_has_the_shape_and_stays_inside():
    picture = torch.arange(300 * 400.0).view(1, 1, 300, 400)
    assert torch.equal(window(picture, 1.0, (0.9999, 0.0, 0.0)), picture[..., :300, :300])
    small = window(picture, 0.5, (0.0, 0.9999, 0.9999))
    assert small.shape == (1, 1, 112, 224)
    assert torch.equal(small, picture[..., 188:, 176:])


def test_pieces_repeat_by_seed_and_differ_by_use():
    first = pieces(4, 64, 96, seeded(1))
    assert first.shape == (4, 3, 64, 96)
    assert torch.equal(first, pieces(4, 64, 96, seeded(1)))
    assert not torch.equal(first, pieces(4, 64, 96, seeded(1), use=HOLD_OUT))


def test_held_out_pieces_show_each_photograph_as_it_was_taken(monkeypatch):
    plain = tuple(torch.full((1, 3, 200, 200), level) for level in (0.25, 0.5, 0.75))
    monkeypatch.setattr(photographs, "_loaded", lambda use: plain)
    means = pieces(6, 16, 16, seeded(), use=HOLD_OUT).mean((1, 2, 3))
    assert means.tolist() == pytest.approx([0.25, 0.5, 0.75] * 2, abs=1e-5)


def test_other_colours_keep_some_pictures_and_change_others():
    given = torch.rand(64, 3, 8, 8, generator=seeded(2))
    result = other_colours(given, seeded(3))
    same = (result == given).flatten(1).all(1)
    assert 0.15 < same.float().mean() < 0.6
    assert 0 <= result.min() < result.max() <= 1


def test_photographs_show_only_tasks_of_the_table():
    assert set(PHOTOGRAPH_TASKS) <= set(TASKS)


@pytest.mark.parametrize("task", PHOTOGRAPH_TASKS)
def test_photograph_task_has_a_question_and_its_truth(task):
    given = pieces(3, 64, 80, seeded(4))
    shown = show(task, given, seeded(5))
    assert shown.inputs.shape == shown.targets.shape == given.shape
    for pictures in (shown.inputs, shown.targets):
        assert pictures.isfinite().all()
        assert 0 <= pictures.min() <= pictures.max() <= 1
    if task in photograph_tasks.LINE_TASKS:
        assert torch.equal(shown.inputs, given)
    else:
        assert torch.equal(shown.targets, given)
        assert (shown.inputs - given).abs().amax((1, 2, 3)).min() > 0.02
    again = show(task, given, seeded(5))
    assert torch.equal(again.inputs, shown.inputs)
    assert torch.equal(again.targets, shown.targets)


@pytest.mark.parametrize("task", ["inpaint", "outpaint"])
def test_photograph_holes_are_blank_and_the_rest_is_kept(task):
    given = pieces(4, 64, 64, seeded(6))
    shown = show(task, given, seeded(7))
    hole = shown.mask[:, None].expand_as(given)
    assert torch.equal(shown.inputs[~hole], given[~hole])
    assert set(shown.inputs[hole].unique().tolist()) <= {0.0, 1.0}


def test_lines_of_a_step_run_along_it():
    step = torch.zeros(1, 3, 128, 128)
    step[..., 64:] = 1
    for task in photograph_tasks.LINE_TASKS:
        drawn = show(task, step, seeded()).targets.mean(1)[0]
        dark = task in ("sketch", "lineart")
        lines = drawn < 0.5 if dark else drawn > 0.5
        columns = lines.any(0).nonzero()[:, 0]
        # Soft edges are wide where they are as strong as here; pencil shades the dark side.
        reach = {"hed": 5, "sketch": 8}.get(task, 3)
        assert 64 - reach <= columns.min() <= columns.max() < 64 + reach, task
        assert lines[:, 63:65].any(1).all(), task


def test_photographs_do_not_show_what_they_do_not_hold():
    with pytest.raises(ValueError, match="cannot show task 'depth'"):
        show("depth", torch.zeros(1, 3, 32, 32), seeded())


def test_photograph_mix_is_mostly_plain_pictures():
    mixed = photograph_mix(40, 48, 48, seeded(8), "cpu")
    plain = pieces(40, 48, 48, seeded(8))
    same = (mixed == plain).flatten(1).all(1).float().mean()
    assert 0.5 < same < 0.9


@pytest.mark.parametrize("task", PHOTOGRAPH_TASKS)
def test_right_answer_on_photographs_scores_above_the_trivial_one(task):
    examples = photographs_of(task, 6, (64, 64), 7, False)
    right = SCORERS[task](examples.targets, examples)
    trivial = SCORERS[task](trivial_answer(task, examples), examples)
    name = next(iter(right))
    assert right[name] > trivial[name]
    assert all(sentence and not set(sentence) & set("[]{}") for sentence in examples.instructions)


def test_photographs_are_asked_in_words_that_training_never_uses_where_wanted():
    seen = photographs_of("denoise", 30, (32, 32), 7, False)
    new = photographs_of("denoise", 30, (32, 32), 7, True)
    assert torch.equal(seen.inputs, new.inputs)
    assert not set(seen.instructions) & set(new.instructions)
    assert set(new.instructions) == set(TASKS["denoise"].phrasings[-2:])


def test_evaluation_on_photographs_refuses_what_they_do_not_hold(capsys):
    assert main(["evaluate", "world", "--photographs", "--tasks", "depth"]) != 0
    assert (
        "photographs hold no truth for task 'depth'; they score: denoise" in capsys.readouterr().err
    )
    assert main(["evaluate", "world", "--photographs", "--referring"]) != 0
    assert "--referring is about scenes" in capsys.readouterr().err
