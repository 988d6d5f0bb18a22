"""pixwizard doctor: a report that names what is wrong and goes on."""

import shutil

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.verify import doctor


def test_doctor_finds_nothing_wrong_here_and_names_each_file(capsys):
    assert main(["doctor", str(BUNDLE)]) == 0
    text = capsys.readouterr().out
    assert text.count(" right (relative RMS") == 5
    assert "picture      right" in text
    assert "4 weight files" in text
    assert "dit.safetensors: PixWizard, float16, 16.1 MB" in text
    assert "clip.safetensors: CLIP (text and vision), float16" in text


def test_doctor_fails_for_a_broken_file_and_a_missing_folder(tmp_path, capsys):
    models = tmp_path / "models" / "vae"
    models.mkdir(parents=True)
    shutil.copy(BUNDLE / "vae.safetensors", models / "fine.safetensors")
    (models / "broken.safetensors").write_bytes(b"no weights")
    (models / "notes.txt").write_text("not a model", encoding="utf-8")
    assert main(["doctor", str(tmp_path / "models"), str(tmp_path / "absent")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("vae/fine.safetensors: TAESD" in line for line in lines)
    assert any("vae/broken.safetensors: UNREADABLE (CheckpointError" in line for line in lines)
    assert any("absent: MISSING, there is no such folder" in line for line in lines)
    assert not any("notes.txt" in line for line in lines)


@pytest.mark.parametrize(
    ("apart", "dtype", "words"),
    [
        (1e-4, torch.float32, "right"),
        (2e-3, torch.float32, "a little off"),
        (2e-3, torch.bfloat16, "right"),
        (0.2, torch.bfloat16, "WRONG"),
        (float("inf"), torch.float32, "WRONG"),
    ],
)
def test_verdict_knows_what_rounding_explains(apart, dtype, words):
    assert doctor.verdict(apart, dtype) == words


def test_a_part_that_raises_has_its_error_in_its_line():
    def broken():
        raise RuntimeError("no\nkernel")

    (line,) = doctor.compared([("gemma", broken)])
    assert line == "gemma        FAILED: RuntimeError: no kernel"
    assert doctor.is_trouble(line)
