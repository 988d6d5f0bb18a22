"""pixwizard evaluate data on small sets of the new layouts, by an untrained model."""

import json

import pytest
import torch

from pixwizard_core import cli
from pixwizard_core.cli.evaluate_data import DATA
from pixwizard_core.evaluation.layouts import LAYOUTS
from pixwizard_core.files.picture_files import open_picture
from tests.support.bundles import write_bundle
from tests.support.dataset_files import put

EMU = {"instruction": "make it red", "input_caption": "a ball", "output_caption": "a red ball"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(write_bundle(tmp_path_factory.mktemp("bundle") / "b"))


def evaluate(name, root, out, bundle, *more):
    return cli.main(["evaluate", "data", name, "--root", str(root), "--out", str(out), "--bundle",
                     bundle, "--workers", "1", *more])  # fmt: skip


def scores(out):
    rows = json.loads((out / "scores.json").read_text(encoding="utf-8"))["rows"]
    return {row["task"]: row["scores"] for row in rows}


def emu_folder(root, count=2):
    lines = []
    for n in range(count):
        put(root / f"{n}.png", 0.2 + n / 10, 32)
        lines.append(json.dumps({**EMU, "file_name": f"{n}.png"}))
    (root / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return root


def test_evaluate_names_every_layout():
    assert set(DATA) == set(LAYOUTS)


def test_an_edit_set_is_painted_measured_and_resumed(tmp_path, bundle, capsys):
    root = emu_folder(tmp_path / "emu")
    assert evaluate("emu-edit", root, tmp_path / "out", bundle) == 0
    out = capsys.readouterr().out
    assert "2 done, 0 done before" in out
    assert "left out clip: weight clip-vit-base-patch32/" in out
    assert "words: phrasing trained" in out
    before = scores(tmp_path / "out")
    assert set(before["edit"]) == {"l1_source"}
    assert evaluate("emu-edit", root, tmp_path / "out", bundle) == 0
    assert "0 done, 2 done before" in capsys.readouterr().out
    assert scores(tmp_path / "out") == before


def test_two_workers_give_the_same_scores_and_files(tmp_path, bundle):
    root = emu_folder(tmp_path / "emu", 3)
    assert evaluate("emu-edit", root, tmp_path / "one", bundle) == 0
    assert evaluate("emu-edit", root, tmp_path / "two", bundle, "--workers", "2") == 0
    assert scores(tmp_path / "one") == scores(tmp_path / "two")
    for path in (tmp_path / "one").glob("*_answer.png"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def magicbrush(root):
    turns = []
    put(root / "images" / "7" / "7-input.png", 0.3, 32)
    for n in (1, 2):
        put(root / "images" / "7" / f"7-output{n}.png", 0.3 + n / 10, 32)
        before = "7-input.png" if n == 1 else "7-output1.png"
        turns.append({"input": before, "output": f"7-output{n}.png", "instruction": f"edit {n}"})
    (root / "edit_turns.json").write_text(json.dumps(turns), encoding="utf-8")
    return root


def test_magicbrush_turns_are_asked_of_the_answers_before(tmp_path, bundle):
    root = magicbrush(tmp_path / "magic")
    assert evaluate("magicbrush", root, tmp_path / "out", bundle, "--turns", "multi") == 0
    path = tmp_path / "out" / "turn2" / "index.jsonl"
    (record,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert record["path"].endswith("turn1/7-turn1_edit_answer.png")
    rows = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["split"], row["count"]) for row in rows] == [("test multi-turn", 1)]


def test_single_turns_are_asked_of_the_true_pictures(tmp_path, bundle):
    root = magicbrush(tmp_path / "magic")
    assert evaluate("magicbrush", root, tmp_path / "out", bundle) == 0
    rows = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["split"], row["count"]) for row in rows] == [("test", 2)]


def test_inpainting_is_measured_with_what_was_given_laid_over(tmp_path, bundle):
    put(tmp_path / "places" / "val_large" / "1.jpg", 0.7, 64)
    assert evaluate("places-inpaint", tmp_path / "places", tmp_path / "out", bundle, "--side", "64",
                    "--metrics", "l1") == 0  # fmt: skip
    (folder,) = (tmp_path / "out" / "prepared").iterdir()
    answer = open_picture(tmp_path / "out" / "1_inpaint_answer.png")
    true, hole = open_picture(folder / "true" / "1.png"), open_picture(folder / "holes" / "1.png")
    wanted = float(((answer - true).abs() * (hole > 0.5)).mean())
    assert scores(tmp_path / "out")["inpaint"]["l1"] == pytest.approx(wanted, abs=1e-5)


def test_pairs_take_a_task_and_measures_of_choice(tmp_path, bundle, capsys):
    put(tmp_path / "set" / "dark" / "1.png", 0.1, 32)
    put(tmp_path / "set" / "light" / "1.png", 0.6, 32)
    assert evaluate("pairs", tmp_path / "set", tmp_path / "out", bundle, "--pair", "dark", "light",
                    "--task", "lowlight", "--metrics", "l1,fidelity") == 0  # fmt: skip
    found = scores(tmp_path / "out")["lowlight"]
    assert {"psnr_db", "ssim_y", "l1", "psnr_8bit_db"} <= set(found)
    assert found["psnr_8bit_db"] == pytest.approx(found["psnr_db"], abs=0.1)
    assert "no measure 'x'" not in capsys.readouterr().err


def test_pairs_of_a_perceiving_task_are_compared_as_pictures(tmp_path, bundle):
    put(tmp_path / "set" / "input" / "1.png", 0.1, 32)
    put(tmp_path / "set" / "target" / "1.png", 0.6, 32)
    assert evaluate("pairs", tmp_path / "set", tmp_path / "out", bundle, "--task", "depth") == 0
    assert "psnr_db" in scores(tmp_path / "out")["depth"]


UNUSED = {
    "turns": (["emu-edit", "--turns", "multi"], "--turns does nothing for emu-edit"),
    "pair": (["sots", "--pair", "a", "b"], "--pair does nothing for sots; it is for pairs"),
    "draws": (["coco30k", "--draws", "2"], "--draws does nothing for coco30k"),
    "task": (["nyuv2", "--task", "derain"], "--task does nothing for nyuv2"),
    "metrics": (["emu-edit", "--root", ".", "--metrics", "x"], "there is no measure 'x'"),
}


@pytest.mark.parametrize("case", UNUSED)
def test_evaluate_data_refuses_what_a_set_does_not_use(case, tmp_path, capsys):
    words, message = UNUSED[case]
    assert cli.main(["evaluate", "data", *words, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_canny_set_is_asked_with_edges_and_scored_by_them(tmp_path, bundle):
    root = tmp_path / "canny"
    root.mkdir()
    image = torch.zeros(3, 64, 64)
    image[..., 32:] = 1
    from pixwizard_core.files.picture_files import save_picture

    save_picture(root / "a.png", image)
    line = json.dumps({"file_name": "a.png", "text": "a wall"})
    (root / "metadata.jsonl").write_text(line, encoding="utf-8")
    assert evaluate("multigen-canny", root, tmp_path / "out", bundle, "--side", "64", "--draws",
                    "2", "--metrics", "canny_f1") == 0  # fmt: skip
    assert 0 <= scores(tmp_path / "out")["from_canny"]["canny_f1"] <= 1
    assert len(list((tmp_path / "out").glob("*_answer.png"))) == 2
