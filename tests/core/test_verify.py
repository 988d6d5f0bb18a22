"""Verification: it passes on the recorded vectors and fails on anything else."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from pixwizard_core.cli import main
from pixwizard_core.errors import PixWizardError
from pixwizard_core.verify import KINDS, verify
from pixwizard_core.verify.checks import Check, close
from pixwizard_core.verify.other_cases import picture
from pixwizard_core.verify.report import Outcome
from tests.support.paths import GOLDEN

QUICK = ("rope", "sizes", "clip_preprocess", "checkpoint_forward")


def cut(folder, keep_cases: int = 1):
    """A copy of the recorded vectors with only the first cases of each file: quick to run."""
    shutil.copytree(GOLDEN, folder)
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        if "cases" in content:
            content["cases"] = content["cases"][:keep_cases]
            path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def vectors(tmp_path):
    return cut(tmp_path / "vectors")


def failures(report) -> list[str]:
    return [outcome.line() for outcome in report.outcomes if not outcome.ok]


def edit_tensor(path, name, change):
    tensors = load_file(path)
    tensors[name] = change(tensors[name].clone())
    save_file(tensors, path)


@pytest.mark.slow
def test_verify_passes_on_all_recorded_vectors():
    report = verify(GOLDEN)
    assert failures(report) == []
    assert report.total() == "175 passed, 0 failed"


def test_verify_passes_on_one_case_of_each_file(vectors):
    report = verify(vectors)
    assert failures(report) == []
    names = " ".join(outcome.name for outcome in report.outcomes)
    for part in ("cfg_model_a", "ode_model_b", "forward_model_a", "rope", "table 768", "t_embed"):
        assert part in names


MODEL_CASES = ("forward_model_a mixed_zero_noise", "cfg_model_a cfg000", "ode_model_a ode00_euler")


def test_verify_checks_both_ways_of_computing(vectors):
    (vectors / "rope.json").unlink()
    labels = {}
    for outcome in verify(vectors).outcomes:
        labels[outcome.name] = [check.label for check in outcome.checks]
    for name in MODEL_CASES:
        assert {"plain", "prepared"} <= set(labels[name])
    recorded = {"x_embed", "adaln_input", "task_emb", "layer2_out", "scores", "chosen tokens"}
    assert recorded <= set(labels["forward_model_a mixed_zero_noise"])


TAMPERED = {
    "forward": ("forward_model_a", "mixed_zero_noise.out2"),
    "guided": ("cfg_model_b", "cfg000.out"),
    "ode": ("ode_model_b", "ode00_euler.final"),
    "trajectory": ("ode_model_a", "ode00_euler.trajectory_branch0"),
    "rope": ("rope", "rope0.imag"),
    "clip": ("clip_preprocess", "out0"),
    "scores": ("forward_model_a", "mixed_zero_noise.logits"),
    "checkpoint": ("checkpoint_forward", "ckpt_forward.out0"),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_verify_fails_when_one_number_is_changed(vectors, kind):
    file, tensor = TAMPERED[kind]

    def change(values):
        values.view(-1)[0] += 0.01
        return values

    edit_tensor(vectors / f"{file}.safetensors", tensor, change)
    for path in vectors.glob("*.json"):
        if path.stem not in (file, "model_a", "model_b", "clip_tokens"):
            path.unlink()
    bad = [line for line in failures(verify(vectors)) if line.startswith(f"FAIL {file} ")]
    assert len(bad) == 1


def test_verify_fails_when_a_weight_is_changed(vectors):
    edit_tensor(vectors / "model_b.safetensors", "layers.1.attention.gate", lambda gate: gate + 0.1)
    bad = failures(verify(vectors))
    assert len(bad) >= 3
    assert all("model_b" in line for line in bad)


def test_verify_fails_on_a_wrong_size(vectors):
    content = json.loads((vectors / "sizes.json").read_text())
    content["tables"]["768"][3] = [16, 16]
    content["results_w_h_res"]["512"][7] = [16, 16, 512]
    (vectors / "sizes.json").write_text(json.dumps(content))
    bad = failures(verify(vectors))
    assert [line.split()[1:4] for line in bad] == [
        ["sizes", "table", "768"],
        ["sizes", "choice", "512"],
    ]


def test_verify_fails_on_not_a_number(vectors):
    edit_tensor(vectors / "rope.safetensors", "rope0.real", lambda real: real * float("nan"))
    assert len(failures(verify(vectors))) == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "forward"])
def test_verify_fails_when_a_kind_is_missing(vectors, kind):
    for path in vectors.glob("*.json"):
        content = json.loads(path.read_text())
        if content.get("kind") == kind or (kind == "checkpoint" and "weights" in content):
            path.unlink()
        elif "cases" in content and content["kind"] != "rope":
            content["cases"] = []  # the other kinds need not run for this
            path.write_text(json.dumps(content))
    assert f"FAIL {kind}: no case of this kind in the folder" in failures(verify(vectors))


def test_verify_fails_on_an_unknown_kind(vectors):
    (vectors / "new.json").write_text('{"kind": "brand_new", "cases": [{}]}')
    assert failures(verify(vectors)) == ["FAIL new : cases of kind 'brand_new' are not known here"]


def test_verify_goes_on_after_a_case_that_cannot_run(vectors):
    (vectors / "model_b.safetensors").unlink()
    report = verify(vectors)
    assert report.passed > 10
    assert all("model_b" in line for line in failures(report))


def test_verify_reads_other_file_and_model_names(vectors):
    for path in list(vectors.glob("*model_b*")):
        path.rename(path.with_name(path.name.replace("model_b", "small.second")))
    for path in vectors.glob("*small.second.json"):
        path.write_text(path.read_text().replace("model_b", "small.second"))
    assert failures(verify(vectors)) == []


OPTIONAL_ENTRIES = {
    "outputs": {"x_embed", "adaln_input", "task_emb", "x_mask", "layer0_out", "final_all_branches",
                "trajectory_branch0", "time_grid", "eval_t"},
    "case": {"selected", "sum", "sumsq", "active_samples", "record_seed", "args"},
    "file": {"namespace", "tensors", "note", "set"},
}  # fmt: skip


def test_verify_needs_no_optional_entries(vectors):
    (vectors / "official_2b_shapes.json").unlink()
    for path in vectors.glob("*.json"):
        content = json.loads(path.read_text())
        if "cases" not in content:
            continue
        for name in OPTIONAL_ENTRIES["file"]:
            content.pop(name, None)
        for case in content["cases"]:
            for name in OPTIONAL_ENTRIES["case"] - ({"args"} if case.get("args") else set()):
                case.pop(name, None)
            for name in OPTIONAL_ENTRIES["outputs"]:
                case.get("outputs", {}).pop(name, None)
        path.write_text(json.dumps(content))
    report = verify(vectors)
    assert failures(report) == []
    assert report.passed > 20


def test_verify_in_float64_agrees_with_float32_vectors(vectors):
    for path in vectors.glob("ode_*"):
        path.unlink()
    bad = failures(verify(vectors, dtype=torch.float64))
    assert bad == ["FAIL sample_ode: no case of this kind in the folder"]


def test_command_prints_a_line_per_case_and_the_total(vectors, capsys):
    for path in vectors.glob("*model_*.json"):
        path.unlink()
    assert main(["verify", str(vectors)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split()[1] == "passed,"
    passed = sum(line.startswith("ok ") for line in lines)
    failed = sum(line.startswith("FAIL ") for line in lines)
    assert lines[-1] == f"{passed} passed, {failed} failed"
    assert failed == 2  # forward_with_cfg and sample_ode are missing
    assert "tolerance 1e-06" in next(line for line in lines if "rope0" in line)


def test_command_fails_on_an_empty_or_absent_folder(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert main(["verify", str(tmp_path / "gone")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == lines[3] == "0 passed, 1 failed"
    assert "holds no .json" in lines[0]
    assert "is not a folder of reference vectors" in lines[2]


def test_check_of_another_shape_fails():
    assert not close("x", torch.zeros(2), torch.zeros(3), 1.0).ok
    assert close("x", torch.zeros(2), torch.full((2,), 0.5), 1.0) == Check("x", 0.5, 1.0)


def test_outcome_without_checks_fails():
    assert not Outcome("empty").ok
    assert "holds nothing to compare" in Outcome("empty").line()


def test_picture_follows_its_formula():
    found = picture("u8[c,y,x]=(37*x+91*y+53*c+(x*y)//7)%256", 9, 8)
    assert found.shape == (3, 9, 8)
    assert int(found[2, 8, 7]) == (37 * 7 + 91 * 8 + 53 * 2 + 8) % 256


def test_picture_refuses_anything_but_arithmetic():
    with pytest.raises(PixWizardError, match="not plain arithmetic"):
        picture("u8[c,y,x]=__import__('os').getpid()", 2, 2)
