"""The command line: what it prints, and its exit status."""

import json
import subprocess
import sys

import pytest
import torch

from pixwizard_core import __version__
from pixwizard_core.cli import main
from pixwizard_core.weights.weightfile import size_in_words
from tests.support.paths import GOLDEN, ROOT


def test_inspect_tells_model_type_and_shape(capsys):
    assert main(["inspect", str(GOLDEN / "checkpoint")]) == 0
    out = capsys.readouterr().out
    assert "PixWizard" in out
    assert "released folder, float32, 1.3 MB" in out
    assert "335,810 in 101 tensors" in out
    assert "dim 48, n_layers 2" in out


def test_inspect_prints_json(capsys):
    assert main(["inspect", "--json", str(GOLDEN / "model_a.safetensors")]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["kind"] == "PixWizard"
    assert values["config"]["dim"] == 96
    assert values["preset"] is None


def test_inspect_of_another_model_is_no_error(capsys):
    assert main(["inspect", str(GOLDEN / "clip_tokens.safetensors")]) == 0
    assert "unknown" in capsys.readouterr().out


def test_convert_says_what_it_wrote(tmp_path, capsys):
    target = tmp_path / "out.safetensors"
    assert main(["convert", str(GOLDEN / "checkpoint"), str(target), "--dtype", "bf16"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{target}: 335,810 parameters, 0.7 MB\n"
    assert "converting: 101 of 101 tensors" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "gone.safetensors"],
        ["convert", "gone", "out.safetensors"],
        ["convert", str(GOLDEN / "clip_tokens.safetensors"), "out.safetensors"],
        ["verify", str(GOLDEN), "--device", "nonsense"],
    ],
    ids=["missing", "missing-source", "wrong-model", "device"],
)
def test_user_errors_are_one_line_and_exit_with_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pixwizard: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["convert", "a", "b", "--dtype", "int3"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: pixwizard" in capsys.readouterr().err


def test_module_runs_as_a_command():
    command = [sys.executable, "-m", "pixwizard_core", "--version"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == f"pixwizard {__version__}\n"


def test_output_cut_short_ends_without_traceback():
    command = f"{sys.executable} -m pixwizard_core inspect {GOLDEN / 'model_a.safetensors'} | true"
    result = subprocess.run(command, cwd=ROOT, shell=True, capture_output=True, text=True)
    assert "Traceback" not in result.stderr


def test_bench_prints_a_row_per_case_and_writes_the_figures(capsys, tmp_path):
    out = tmp_path / "bench.json"
    words = ["bench", "step", "--side", "4", "--text", "8", "--pairs", "1"]
    assert main([*words, "--json", str(out)]) == 0
    machine, heading, *rows = capsys.readouterr().out.splitlines()
    assert "torch" in machine
    assert "load" in machine
    assert heading.split()[0] == "case"
    rows = rows[:3]
    assert [row[:15].strip() for row in rows] == ["two branches", "three branches", "one branch"]
    assert all(float(row.split()[-1]) < 1e-3 for row in rows)  # the ways agree
    written = json.loads(out.read_text())
    assert written["machine"]["torch"] == torch.__version__
    assert [step["case"] for step in written["steps"]] == [row[:15].strip() for row in rows]
    assert all(step["ours_bytes"] < step["reference_bytes"] for step in written["steps"])


def test_bench_refuses_an_unknown_preset(capsys):
    assert main(["bench", "step", "--preset", "huge"]) == 2
    assert "preset 'huge' is unknown" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "text"), [(671_620, "0.7 MB"), (8_050_000_000, "8.05 GB")])
def test_sizes_read_like_a_file_listing(count, text):
    assert size_in_words(count) == text
