"""The commands that run a model, with an untrained one: sizes, files and words must be right."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.cli import main
from pixwizard_core.demo.room import room_example
from pixwizard_core.demo.sheet import contact_sheet
from pixwizard_core.demo.show import SHOWN
from pixwizard_core.evaluation.scorers import SCORERS
from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.task_table import FAMILIES
from pixwizard_core.task_table.forms import forms_of
from tests.support.bundles import teach, write_bundle


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
    assert {task["family"] for task in report["tasks"].values()} == set(FAMILIES)
    for task in report["tasks"].values():
        for name in task["files"].values():
            assert (tmp_path / "out" / name).is_file()
        assert task["score"] in task["scores"]
    assert set(report["tasks"]["segmentation"]["scores"]) == {"accuracy", "miou"}
    sheet = Image.open(tmp_path / "out" / "contact_sheet.png")
    assert sheet.size == (3 * (3 * 146 + 10) + 10, 4 * 156 + 10)
    assert str(tmp_path / "out") in capsys.readouterr().out


PERFECT = {"rmse": 0.02, "angle": 4.0, "miou": 1.0, "iou": 0.9, "f1": 1.0, "named": 1.0}


@pytest.mark.parametrize("task", SHOWN)
def test_the_right_answer_scores_well_in_the_demonstration(task):
    example = room_example(task)
    value = SCORERS[task](example.targets, example)[SHOWN[task]]
    if SHOWN[task] in ("rmse", "angle"):
        assert value <= PERFECT[SHOWN[task]]
    else:
        assert value >= PERFECT.get(SHOWN[task], 30)  # dB


def test_demo_room_is_always_the_same():
    recorded = np.array(Image.open(Path(__file__).with_name("room.png")))
    drawn = (room_example("depth").inputs[0].permute(1, 2, 0) * 255).round().byte().numpy()
    assert np.abs(recorded.astype(int) - drawn).max() <= 1
    assert room_example("mask").truth["mask"].float().mean() > 0.02


def test_contact_sheet_places_cells_in_rows_with_their_words():
    red = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 56, 56)
    sheet = contact_sheet([([red, red], "a", "b")] * 3, across=2)
    assert sheet.shape == (3, 2 * 156 + 10, 2 * (2 * 114 + 10) + 10)
    is_red = (sheet[0] > 0.9) & (sheet[1] < 0.1)
    assert int(is_red.sum()) == 3 * 2 * 112 * 112
    assert bool((sheet[:, 124:166, 10:100] < 0.5).any())  # ink under the first cell


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


def test_run_adds_loras_and_says_what_they_change(tmp_path, bundle, photo, capsys):
    from pixwizard_core.bundle import load_tiny
    from pixwizard_core.weights.lora import LoraSettings, add_lora, lora_layers, save_lora

    model = load_tiny(bundle).model
    add_lora(model, LoraSettings(rank=2))
    for layer in lora_layers(model).values():
        torch.nn.init.normal_(layer.up.weight, std=0.5, generator=torch.Generator().manual_seed(0))
    save_lora(model, tmp_path / "night.safetensors")
    command = ["run", str(photo), "--task", "style", "--caption", "night", "--bundle", str(bundle)]
    command += ["--steps", "1", "--out", str(tmp_path)]
    lora = ["--lora", str(tmp_path / "night.safetensors")]
    found = []
    for words in ([], lora, [*lora, "--strength", "0"]):
        assert main([*command, *words]) == 0
        found.append(np.array(Image.open(tmp_path / "photo_style_answer.png")))
    count = len(lora_layers(model))
    said = capsys.readouterr().err
    assert f"night.safetensors: changes {count} layers, strength 1\n" in said
    report = json.loads((tmp_path / "photo_style_report.json").read_text())
    assert report["loras"] == ["night.safetensors 0"]
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


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


def test_run_lists_forms_and_marks_what_the_model_does_not_know(capsys):
    assert main(["run", "--tasks"]) == 0
    out = capsys.readouterr().out
    assert "    trained  Depth estimation\n" in out
    assert (
        "    trained  Mark the specified area with a bounding box in {colour}: {target}.\n"
        "    trained  Detect, {colour}: {target}\n"
    ) in out
    (face,) = [line for line in out.splitlines() if line.startswith("face ")]
    assert face.endswith("(not taught to this model)")
    assert re.search(r"^highlight_reasoning +Ground .*--question --colour", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (["--phrasing", "3"], "Draw the depth of the scene."),
        (["--phrasing", "seed:7"], "Show how far away every pixel is, as a grey depth map."),
        ([], "Depth estimation"),
        (["--phrasing", "trained"], "Depth estimation"),
    ],
)
def test_run_words_the_task_as_asked(given, sent, bundle, tmp_path, capsys):
    """The small model of this test says in its header that it knows the trained form."""
    folder = tmp_path / "model"
    shutil.copytree(bundle, folder)
    teach(folder, ["depth"], {"depth": forms_of("depth")})
    save_picture(tmp_path / "p.png", torch.full((3, 32, 32), 0.5))
    asked = ["run", "--task", "depth", str(tmp_path / "p.png"), "--steps", "1", *given]
    assert main([*asked, "--bundle", str(folder), "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "p_depth_report.json").read_text(encoding="utf-8"))
    assert report["instruction"] == sent
    assert "notes" not in report
    assert capsys.readouterr().err.count("warning") == 0


def test_run_warns_of_a_task_that_was_not_taught(bundle, tmp_path, capsys):
    folder = tmp_path / "model"
    shutil.copytree(bundle, folder)
    teach(folder, ["depth"])
    save_picture(tmp_path / "p.png", torch.full((3, 32, 32), 0.5))
    asked = ["run", "--task", "face", str(tmp_path / "p.png"), "--steps", "1"]
    assert main([*asked, "--bundle", str(folder), "--out", str(tmp_path)]) == 0
    said = "this model was not taught task 'face' (Restore a face), so its answer is a guess"
    assert f"warning: {said}\n" in capsys.readouterr().err
    report = json.loads((tmp_path / "p_face_report.json").read_text(encoding="utf-8"))
    assert report["notes"] == [said]
    assert report["instruction"] == "Restore the face in this picture."


REFUSED = {
    "wording": (["--task", "depth", "PHOTO", "--phrasing", "x"], "a phrasing is 'trained', a num"),
    "own-words": (["--instruction", "x", "PHOTO", "--phrasing", "1"], "--phrasing words a task"),
    "no-task": ([], "say what to do: --task NAME"),
    "both": (["--task", "depth", "--instruction", "x"], "say what to do"),
    "unknown-task": (["--task", "nonsense"], "unknown task 'nonsense'"),
    "missing-field": (["--task", "mask"], "needs target"),
    "no-picture": (["--task", "depth"], "give at least one picture"),
    "bad-size": (["--task", "text2image", "--caption", "x", "--size", "big"], "WIDTHxHEIGHT"),
    "solver": (["--task", "depth", "PHOTO", "--solver", "magic"], "solver 'magic' is unknown"),
    "half-a-model": (["--task", "depth", "PHOTO", "--model", "m"], "--gemma, --clip, --vae"),
    "no-such-picture": (["--task", "depth", "gone.png"], "there is no picture gone.png"),
    "strength": (["--task", "depth", "PHOTO", "--strength", "2"], "give its file with --lora"),
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


def test_run_sharpens_a_large_picture_and_reports_it(tmp_path, bundle, photo, capsys):
    found = []
    for words in ([], ["--sharp"]):
        command = ["run", str(photo), "--task", "depth", "--bundle", str(bundle), "--steps", "1"]
        assert main([*command, *words, "--out", str(tmp_path)]) == 0
        found.append(np.array(Image.open(tmp_path / "photo_depth_16bit.png")))
        report = json.loads((tmp_path / "photo_depth_report.json").read_text())
        assert report.get("sharp", False) is bool(words)
    assert found[0].shape == found[1].shape == (301, 203)
    assert not np.array_equal(*found)
    assert "no effect" not in capsys.readouterr().err


def test_run_says_when_sharp_has_no_effect(tmp_path, bundle, photo, capsys):
    command = ["run", str(photo), "--task", "canny", "--bundle", str(bundle), "--steps", "1"]
    assert main([*command, "--sharp", "--out", str(tmp_path)]) == 0
    reason = "only answers of these kinds can be sharpened: mask, highlight, depth, normal, "
    assert f"--sharp has no effect: {reason}" in capsys.readouterr().err
    report = json.loads((tmp_path / "photo_canny_report.json").read_text())
    assert report["sharp"].startswith(reason)


def test_run_answers_a_large_picture_by_tiles(tmp_path, bundle, photo, capsys):
    command = ["run", str(photo), "--task", "canny", "--bundle", str(bundle), "--steps", "1"]
    assert main([*command, "--tile", "100", "--overlap", "20", "--out", str(tmp_path)]) == 0
    written = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert written == [f"photo_canny_{what}" for what in ("answer.png", "grey.png", "report.json")]
    assert Image.open(tmp_path / written[0]).size == (203, 301)
    report = json.loads((tmp_path / "photo_canny_report.json").read_text())
    assert report["tiles"] == {
        "count": 12, "size": [100, 100], "overlap": 20, "model_size": [128, 128],
    }  # fmt: skip
    assert report["files"] == {"answer": written[0], "grey": written[1]}


def test_run_with_tiles_writes_the_usual_files_where_one_suffices(tmp_path, bundle, capsys):
    small = tmp_path / "small.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), "uint8")).save(small)
    for folder, words in (("a", []), ("b", ["--tile"])):
        command = ["run", str(small), "--task", "canny", "--bundle", str(bundle), "--steps", "1"]
        assert main([*command, *words, "--out", str(tmp_path / folder)]) == 0
    assert "one tile suffices, so the answer is the same as without" in capsys.readouterr().err
    for what in ("answer", "grey"):
        one, two = (
            np.array(Image.open(tmp_path / folder / f"small_canny_{what}.png")) for folder in "ab"
        )
        assert np.array_equal(one, two)


TILES_REFUSED = {
    "task": (["--task", "depth", "--tile"], "task 'depth' is not answered tile by tile"),
    "own-words": (["--instruction", "x", "--tile"], "--tile needs --task"),
    "alone": (["--task", "canny", "--overlap", "3"], "--overlap is the overlap of tiles"),
    "best": (["--task", "denoise", "--tile", "--best", "2"], "cannot be used with --best"),
    "sharp": (["--task", "canny", "--tile", "--sharp"], "cannot be used with --sharp"),
    "region": (["--task", "canny", "--tile", "--region", "a:b"], "cannot be used with --region"),
    "centre": (["--task", "canny", "--tile", "--centre", "64"], "cannot be used with --centre"),
    "layers": (["--layers", "a", "--tile"], "--layers asks its own questions; leave out --tile"),
    "fit": (["--task", "canny", "--tile", "--fit", "pad"], "leave out --fit pad"),
    "small": (["--task", "canny", "--tile", "9"], "a tile has at least 64 px a side. Got: 9"),
    "overlap": (["--task", "canny", "--tile", "64", "--overlap", "40"], "0 to 32 px, half of a"),
}


@pytest.mark.parametrize("case", TILES_REFUSED)
def test_run_refuses_tiles_in_one_line(case, tmp_path, bundle, photo, capsys):
    words, message = TILES_REFUSED[case]
    given = ["--bundle", str(bundle), "--out", str(tmp_path / "out")]
    assert main(["run", str(photo), *given, *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))


def test_run_refuses_a_missing_picture_of_tiles_before_it_loads_a_model(
    tmp_path, bundle, capsys, monkeypatch
):
    loads = "pixwizard_core.cli.run.load_asked"
    monkeypatch.setattr(loads, lambda arguments: pytest.fail("loaded"))
    gone = ["run", str(tmp_path / "gone.png"), "--task", "canny", "--tile"]
    assert main([*gone, "--bundle", str(bundle)]) == 2
    assert "gone.png cannot be read as a picture" in capsys.readouterr().err


def test_run_says_what_a_side_is(photo, capsys):
    with pytest.raises(SystemExit):
        main(["run", "--task", "canny", "--tile", str(photo)])
    assert "write the picture before --tile" in capsys.readouterr().err


def ask_regions(bundle, photo, out, *regions: str) -> list[str]:
    """The command of one run with regions."""
    asked = [word for region in regions for word in ("--region", region)]
    return [
        "run", str(photo), "--instruction", "make it blue", *asked, "--bundle", str(bundle),
        "--steps", "1", "--out", str(out),
    ]  # fmt: skip


def test_run_gives_regions_their_own_instruction_and_reports_it(tmp_path, bundle, photo, capsys):
    mask = np.zeros((301, 203), np.uint8)
    mask[:150] = 255
    Image.fromarray(mask).save(tmp_path / "top:half.png")
    found = []
    for regions in ([], [f"{tmp_path / 'top:half.png'}: make it red: all of it"]):
        assert main(ask_regions(bundle, photo, tmp_path, *regions)) == 0
        found.append(np.array(Image.open(tmp_path / "photo_edit_answer.png")))
    assert not np.array_equal(*found)
    report = json.loads((tmp_path / "photo_edit_report.json").read_text())
    assert report["regions"] == [f"{tmp_path / 'top:half.png'}: make it red: all of it"]
    assert report["regions_apart"] is True
    assert "region_notes" not in report
    assert "region" not in capsys.readouterr().err
    Image.fromarray(mask[::7, ::7]).save(tmp_path / "small.png")
    asked = ask_regions(bundle, photo, tmp_path, f"{tmp_path / 'small.png'}:make it red")
    assert main([*asked, "--regions-together"]) == 0
    said = "the mask of region 1 is 29 x 43 px and was resized to the picture's 203 x 301 px"
    assert said in capsys.readouterr().err
    report = json.loads((tmp_path / "photo_edit_report.json").read_text())
    assert (report["region_notes"], report["regions_apart"]) == ([said], False)


def test_run_names_the_picture_of_a_region_note_and_reads_transparency(
    tmp_path, bundle, photo, capsys
):
    Image.new("RGB", (64, 64), (9, 9, 99)).save(tmp_path / "second.png")
    cut_out = np.zeros((32, 32, 4), np.uint8)
    cut_out[:, :16] = 200, 0, 0, 255
    Image.fromarray(cut_out).save(tmp_path / "ball.png")
    asked = ask_regions(bundle, photo, tmp_path, f"{tmp_path / 'ball.png'}:make it red")
    asked.insert(2, str(tmp_path / "second.png"))
    assert main(asked) == 0
    told = capsys.readouterr().err
    by_alpha = "the mask of region 1 (ball.png) has transparency, so what is opaque is in the"
    other = "the mask of region 1 is 32 x 32 px"
    assert f"photo_edit: {by_alpha}" in told
    assert f"second_edit: {by_alpha}" in told
    assert f"photo_edit: {other}, of another shape than the picture, and was stretched" in told
    assert f"second_edit: {other} and was resized to the picture's 64 x 64 px" in told
    report = json.loads((tmp_path / "second_edit_report.json").read_text())
    assert report["region_notes"][1] == f"{other} and was resized to the picture's 64 x 64 px"


def test_run_refuses_regions_before_a_model_is_loaded(tmp_path, bundle, photo, capsys):
    Image.new("L", (20, 30), 0).save(tmp_path / "black.png")
    Image.new("L", (20, 30), 1).save(tmp_path / "one.png")
    black = tmp_path / "black.png"
    for regions, words, message in (
        ([f"{black}:x"], [], "the mask of region 1 is empty: it selects nothing"),
        ([f"{tmp_path / 'one.png'}:x"], [], "marks almost nothing: its brightest value is 0.00392"),
        ([f"{black}: "], [], "has no instruction behind the colon"),
        (["none.png:make it red"], [], "--region is MASK:TEXT, such as 'ball.png:make the ball"),
        ([str(black)], [], "with an existing mask file. Got: "),
        ([f"{black}:x"] * 17, [], "17 regions are too many; give at most 16"),
        ([], ["--regions-together"], "--regions-together has no effect without --region"),
    ):
        assert main([*ask_regions(bundle, photo, tmp_path, *regions), *words]) == 2
        assert message in capsys.readouterr().err
    best = ["run", str(photo), "--task", "mask", "--target", "it", "--best", "2"]
    assert main([*best, "--region", f"{black}:x"]) == 2
    assert "--best rates one instruction for a whole picture" in capsys.readouterr().err
    assert main(["run", str(photo), "--layers", "a", "--region", f"{black}:x"]) == 2
    assert "--layers asks its own questions; leave out --region" in capsys.readouterr().err


def test_run_selects_nothing_outside_a_crop(tmp_path, bundle):
    """A bright picture is not taken for a white mask where the model saw none of it."""
    Image.new("RGB", (400, 64), "white").save(tmp_path / "wide.png")
    command = ["run", str(tmp_path / "wide.png"), "--task", "mask", "--target", "it"]
    command += ["--bundle", str(bundle), "--steps", "1", "--fit", "crop", "--out", str(tmp_path)]
    assert main(command) == 0
    mask = np.array(Image.open(tmp_path / "wide_mask_binary.png"))
    assert not mask[:, :10].any()
    assert not mask[:, -10:].any()


def test_options_of_run_that_change_nothing_are_said_or_refused(tmp_path, bundle, photo, capsys):
    given = [str(photo), "--task", "canny", "--out", str(tmp_path / "out")]
    small = ["--bundle", str(bundle), "--centre", "64", "--steps", "1"]
    assert main(["run", *given, *small, "--colour", "red"]) == 0
    assert "--colour changes nothing: canny has no use for it" in capsys.readouterr().err
    assert main(["run", *given, *small, "--size", "9x9"]) == 2
    assert "--size is for new pictures without an input; leave it out" in capsys.readouterr().err


def test_bundle_that_is_a_file_is_refused(photo, bundle, capsys):
    words = ["run", str(photo), "--task", "depth", "--bundle", str(bundle / "dit.safetensors")]
    assert main(words) == 2
    told = "--bundle takes the folder of a small model. Got the file dit.safetensors"
    assert told in capsys.readouterr().err


def test_inspect_takes_the_folder_of_a_small_model(bundle, capsys):
    assert main(["inspect", str(bundle)]) == 0
    assert "dit.safetensors" in capsys.readouterr().out


def test_advice_for_layers_names_no_command_that_refuses_them(tmp_path, capsys):
    assert main(["run", str(tmp_path), "--layers", "a"]) == 2
    err = capsys.readouterr().err
    assert "is a folder; give its pictures" in err
    assert "batch" not in err
