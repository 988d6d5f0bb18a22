"""pixwizard data, from the command line."""

import json

import pytest
import torch
import torch.nn.functional as F

from pixwizard_core.cli import main
from pixwizard_core.data.lists import read_list
from pixwizard_core.files.picture_files import open_picture, save_picture


def picture(seed):
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (64, 80), mode="bicubic").clamp(0, 1)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        save_picture(folder / f"{number}.png", picture(number))
    return folder


def test_build_writes_what_check_accepts_and_lora_reads(photographs, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["data", "build", str(photographs), "--out", str(out), "--tasks", "derain,canny"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "canny                     3 pairs" in said
    assert "6 pairs built, 0 kept" in said
    sheet = tmp_path / "s.png"
    assert main(["data", "check", str(out / "pairs.jsonl"), "--sheet", str(sheet)]) == 0
    assert "6 pairs, no fault found" in capsys.readouterr().out
    assert open_picture(sheet).shape[0] == 1
    assert main(command) == 0
    assert "0 pairs built, 6 kept" in capsys.readouterr().out


def test_build_tells_what_failed(photographs, tmp_path, capsys):
    (photographs / "bad.png").write_bytes(b"x")
    command = ["data", "build", str(photographs), "--out", str(tmp_path / "o"), "--tasks", "derain"]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "3 pairs built, 0 kept, 1 failed" in told.out
    assert "derain/bad: bad.png cannot be read" in told.err


def test_build_refuses_an_empty_list_of_tasks(photographs, tmp_path, capsys):
    command = ["data", "build", str(photographs), "--out", str(tmp_path / "o"), "--tasks", ","]
    assert main(command) == 2
    assert "cannot be built into no task" in capsys.readouterr().err


def test_list_makes_a_list_of_a_folder_for_training(tmp_path, capsys):
    for name in ("input/a.png", "input/b.png", "target/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_picture(tmp_path / name, picture(1))
    out = tmp_path / "lists" / "pairs.jsonl"
    assert main(["data", "list", str(tmp_path), "--out", str(out), "--instruction", "Derain"]) == 0
    said = capsys.readouterr().out
    assert "left out (an input without a target): 1: b.png" in said
    assert "1 pairs" in said
    (pair,) = read_list(out).pairs
    assert pair.target.samefile(tmp_path / "target" / "a.png")
    assert pair.instructions == ("Derain",)
    released = tmp_path / "pairs.json"
    assert main(["data", "list", str(out), "--out", str(released)]) == 0
    (row,) = json.loads(released.read_text())
    assert (row["width"], row["height"], row["prompt"]) == (80, 64, "Derain")
    assert read_list(released).pairs[0].target.samefile(pair.target)


def test_list_names_pairs_whose_target_cannot_be_read(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("input,target,instruction\na.png,gone.png,x\n")
    assert main(["data", "list", str(tmp_path / "a.csv"), "--out", str(tmp_path / "b.json")]) == 1
    assert "a.csv, line 2: there is no picture" in capsys.readouterr().err


def test_list_refuses_options_that_do_nothing(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("target,instruction\na.png,x\n")
    command = ["data", "list", str(tmp_path / "a.csv"), "--out", str(tmp_path / "b.jsonl")]
    assert main([*command, "--task", "derain"]) == 2
    assert "--task does nothing for a.csv; leave it out" in capsys.readouterr().err


def test_check_finds_a_leak_into_the_validation_list(photographs, tmp_path, capsys):
    out = tmp_path / "out"
    main(["data", "build", str(photographs), "--out", str(out), "--tasks", "derain"])
    listed = str(out / "pairs.jsonl")
    assert main(["data", "check", listed, "--validation", listed]) == 1
    assert "leak: 3: " in capsys.readouterr().out
