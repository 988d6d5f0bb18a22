"""Scores of the demo world: the right answer is perfect, a copy gains nothing, hand-made cases."""

import dataclasses
import json
import math

import pytest
import torch

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation import scorers, scoring, shown_colours
from pixwizard_core.evaluation.baselines import trivial_answer
from pixwizard_core.evaluation.score_report import (
    GOALS,
    HEADLINE,
    as_values,
    from_json,
    goal_table,
    shown,
    table,
)
from pixwizard_core.evaluation.scorers import SCORERS
from pixwizard_core.pipeline import Bundle
from pixwizard_core.taught import UNKNOWN, released
from pixwizard_core.world import held_out
from pixwizard_core.world.examples import WORLD_TASKS, Examples, make_examples
from pixwizard_core.world.scenes import PAINTS, sample_scenes
from tests.support.tiny import tiny_bundle

PERFECT = {
    "rmse": 0.0,
    "angle": 0.0,
    **dict.fromkeys(("accuracy", "miou", "iou", "found", "ciou", "f1", "limbs"), 1.0),
    **dict.fromkeys(("correct", "closer", "appeared", "named", "all"), 1.0),
    **dict.fromkeys(("psnr", "hole_psnr", "region_psnr", "kept_psnr"), 60.0),
    "extra": 0.0,
}
IN_SHADOW = {"named": 0.1, "all": 0.2, "appeared": 0.1}  # a white thing in shadow looks grey
OPEN_ENDED = ("gain", "gain_20db")  # depend on how bad the input was


@pytest.fixture(scope="module")
def worlds() -> dict[str, Examples]:
    """Six examples of every task, among them other shapes than the square."""
    found = {}
    for number, task in enumerate(WORLD_TASKS):
        generator = torch.Generator().manual_seed(40 + number)
        size = ((128, 128), (96, 160))[number % 2]
        scenes = sample_scenes(6, generator)
        found[task] = make_examples([task] * 6, scenes, *size, generator, "cpu")
    return found


def blank(count: int = 1, side: int = 32, **truth) -> Examples:
    """Black examples with nothing but the given truth."""
    black = torch.zeros(count, 3, side, side)
    return Examples(["x"] * count, black, black.clone(), [""] * count, truth)


@pytest.mark.parametrize("task", WORLD_TASKS)
def test_right_answer_is_perfect(worlds, task):
    examples = worlds[task]
    for name, value in SCORERS[task](examples.targets, examples).items():
        if name not in OPEN_ENDED and not math.isnan(value):
            assert value == pytest.approx(PERFECT[name], abs=IN_SHADOW.get(name, 1e-3)), name


@pytest.mark.parametrize("task", WORLD_TASKS)
def test_trivial_answer_is_a_picture_and_leaves_room(worlds, task):
    examples = worlds[task]
    answer = trivial_answer(task, examples)
    assert answer.shape == examples.targets.shape
    assert 0 <= float(answer.min()) <= float(answer.max()) <= 1
    name, value = next(iter(SCORERS[task](answer, examples).items()))
    if name in ("rmse", "angle"):
        assert value > 0.05
    else:
        assert value < PERFECT[name] * 0.95


@pytest.mark.parametrize("task", ["recolour", "remove", "replace", "background", "style", "edit"])
def test_copy_of_the_input_is_no_edit(worlds, task):
    scores = SCORERS[task](worlds[task].inputs, worlds[task])
    assert scores["closer"] == 0
    assert scores.get("correct", 0) == 0


@pytest.mark.parametrize("task", ["denoise", "superres", "watermark"])
def test_copy_of_the_input_restores_nothing(worlds, task):
    assert SCORERS[task](worlds[task].inputs, worlds[task])["gain"] == 0


def test_depth_error_is_the_offset():
    examples = blank(depth_01=torch.full((1, 32, 32), 0.5))
    assert scorers.score_depth(torch.full((1, 3, 32, 32), 0.75), examples)["rmse"] == 0.25


