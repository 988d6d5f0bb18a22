"""The best of several answers: scores by hand, and what is asked."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from pixwizard_core.best import Evidence, Sighting, best_of, scores_of, way_of
from pixwizard_core.best.agreement import agreements, inside_share, overlap, same_map
from pixwizard_core.best.scores import RATED
from pixwizard_core.cli import main
from pixwizard_core.errors import DecodeError, InstructionError
from pixwizard_core.evaluation.best_study import area_under_curve
from pixwizard_core.pipeline import Request, run
from pixwizard_core.tasks import instruction
from tests.support.bundles import write_bundle
from tests.support.tiny import tiny_bundle


def block(left: int, right: int, rectangle: bool = False) -> Sighting:
    mask = torch.zeros(10, 10, dtype=torch.bool)
    mask[2:6, left:right] = True
    return Sighting(mask, rectangle)


NOTHING = Sighting(torch.zeros(10, 10, dtype=torch.bool))


def test_overlap_by_hand():
    assert overlap(block(0, 4), block(2, 6)) == pytest.approx(2 / 6)
    assert overlap(block(0, 4), NOTHING) == 0
    assert overlap(NOTHING, NOTHING) == 1


def test_a_box_is_compared_with_the_box_around_a_mask():
    ring = block(0, 6)
    ring.mask[3:5, 1:5] = False
    assert overlap(ring, block(0, 6)) == pytest.approx(16 / 24)
    assert overlap(ring, block(0, 6, rectangle=True)) == 1
    assert overlap(NOTHING, block(0, 6, rectangle=True)) == 0
    assert overlap(NOTHING, Sighting(NOTHING.mask, rectangle=True)) == 1


def test_the_odd_one_out_agrees_least_and_a_witness_can_outvote():
    two_right, wrong = [block(0, 4), block(0, 4)], block(6, 10)
    assert agreements([*two_right, wrong]) == [0.5, 0.5, 0.0]
    assert agreements([wrong, block(0, 4)], [block(0, 4)]) == [0.0, 0.5]
    assert agreements([wrong]) == [1.0]


def test_inside_share_by_hand():
    before, after = torch.zeros(3, 10, 10), torch.zeros(3, 10, 10)
    mask = block(0, 4).mask
    assert inside_share(before, after, mask) == 0
    after[:, 2:6, 0:4] = 0.6  # 16 px on the thing
    after[:, 8, 0:8] = 0.4  # 8 px elsewhere
    assert inside_share(before, after, mask) == pytest.approx(9.6 / (9.6 + 3.2))


def test_same_map_goes_by_lines_or_by_values():
    lines = torch.zeros(3, 64, 64)
    lines[:, 20] = 1
    moved, far = lines.roll(1, 1), lines.roll(9, 1)
    assert same_map("edge", moved, lines) == 1
    assert same_map("edge", far, lines) == 0
    assert same_map("edge", 1 - moved, 1 - lines) == 1  # dark lines on light paper
    assert same_map("depth", lines + 0.25, lines) == 0.75


def test_ways_of_the_tasks():
    agree = ("mask", "highlight", "box", "highlight_reasoning")
    maps = ("canny", "hed", "depth", "sketch", "pose", "segmentation", "normal", "lineart")
    ways = {
        **dict.fromkeys(agree, "agreement"),
        **{f"from_{kind}": "condition" for kind in maps},
        **dict.fromkeys(("recolour", "replace", "remove"), "inside"),
    }
    assert ways == RATED
    assert {task: way_of(task) for task in ways} == ways


@pytest.mark.parametrize("task", ["text2image", "style", "edit", "inpaint", "from_any"])
def test_tasks_with_many_right_answers_are_refused(task):
    with pytest.raises(InstructionError, match=r"many right answers, .* is found for: mask, high"):
        way_of(task)


def test_an_instruction_in_own_words_is_refused():
    with pytest.raises(InstructionError, match="own words cannot be rated; give a task instead"):
        way_of("custom")


@pytest.mark.parametrize("task", ["depth", "normal", "hed", "pose", "denoise", "restore_captioned"])
def test_tasks_of_which_one_answer_is_enough_are_refused_with_the_reason(task):
    said = r"needs one answer only: .* median of four gained nothing .*\. Ask once, without --best"
    with pytest.raises(InstructionError, match=said):
        way_of(task)


def test_python_refuses_what_one_answer_is_enough_for(bundle):
    with pytest.raises(InstructionError, match=r"'depth' .* needs one answer only"):
        best_of(bundle, "depth", "x", {}, torch.zeros(1, 3, 64, 64), 2)
    with pytest.raises(InstructionError, match=r"'denoise' .* needs one answer only"):
        scores_of("denoise", torch.zeros(2, 3, 8, 8), torch.zeros(1, 3, 8, 8), Evidence())


def test_confidence_is_zero_where_nothing_is_found():
    answers = torch.zeros(3, 3, 10, 10)
    answers[0, :, 2:6, 0:4] = 1
    scores, sure = scores_of("mask", answers, torch.zeros(1, 3, 10, 10), Evidence())
    assert scores == [0.0, 0.5, 0.5]
    assert sure == [0.0, 0.0, 0.0]


def test_evidence_that_does_not_fit_is_refused():
    answers, source = torch.zeros(2, 3, 10, 10), torch.zeros(1, 3, 10, 10)
    with pytest.raises(DecodeError, match="answers are 10 x 10 px, what they are compared with 8"):
        scores_of("mask", answers, source, Evidence((Sighting(torch.zeros(8, 8) > 0),)))
    with pytest.raises(DecodeError, match="0 maps for 2 answers"):
        scores_of("from_depth", answers, source, Evidence())
    with pytest.raises(DecodeError, match="only be judged with a mask of the thing"):
        scores_of("remove", answers, source, Evidence())


@pytest.fixture(scope="module")
def bundle():
    return dataclasses.replace(tiny_bundle(), centres=(64,))


@pytest.mark.parametrize(
    ("task", "words", "further"),
    [("mask", {"target": "the ball"}, 4), ("from_depth", {"caption": "a room"}, 3),
     ("remove", {"target": "the ball"}, 1),
     ("highlight_reasoning", {"question": "what rolls?", "colour": "red"}, 0)],
)  # fmt: skip
def test_best_is_one_of_the_answers_to_single_questions(bundle, task, words, further):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sentence, told = instruction(task, **words), []
    found = best_of(
        bundle, task, sentence, words, image, 3, seed=5,
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(i + 1, 3 + further) for i in range(3 + further)]
    assert [one.seed for one in found.candidates] == [5, 6, 7]
    assert found.best.score == max(one.score for one in found.candidates)
    alone = run(bundle, Request(image, sentence, found.best.seed, bundle.settings_of(task)))
    assert torch.equal(found.best.painted_01, alone.model_image_01)
    assert (found.confidence is None) == (way_of(task) != "agreement")


def test_count_out_of_range_is_refused(bundle):
    with pytest.raises(InstructionError, match=r"best is chosen of 1 to 64 answers. Got: 65"):
        best_of(bundle, "mask", "x", {}, torch.zeros(1, 3, 64, 64), 65)


def test_run_writes_the_best_and_all_scores(tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (70, 60), "grey").save(tmp_path / "room.png")
    folder = write_bundle(tmp_path / "bundle")
    command = ["run", str(tmp_path / "room.png"), "--task", "mask", "--target", "it"]
    command += ["--bundle", str(folder), "--steps", "1", "--out", str(tmp_path)]
    assert main([*command, "--best", "3", "--seed", "2"]) == 0
    report = json.loads((tmp_path / "room_mask_report.json").read_text())
    assert list(report["scores"]) == ["2", "3", "4"]
    assert report["scored_by"].startswith("overlap with the other answers")
    assert 0 <= report["confidence"] <= 1
    best = report["best_seed"]
    assert report["scores"][str(best)] == max(report["scores"].values())
    assert f"the best is seed {best} of seed 2 " in capsys.readouterr().err
    chosen = (tmp_path / "room_mask_answer.png").read_bytes()
    assert main([*command, "--seed", str(best)]) == 0
    assert (tmp_path / "room_mask_answer.png").read_bytes() == chosen


def test_run_refuses_a_best_that_cannot_be_chosen(capsys):
    assert main(["run", "x.png", "--task", "style", "--caption", "oil", "--best", "4"]) == 2
    assert "cannot be rated" in capsys.readouterr().err
    assert main(["run", "x.png", "--task", "depth", "--best", "4"]) == 2
    told = capsys.readouterr().err
    assert "task 'depth' (Depth map) needs one answer only" in told
    assert "Ask once, without --best" in told
    assert main(["run", "x.png", "--instruction", "make it night", "--best", "4"]) == 2
    assert "an instruction in your own words cannot be rated; give a task instead" in (
        capsys.readouterr().err
    )
    assert main(["run", "x.png", "--task", "depth", "--best", "0"]) == 2
    assert "chosen of 1 to 64 answers. Got: 0" in capsys.readouterr().err


def test_area_under_curve_by_hand():
    assert area_under_curve([0.9, 0.8], [0.1]) == 1
    assert area_under_curve([0.9, 0.1], [0.5, 0.1]) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
