"""Which shade of painted depth is near: one default, one way to look, said wherever it is used."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.cli import entry
from pixwizard_core.cli import settings as cli_settings
from pixwizard_core.decode import Hints, ade20k, decode
from pixwizard_core.decode.depth import decode_depth
from pixwizard_core.decode.polarity import (
    DEFAULT_NEAR,
    NEAR_CHOICES,
    brightens_downwards,
    near_is_white,
    polarity,
)
from pixwizard_core.decode.segments import not_told_apart
from pixwizard_core.errors import DecodeError, PixWizardError
from pixwizard_core.evaluation.layouts.common import DatasetOptions
from pixwizard_core.evaluation.protocols import score
from pixwizard_core.evaluation.reading import depth_note, reading_notes
from pixwizard_core.files.answers import write_answer
from pixwizard_core.fleet.job import Job
from pixwizard_core.world.examples import make_examples
from pixwizard_core.world.scenes import sample_scenes

FLOOR_IS_WHITE = torch.linspace(0, 1, 5)[:, None].expand(5, 4)  # brighter towards the bottom


def test_default_is_white_everywhere():
    assert {Hints().near, Job("out").near, DatasetOptions().near, DEFAULT_NEAR} == {"white"}
    assert decode_depth(FLOOR_IS_WHITE[None, None]).equal(FLOOR_IS_WHITE[None])
    for line in (["run", "a.png"], ["batch", "a.png"], ["evaluate", "data", "nyuv2"]):
        assert cli_settings.near_of(entry._parser().parse_args(line)) == "white"
    assert cli_settings.NEAR_CHOICES == NEAR_CHOICES


def test_black_turns_depth_round():
    depth, (read,) = near_is_white(FLOOR_IS_WHITE[None], "black")
    assert depth.equal(1 - FLOOR_IS_WHITE[None])
    assert read == ("black", None)


def test_correlation_is_by_hand():
    assert brightens_downwards(FLOOR_IS_WHITE) == pytest.approx(1)
    assert brightens_downwards(1 - FLOOR_IS_WHITE) == pytest.approx(-1)
    assert brightens_downwards(torch.full((4, 4), 0.3)) == 0.0
    # Rows 0, 1, 2 with values 0, 1, 0: no trend. With 0, 0, 1: sqrt(3) / 2.
    assert brightens_downwards(torch.tensor([[0.0], [1.0], [0.0]])) == pytest.approx(0)
    assert brightens_downwards(torch.tensor([[0.0], [0.0], [1.0]])) == pytest.approx(3**0.5 / 2)


def test_auto_takes_the_shade_of_the_floor_for_near_picture_by_picture():
    both = torch.stack([FLOOR_IS_WHITE, 1 - FLOOR_IS_WHITE])
    depth, read = near_is_white(both, "auto")
    assert [one.near for one in read] == ["white", "black"]
    assert depth.equal(FLOOR_IS_WHITE.expand(2, 5, 4))


def test_auto_keeps_the_default_where_a_picture_does_not_tell_and_says_so():
    read = polarity(torch.tensor([[0.0], [1.0], [0.05]]), "auto")
    assert read.near == "white"
    assert "too little to tell" in read.said()
    assert polarity(1 - FLOOR_IS_WHITE, "auto").said() == (
        "black is near: brightness and closeness to the bottom correlate by -1.00"
    )


def test_auto_looks_only_where_the_model_saw():
    depth = FLOOR_IS_WHITE.clone()
    depth[4] = 0  # outside the crop
    seen = torch.ones(5, 4, dtype=torch.bool)
    seen[4] = False
    (read,) = near_is_white(depth[None], "auto", seen)[1]
    assert read.correlation == pytest.approx(1)


def test_auto_reads_rooms_right_either_way_round():
    scenes = sample_scenes(24, torch.Generator().manual_seed(5))
    examples = make_examples(
        ["depth"] * 24, scenes, 64, 64, torch.Generator().manual_seed(6), "cpu"
    )
    painted = examples.targets.mean(1)
    assert [one.near for one in near_is_white(painted, "auto")[1]] == ["white"] * 24
    assert [one.near for one in near_is_white(1 - painted, "auto")[1]] == ["black"] * 24


def test_unknown_shade_is_refused():
    with pytest.raises(DecodeError, match=r"one of white, black, auto. Got: 'grey'"):
        decode("depth", FLOOR_IS_WHITE[None, None], Hints(near="grey"))


def answered(tmp_path, painted, **hints):
    picture = painted.expand(3, -1, -1)[None]
    files, facts = write_answer(tmp_path, "a", "depth", picture, Hints(**hints))
    return files, facts


def test_answer_has_metres_only_with_a_range(tmp_path):
    files, facts = answered(tmp_path, FLOOR_IS_WHITE)
    assert facts["unit"] == "relative"
    assert not any("metres" in what for what in files)
    files, facts = answered(tmp_path, FLOOR_IS_WHITE, range_m=(1.0, 5.0))
    assert (facts["unit"], facts["range_m"]) == ("m", [1.0, 5.0])
    assert np.load(files["metres"])[:, 0].tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert json.loads(files["metres_note"].read_text(encoding="utf-8"))["near_m"] == "1.0"


def test_answer_says_what_auto_saw(tmp_path):
    _, facts = answered(tmp_path, 1 - FLOOR_IS_WHITE, near="auto")
    assert (facts["white_is"], facts["answer_near"], facts["correlation"]) == ("near", "black", -1)
    assert "black is near" in facts["read"]


def test_range_of_the_command_line_must_rise():
    parser = entry._parser()
    good = parser.parse_args(["run", "a.png", "--range", "0.5", "8"])
    assert cli_settings.range_of(good) == (0.5, 8.0)
    assert cli_settings.range_of(parser.parse_args(["run", "a.png"])) is None
    for near, far in (("8", "0.5"), ("1", "1"), ("0", "inf"), ("nan", "3")):
        line = ["run", "a.png", "--range", near, far]
        with pytest.raises(PixWizardError, match="nearer first"):
            cli_settings.range_of(parser.parse_args(line))


def test_score_of_a_dataset_says_how_it_was_read(tmp_path):
    truth = {
        "protocol": "depth", "kind": "metres", "per_metre": 1000.0, "min_m": 1e-3, "max_m": 10.0,
        "range_m": [0.0, 10.0], "align": False, "file": str(tmp_path / "d.png"),
    }  # fmt: skip
    metres = 10 * (1 - FLOOR_IS_WHITE)  # the floor is near
    Image.fromarray((metres * 1000).numpy().astype("uint16")).save(tmp_path / "d.png")
    white = FLOOR_IS_WHITE.expand(3, -1, -1)[None]
    found = {
        near: score({**truth, "near": near}, picture, picture, None)
        for near, picture in (("white", white), ("black", 1 - white), ("auto", 1 - white))
    }
    assert [round(one["rmse_m"], 3) for one in found.values()] == [0.0, 0.0, 0.0]
    assert [one["near_is_white"] for one in found.values()] == [1, 0, 0]
    assert score(truth, 1 - white, white, None)["rmse_m"] > 3
    assert depth_note([found["white"]]) == "Depth was read with white as near."
    assert "white is near in 0 of 1 pictures, black in 1; " in depth_note([found["auto"]])


def test_classes_of_one_colour_are_said():
    palette = ade20k()
    assert palette.of_one_colour() == ["road or skyscraper"]
    assert not_told_apart("sky, road", palette) == ["road or skyscraper"]
    assert not_told_apart("road, skyscraper", palette) == not_told_apart("*", palette) == []
    (note,) = reading_notes([{"task": "segmentation", "metrics": {}}], palette)
    assert "road or skyscraper" in note