def test_normals_that_look_up_are_90_degrees_from_those_that_look_at_us():
    viewer = torch.zeros(1, 3, 32, 32)
    viewer[:, 2] = 1
    up = torch.full((1, 3, 32, 32), 0.5)
    up[:, 1] = 1
    angle = scorers.score_normals(up, blank(normals=viewer))["angle"]
    assert angle == pytest.approx(90, abs=0.5)


def test_half_the_classes_right():
    wall, floor = torch.tensor([[90, 90, 90], [210, 60, 200]]) / 255
    painted = wall[None, :, None, None].repeat(1, 1, 32, 32)
    classes = torch.zeros(1, 32, 32, dtype=torch.long)
    classes[:, :, 16:] = 1  # the right half is floor, painted as wall
    scores = scorers.score_segmentation(painted, blank(classes=classes))
    assert scores == {"accuracy": 0.5, "miou": 0.25}  # wall 1/2, floor 0
    painted[:, :, :, 16:] = floor[:, None, None]
    assert scorers.score_segmentation(painted, blank(classes=classes))["miou"] == 1


def test_overlap_counts_pictures_and_pixels():
    truth = torch.zeros(2, 10, 10, dtype=torch.bool)
    truth[0, :4, :5] = True  # 20 px, all found
    truth[1, :, :8] = True  # 80 px, a quarter found
    masks = truth.clone()
    masks[1, :, 2:] = False
    assert scorers.score_overlap(masks, truth) == {"iou": 0.625, "found": 0.5, "ciou": 0.4}


def test_box_is_scored_by_its_outline():
    examples = blank(colour=torch.tensor([0]), box_xyxy_px=torch.tensor([[4, 4, 24, 24]]))
    painted = torch.zeros(1, 3, 32, 32)
    painted[:, 0, 4:14, 4:24] = 1
    painted[:, 0, 7:11, 7:21] = 0  # a red frame of 3 px around the upper half
    scores = scorers.score_box(painted, examples)
    assert scores == {"iou": pytest.approx(0.5), "found": 1.0}
    assert scorers.score_box(torch.zeros(1, 3, 32, 32), examples) == {"iou": 0, "found": 0}


@pytest.mark.parametrize(("shift", "f1"), [(0, 1), (2, 1), (6, 0)])
def test_lines_may_be_two_pixels_off(shift, f1):
    examples = blank()
    examples.targets[:, :, :, 10:12] = 1
    painted = examples.targets.roll(shift, 3)
    assert scorers.score_lines(painted, examples)["f1"] == f1


def test_dark_lines_on_white_are_lines_too():
    examples = blank()
    examples.targets[:] = 1
    examples.targets[:, :, :, 10:12] = 0.1
    assert scorers.score_lines(examples.targets, examples)["f1"] == 1
    assert scorers.score_lines(torch.ones(1, 3, 32, 32), examples)["f1"] == 0


def test_limb_in_the_wrong_colour_is_not_found(worlds):
    examples = worlds["pose"]
    swapped = SCORERS["pose"](examples.targets.flip(1), examples)
    assert swapped["f1"] > 0.95
    assert swapped["limbs"] < 0.5


def test_gain_at_20_db_leaves_out_good_inputs():
    examples = blank(2)
    examples.inputs[0] += 0.1  # 20 dB
    examples.inputs[1] += 0.01  # 40 dB
    painted = torch.full((2, 3, 32, 32), 0.01)
    scores = scorers.score_restored(painted, examples)
    assert scores == {k: pytest.approx(v) for k, v in
                      {"psnr": 40, "gain": 10, "gain_20db": 20}.items()}  # fmt: skip


