"""The commands that run a model, with an untrained one: sizes, files and words must be right."""

import json

import numpy as np
import pytest
from PIL import Image

from pixwizard_core.cli import main
from pixwizard_core.demo.room import FOLDER, load_room
from pixwizard_core.demo.show import SHOWN
from tests.support.bundles import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def photo(tmp_path):
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:301, :203]).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_demo_writes_pictures_sheet_and_report(tmp_path, bundle, capsys):
    assert main(["demo", "--bundle", str(bundle), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["tasks"]) == ["depth", "mask", "segmentation"]
    for task in report["tasks"].values():
        for name in task["files"].values():
            assert (tmp_path / "out" / name).is_file()
    assert set(report["tasks"]["segmentation"]["scores"]) == {"accuracy", "miou"}
    sheet = np.array(Image.open(tmp_path / "out" / "contact_sheet.png"))
    assert sheet.shape == (3 * 224 + 4 * 8, 3 * 288 + 4 * 8, 3)
    assert str(tmp_path / "out") in capsys.readouterr().out


def test_demo_truth_scores_perfectly_against_itself():
    room = load_room()
    scores = {shown.task: shown.score(shown.truth(room), room) for shown in SHOWN}
    assert scores["depth"]["rmse"] < 1e-4
    assert scores["mask"] == {"iou": 1.0}
    assert scores["segmentation"] == {"accuracy": 1.0, "miou": 1.0}


def test_demo_picture_shows_its_target():
    room = load_room()
    red, green, blue = room.image_01[0][:, room.mask[0]].mean(1).tolist()
    assert blue > 3 * max(red, green)  # the target is blue
    assert 0.02 < float(room.mask.float().mean()) < 0.1
    assert room.image_01.shape[-2:] == room.classes.shape[-2:] == room.depth_01.shape[-2:]
    assert names(FOLDER) == ["classes.png", "depth.png", "mask.png", "picture.png"]


def test_run_keeps_the_size_of_a_photograph(tmp_path, bundle, photo, capsys):
    command = ["run", str(photo), "--task", "mask", "--target", "the red ball"]
    command += ["--bundle", str(bundle), "--out", str(tmp_path / "out"), "--steps", "2"]
    assert main(command) == 0
    out = tmp_path / "out"
    kinds = ("answer.png", "binary.png", "report.json")
    assert names(out) == [f"photo_mask_{kind}" for kind in kinds]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in sorted(out.iterdir())]
    mask = np.array(Image.open(out / "photo_mask_binary.png"))
    assert mask.shape == (301, 203)
    assert set(np.unique(mask)) <= {0, 255}
    report = json.loads((out / "photo_mask_report.json").read_text())
    assert "the red ball" in report["instruction"]


def test_run_gives_the_same_pixels_for_the_same_seed(tmp_path, bundle, photo):
    pictures = []
    for folder, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        command = ["run", str(photo), "--task", "style", "--caption", "a watercolour"]
        command += ["--bundle", str(bundle), "--out", str(tmp_path / folder), "--seed", seed]
        assert main([*command, "--steps", "1"]) == 0
        pictures.append(np.array(Image.open(tmp_path / folder / "photo_style_answer.png")))
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_run_takes_several_pictures_and_own_words(tmp_path, bundle, photo):
    second = tmp_path / "two" / "photo.png"
    second.parent.mkdir()
    Image.new("L", (40, 30), 128).save(second)
    command = ["run", str(photo), str(second), "--instruction", "make it night"]
    command += ["--bundle", str(bundle), "--out", str(tmp_path / "out"), "--steps", "1"]
    assert main(command) == 0
    first, other = (
        Image.open(tmp_path / "out" / f"{stem}_answer.png").size
        for stem in ("photo_edit", "photo_1_edit")
    )
    assert (first, other) == ((203, 301), (40, 30))


def test_run_paints_from_text_alone(tmp_path, bundle):
    command = ["run", "--task", "text2image", "--caption", "a red ball", "--size", "96x64"]
    command += ["--bundle", str(bundle), "--out", str(tmp_path), "--steps", "1"]
    assert main(command) == 0
    assert Image.open(tmp_path / "text2image_answer.png").size == (96, 64)


def test_run_lists_the_tasks(capsys):
    assert main(["run", "--tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("mask ") and "--target" in line for line in lines)


REFUSED = {
    "no-task": ([], "say what to do: --task NAME"),
    "both": (["--task", "depth", "--instruction", "x"], "say what to do"),
    "unknown-task": (["--task", "nonsense"], "unknown task 'nonsense'"),
    "missing-field": (["--task", "mask"], "needs target"),
    "no-picture": (["--task", "depth"], "give at least one picture"),
    "bad-size": (["--task", "text2image", "--caption", "x", "--size", "big"], "WIDTHxHEIGHT"),
    "solver": (["--task", "depth", "PHOTO", "--solver", "magic"], "solver 'magic' is unknown"),
    "half-a-model": (["--task", "depth", "PHOTO", "--model", "m"], "--gemma, --clip, --vae"),
    "no-such-picture": (["--task", "depth", "gone.png"], "there is no picture gone.png"),
    "device": (["--task", "depth", "PHOTO", "--device", "nonsense"], "cannot be used here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_run_refuses_in_one_line(case, bundle, photo, capsys):
    words, message = REFUSED[case]
    arguments = [str(photo) if word == "PHOTO" else word for word in words]
    if "--model" not in words:
        arguments += ["--bundle", str(bundle)]
    assert main(["run", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("pixwizard: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_demo_without_weights_says_what_is_missing(tmp_path, capsys):
    assert main(["demo", "--bundle", str(tmp_path)]) == 2
    assert "pixwizard: there is no" in capsys.readouterr().err
