"""pixwizard evaluate beyond: tables of what the parts beyond the paper gain."""

import dataclasses
import random

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.cli import models as cli_models
from pixwizard_core.evaluation import (
    best_study,
    larger_study,
    lighter_study,
    regional_study,
    sharp_study,
)
from pixwizard_core.evaluation.two_changes import two_changes
from pixwizard_core.taught import UNKNOWN
from pixwizard_core.world.held_out import HELD_OUT_SEED, examples_of
from pixwizard_core.world.scenes import PAINTS
from tests.support.tiny import tiny_bundle


@pytest.fixture
def small(monkeypatch):
    """An untrained bundle that works at 32 px."""
    bundle = dataclasses.replace(tiny_bundle(), centres=(32,))
    monkeypatch.setattr(cli_models, "load_small", lambda folder, device: bundle)
    return bundle


def test_right_answer_of_a_sharp_study_is_perfect():
    for task in sharp_study.SHARPENED:
        examples = examples_of(task, 1, (96, 96), HELD_OUT_SEED, False)
        colour = sharp_study.colours_of(examples)[0] if task == "highlight" else "red"
        scores = sharp_study.score(task, examples.targets, examples, 0, colour)
        for name, value in scores.items():
            perfect = 0 if name.startswith(("rmse", "angle")) else 1
            assert value == pytest.approx(perfect, abs=0.02), (task, name)


def test_sharp_study_has_a_row_for_each_score(small, capsys):
    assert main(["evaluate", "beyond", "--parts", "sharp", "--count", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| task | pictures | score | bilinear | plain | guided filter | sharp |"
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:] if line][:4] == [
        "depth", "depth", "normal", "normal",
    ]  # fmt: skip


def test_best_and_layers_studies_have_their_tables(small, capsys, monkeypatch):
    monkeypatch.setattr(best_study, "SQUARE", (32, 32))
    monkeypatch.setattr(best_study, "CHOSEN_TASKS", {"from_depth": "f1", "remove": "region_psnr"})
    assert main(["evaluate", "beyond", "--parts", "best,layers", "--count", "2"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert [line.split(" | ")[0] for line in lines] == [
        "| masks chosen of", "|---|---|---|---|---|---|", "| 1", "| 2", "| 4", "| 8",
        "| task", "|---|---|---|---|---|---|", "| from_depth", "| remove",
        "| rooms", lines[-2], "| 2",
    ]  # fmt: skip
    first, best, top = (float(value) for value in lines[9].strip("| ").split(" | ")[3:])
    assert top >= max(first, best)


def test_larger_study_has_scores_and_seams_of_each_way(small, capsys, monkeypatch):
    bundle = dataclasses.replace(small, centres=(64,))
    monkeypatch.setattr(cli_models, "load_small", lambda folder, device: bundle)
    monkeypatch.setattr(larger_study, "ENLARGED", 2)
    monkeypatch.setattr(larger_study, "SCORED", {"depth": "rmse", "denoise": "psnr"})
    assert main(["evaluate", "beyond", "--parts", "larger", "--count", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    ways = ["enlarged", "sharp", "tiles apart", "tiles", "guided tiles"]
    assert cells[0] == ["1 rooms", "score", *ways]
    assert cells[2][:2] == ["depth", "rmse"]
    assert cells[3][3] == "–"  # a restored picture cannot be sharpened
    assert cells[4] == ["steps at seams, mean / worst", *ways[2:], "elsewhere"]
    assert [row[0] for row in cells[6:]] == ["depth", "denoise"]
    for row in cells[6:]:
        for cell in row[1:]:
            mean, worst = (float(value) for value in cell.split(" / "))
            assert 0 < mean <= worst


def test_right_answer_of_two_changes_is_perfect():
    rooms = two_changes(3, HELD_OUT_SEED, 64, UNKNOWN)
    assert len(rooms) == len(rooms.inputs) == 3
    right, none = (regional_study.score(shown, rooms) for shown in (rooms.targets, rooms.inputs))
    assert (right["right"], right["both"], right["swapped"]) == (1, 1, 0)
    assert right["inside, dB"] == 60
    assert right["on things"] > 0.5  # the rest are shadows and reflections of the new colours
    assert (none["right"], none["both"]) == (0, 0)
    assert none["outside, dB"] == 60


def test_swapped_colours_of_two_changes_count_as_such():
    rooms = two_changes(3, HELD_OUT_SEED, 64, UNKNOWN)
    painted = rooms.inputs.clone()
    for row, (masks, colours) in enumerate(zip(rooms.masks, rooms.colours.tolist(), strict=True)):
        for mask, colour in zip(masks, reversed(colours), strict=True):
            painted[row][:, mask] = torch.tensor(PAINTS[colour])[:, None]
    scores = regional_study.score(painted, rooms)
    assert (scores["right"], scores["swapped"]) == (0, 1)
    assert scores["on things"] == pytest.approx(1)


def test_two_changes_name_both_things_and_join_their_sentences():
    rooms = two_changes(2, HELD_OUT_SEED, 64, UNKNOWN)
    for first, second in rooms.sentences:
        whole = regional_study.joined((first, second))
        assert whole.startswith(first.rstrip("."))
        assert whole.lower().endswith(f" and {second.lower()}")
    assert not bool((rooms.masks[:, 0] & rooms.masks[:, 1]).any())


def test_regional_study_has_a_row_for_each_way(small, capsys):
    assert main(["evaluate", "beyond", "--parts", "regional", "--count", "2"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0].startswith("| way | right | both | swapped | on things | inside, dB |")
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(regional_study.WAYS)


def test_lighter_study_has_its_tables(small, capsys, monkeypatch):
    monkeypatch.setattr(lighter_study, "SQUARE", (32, 32))
    monkeypatch.setattr(lighter_study, "TASKS", {"depth": "rmse"})
    assert main(["evaluate", "beyond", "--parts", "lighter", "--count", "1"]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    errors = {row[0]: row[1:] for row in rows[2:8]}
    assert list(errors) == [way.title for way in lighter_study.WAYS]
    for column in range(6):
        bf16, fp8, int8 = (float(errors[way][column]) for way in ("bf16", "fp8_scaled", "int8"))
        assert bf16 < int8 < fp8 / 2, column
    (near,) = (row for row in rows if row[:2] == ["depth", "dB"])
    assert near[2] == "–"
    assert all(float(value) > 20 for value in near[3:])


def test_lighter_sizes_of_the_released_model_are_counted():
    sizes = lighter_study.released_sizes()
    assert sizes["transformer"]["bf16"] == 4_022_883_952
    assert sizes["Gemma 2B"]["bf16"] == 5_012_344_832  # as published
    for own in sizes.values():
        assert 0.55 < own["int8"] / own["bf16"] < 0.67
        assert own["fp8_scaled"] < own["int8"]  # which has a scale for each row


def test_absent_names_are_of_nothing_in_view():
    examples = examples_of("mask", 6, (64, 64), HELD_OUT_SEED, False)
    names = best_study.absent_names(examples, random.Random(0))
    for name, caption in zip(names, examples.truth["caption"], strict=True):
        assert name.startswith("the ")
        assert name.removeprefix("the ") not in caption


def test_unknown_part_and_count_are_refused(capsys):
    assert main(["evaluate", "beyond", "--parts", "sharp,loud"]) == 2
    told = capsys.readouterr().err
    assert "no part 'loud'; choose from: sharp, best, layers, larger, regional, lighter" in told
    assert main(["evaluate", "beyond", "--count", "0"]) == 2
    assert "--count must be at least 1. Got: 0" in capsys.readouterr().err