def test_hole_is_scored_apart_from_what_was_kept():
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[:, :8] = True
    painted = torch.full((1, 3, 32, 32), 0.01)
    painted[:, :, :8] = 0.1
    scores = scorers.score_hole(painted, blank(mask=mask))
    assert scores == {"hole_psnr": pytest.approx(20), "kept_psnr": pytest.approx(40)}


@pytest.mark.parametrize("index", range(len(PAINTS)))
def test_shade_of_a_paint_is_that_paint(index):
    assert shown_colours.nearest_paint(torch.tensor(PAINTS[index]) * 0.4) == index


def test_named_colours_are_patches_not_speckles():
    examples = blank(side=128, caption=["a red ball and a blue cube on a dark floor"])
    painted = torch.zeros(1, 3, 128, 128)
    painted[0, :, 20:30, 20:30] = torch.tensor(PAINTS[0])[:, None, None]
    painted[0, :, ::4, ::4] = torch.tensor(PAINTS[2])[:, None, None]  # blue, but only in dots
    scores = scorers.score_named_colours(painted, examples)
    assert scores == {"named": 0.5, "all": 0.0, "extra": 0.0}


def test_added_object_must_be_new():
    examples = blank(side=128, target=["a red ball"])
    examples.inputs[0, :, 20:30, 20:30] = torch.tensor(PAINTS[0])[:, None, None]
    assert scorers.score_added(examples.inputs, examples)["appeared"] == 0
    assert scorers.score_added(examples.inputs.roll(40, 3), examples)["appeared"] == 1


def test_scenes_are_the_same_for_both_phrasings_and_any_choice_of_tasks():
    seen, new = (held_out.examples_of("mask", 4, (64, 64), 9, new_words) for new_words in (0, 1))
    assert torch.equal(seen.inputs, new.inputs)
    assert torch.equal(seen.targets, new.targets)
    assert seen.instructions != new.instructions


def test_examples_are_asked_as_the_model_was_trained():
    examples = held_out.examples_of("mask", 3, (64, 64), 9, held_out=False)
    known = scoring.as_trained(examples, released())
    targets = [words["target"] for words in examples.words]
    wanted = [f"Generate a binary mask for the described object: {one}." for one in targets]
    assert known.instructions == wanted
    own = scoring.as_trained(examples, UNKNOWN)
    assert own.instructions == [f"Make a black and white mask of {one}." for one in targets]
    assert own.inputs is examples.inputs


@pytest.fixture(scope="module")
def small() -> Bundle:
    """An untrained bundle that works at 64 px, for speed."""
    return dataclasses.replace(tiny_bundle(), centres=(64,))


@pytest.fixture(scope="module")
def results(small):
    plan = scoring.ScoringPlan(count=2, wide=2, ceiling=2, batch=2, phrasings=("seen", "held_out"))
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "SQUARE", (64, 64))
        found = scoring.score_world(
            small, ["depth", "mask"], plan, on_progress=lambda *state: seen.append(state)
        )
    assert seen[-1] == (12, 12)
    return found


def test_world_is_scored_in_every_column(results):
    assert [result.task for result in results] == ["depth", "mask"]
    assert set(results[0].answers) == {"seen", "held_out", "wide", "trivial", "ceiling"}
    assert results[0].answers["ceiling"].keys() == {"rmse"}


@pytest.fixture
def encodes(small, monkeypatch):
    """How many pictures the image encoder and the autoencoder have encoded."""
    counts = {"vision": 0, "vae": 0}
    for name, coder in (("vision", type(small.vision)), ("vae", type(small.vae))):

        def counting(self, pixels, name=name, real=coder.encode):
            counts[name] += len(pixels)
            return real(self, pixels)

        monkeypatch.setattr(coder, "encode", counting)
    return counts


def test_scenes_are_encoded_once_for_all_kinds_of_sentence(small, encodes, monkeypatch):
    monkeypatch.setattr(scoring, "SQUARE", (64, 64))
    every = ("trained", "seen", "held_out")
    plan = scoring.ScoringPlan(count=3, wide=2, ceiling=1, batch=2, phrasings=every)
    scoring.score_task(small, "mask", plan)
    assert encodes["vision"] == 3 + 4  # 4: at least two of each wide shape
    assert encodes["vae"] == 3 + 4 + 1


@pytest.mark.parametrize("task", ["mask", "denoise", "text2image"])
def test_scores_are_those_of_each_kind_of_sentence_alone(small, monkeypatch, task):
    monkeypatch.setattr(scoring, "SQUARE", (64, 64))
    every = ("trained", "seen", "held_out")
    plan = scoring.ScoringPlan(count=3, wide=0, ceiling=1, batch=2, phrasings=every)
    together = scoring.score_task(small, task, plan).answers
    for name in every:
        alone = scoring.score_task(small, task, dataclasses.replace(plan, phrasings=(name,)))
        assert together[name] == pytest.approx(alone.answers[name], rel=0, abs=0, nan_ok=True)


def test_painting_encodes_again_what_it_does_not_know(small, encodes):
    examples = held_out.examples_of("mask", 3, (64, 64), 9, held_out=False)
    known = {}
    first = scoring.paint(small, examples, small.settings, 2, known=known)
    changed = examples.inputs.clone()
    changed[2] = 1 - changed[2]
    other = dataclasses.replace(examples, inputs=changed)
    second = scoring.paint(small, other, small.settings, 2, known=known)
    assert encodes["vision"] == 3 + 1  # of the second batch only
    assert torch.equal(first[:2], second[:2])
    assert torch.equal(second, scoring.paint(small, other, small.settings, 2))
    assert not torch.equal(first[2], second[2])


def test_tables_have_a_row_for_each_score(results):
    lines = table(results).splitlines()
    assert len(lines) == 2 + 1 + 3
    assert lines[2].startswith("| depth | 2 | 2 | rmse | ")
    assert len(goal_table(results).splitlines()) == 2 + 3
    assert goal_table([]) == ""


def test_json_comes_back(results):
    text = json.dumps(as_values(results, seed=1))
    assert json.loads(text)["seed"] == 1
    again = from_json(text)
    assert again[1].answers["seen"]["iou"] == pytest.approx(results[1].answers["seen"]["iou"], 1e-3)
    unsupported = scoring.TaskScore("x", 1, 1, {"seen": {"a": math.nan}})
    assert as_values([unsupported])["tasks"]["x"]["seen"] == {"a": None}


def test_goals_are_judged_in_their_direction():
    depth = next(goal for goal in GOALS if goal.task == "depth")
    assert [depth.level(value) for value in (0.03, 0.05, 0.07)] == ["GPU", "CPU", "no"]
    mask = next(goal for goal in GOALS if goal.task == "mask")
    assert [mask.level(value) for value in (0.9, 0.7, 0.1)] == ["GPU", "CPU", "no"]
    assert set(HEADLINE) <= set(WORLD_TASKS)


@pytest.mark.parametrize(
    ("value", "text"), [(0.04321, "0.043"), (19.456, "19.46"), (math.nan, "–"), (-3.2, "-3.20")]
)
def test_numbers_are_shown_as_long_as_they_mean_something(value, text):
    assert shown(value) == text


def test_unknown_task_is_refused():
    with pytest.raises(PixWizardError, match="no task 'face'; it scores: depth, normal"):
        held_out.check_tasks(["depth", "face"])


def test_soft_edges_are_read_at_the_threshold_that_suits_them():
    examples = held_out.examples_of("hed", 3, (64, 64), 1, False)
    faint = examples.targets * 0.45  # everywhere below a half, but in the right places
    assert SCORERS["canny"](faint, examples)["f1"] == 0
    assert SCORERS["hed"](faint, examples)["f1"] > 0.9
    assert SCORERS["hed"](examples.targets.flip(-1), examples)["f1"] < 0.7
