"""LoRA files by name and strength: on the command line, in batches, in Python, and merged."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pixwizard_core import interface
from pixwizard_core.bundle import MODEL_FILE, load_tiny, with_loras
from pixwizard_core.cli import main
from pixwizard_core.errors import CheckpointError, PixWizardError
from pixwizard_core.fleet.job import ModelFiles
from pixwizard_core.taught import taught_header
from pixwizard_core.weights.convert import convert
from pixwizard_core.weights.lora_apply import add_loras
from pixwizard_core.weights.lora_header import header_of, lora_header, word_lines
from pixwizard_core.weights.lora_use import LoraUse, parse_use, uses_of
from tests.support.bundles import write_bundle
from tests.support.loras import write_lora

NIGHT = "make it night"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small model that says it was taught depth, and three LoRA files for it."""
    folder = tmp_path_factory.mktemp("small")
    bundle = write_bundle(folder / "bundle", taught_header(["depth"]))
    write_lora(folder / "night.safetensors", bundle, 1, words=[NIGHT], base="Small")
    write_lora(folder / "other.safetensors", bundle, 2, words=["b", "a", "a"], tasks=["mask"])
    write_lora(folder / "nothing.safetensors", bundle, 3, std=0.0)
    Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(
        folder / "photo.png"
    )
    return folder


def run_command(small: Path, out: Path, *words) -> int:
    command = ["run", small / "photo.png", "--bundle", small / "bundle", "--steps", "1"]
    return main([str(word) for word in [*command, "--out", out, *words]])


def painted(out: Path) -> np.ndarray:
    return np.array(Image.open(out / "photo_edit_answer.png"))


@pytest.mark.parametrize(
    ("text", "path", "strength"),
    [
        ("x.safetensors", "x.safetensors", None),
        ("x.safetensors:0.5", "x.safetensors", 0.5),
        ("x.safetensors:-1", "x.safetensors", -1.0),
        ("x.safetensors:1e-1", "x.safetensors", 0.1),
        ("x:y.safetensors:.5", "x:y.safetensors", 0.5),
        (r"C:\x.safetensors", r"C:\x.safetensors", None),
        (r"C:\x.safetensors:0.5", r"C:\x.safetensors", 0.5),
        ("C:/x/y.safetensors:2", "C:/x/y.safetensors", 2.0),
        ("C:x.safetensors", "C:x.safetensors", None),
        ("a:b/x.safetensors", "a:b/x.safetensors", None),
    ],
)
def test_parse_use_finds_the_strength_behind_the_last_colon(text, path, strength):
    assert parse_use(text) == (path, strength)


@pytest.mark.parametrize(
    "text", ["x.safetensors:strong", "x.safetensors:", "x.safetensors:nan", "xx:inf", "xx:1e999"]
)
def test_parse_use_refuses_what_is_no_number(text):
    with pytest.raises(PixWizardError, match=r"FILE or FILE:STRENGTH with a number such as 0\.8"):
        parse_use(text)


def test_parse_use_refuses_a_strength_of_no_file():
    with pytest.raises(PixWizardError, match=r"no file is named\. Got: :0\.5"):
        parse_use(":0.5")


def test_parse_use_takes_a_file_of_this_very_name(tmp_path):
    (tmp_path / "x:0.5").write_bytes(b"")
    assert parse_use(str(tmp_path / "x:0.5")) == (str(tmp_path / "x:0.5"), None)


@pytest.mark.parametrize(
    ("given", "uses"),
    [
        (None, []),
        ([], []),
        ("a", [("a", 1.0)]),
        (Path("a"), [("a", 1.0)]),
        (("a", 0.5), [("a", 0.5)]),
        (("a", "b"), [("a", 1.0), ("b", 1.0)]),
        (["a", ("b", 2)], [("a", 1.0), ("b", 2.0)]),
        ((("a", 0.5), ("b", 2)), [("a", 0.5), ("b", 2.0)]),
        (LoraUse("a", 3.0), [("a", 3.0)]),
    ],
)
def test_uses_of_takes_paths_pairs_and_lists(given, uses):
    assert uses_of(given) == tuple(LoraUse(path, strength) for path, strength in uses)


@pytest.mark.parametrize("given", [3, {"a": 1}, ["a", 0.5], [None], b"a", ("a", 0.5, "b")])
def test_uses_of_refuses_other_values(given):
    with pytest.raises(PixWizardError, match=r"lora takes a path, \(path, strength\), or a list"):
        uses_of(given)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), None, True])
def test_uses_of_refuses_a_strength_that_is_no_number(strength):
    with pytest.raises(PixWizardError, match="the strength of a must be a number"):
        uses_of(("a", strength))


def test_files_add_up_and_are_rounded_once(small):
    uses = uses_of([(small / "night.safetensors", 0.5), small / "other.safetensors"])
    model, plain = (load_tiny(small / "bundle").model.bfloat16() for _ in range(2))
    applied = add_loras(model, uses)
    name = "layers.0.attention.wq"
    parts = [load_file(use.path) for use in uses]
    total = plain.get_submodule(name).weight.float()
    for use, part in zip(uses, parts, strict=True):
        at = f"diffusion_model.{name}.lora"
        total = total + use.strength * part[f"{at}_B.weight"] @ part[f"{at}_A.weight"]
    assert torch.equal(model.get_submodule(name).weight, total.bfloat16())
    assert [len(one.layers) for one in applied] == [11, 11]  # one block


def test_files_that_overflow_together_change_nothing(small):
    model, plain = (load_tiny(small / "bundle").model.half() for _ in range(2))
    most = 0.0
    for name, part in load_file(small / "night.safetensors").items():
        if name.endswith("lora_B.weight"):
            down = load_file(small / "night.safetensors")[name.replace("lora_B", "lora_A")]
            most = max(most, float((part @ down).abs().max()))
    use = LoraUse(str(small / "night.safetensors"), 40_000 / most)
    with pytest.raises(CheckpointError, match=r"together take .* beyond the numbers of float16"):
        add_loras(model, [use, use])
    assert all(map(torch.equal, model.parameters(), plain.parameters()))


@pytest.mark.parametrize(("name", "strength"), [("nothing", 1.0), ("night", 0.0)])
def test_a_lora_that_changes_nothing_says_so(small, name, strength):
    use = LoraUse(str(small / f"{name}.safetensors"), strength)
    (applied,) = add_loras(load_tiny(small / "bundle").model, [use])
    (told,) = ModelFiles(str(small / "bundle"), loras=(use,)).lora_changes()
    assert applied.line == told.line == f"{use.path}: changes nothing, strength {strength:g}"
    assert applied.layers == told.layers == ()


def test_a_batch_says_of_a_lora_what_a_run_says(small):
    use = LoraUse(str(small / "night.safetensors"), 0.5)
    (told,) = ModelFiles(str(small / "bundle"), loras=(use,)).lora_changes()
    assert told == add_loras(load_tiny(small / "bundle").model, [use])[0]
    assert told.line == f"{use.path}: changes 11 layers, strength 0.5"


def test_run_and_python_paint_the_same_with_a_lora(small, tmp_path, monkeypatch):
    words = ("--instruction", NIGHT, "--seed", 3)
    found = {}
    for name, more in {
        "plain": (),
        "colon": ("--lora", f"{small / 'night.safetensors'}:0.5"),
        "strength": ("--lora", small / "night.safetensors", "--strength", "0.5"),
        "two": (
            "--lora", f"{small / 'night.safetensors'}:0.5", "--lora", small / "other.safetensors",
        ),
    }.items():
        assert run_command(small, tmp_path / name, *words, *more) == 0
        found[name] = painted(tmp_path / name)
    assert np.array_equal(found["colon"], found["strength"])
    assert not np.array_equal(found["colon"], found["plain"])
    assert not np.array_equal(found["colon"], found["two"])
    report = json.loads((tmp_path / "two" / "photo_edit_report.json").read_text())
    assert report["loras"] == ["night.safetensors 0.5", "other.safetensors 1"]
    bundled = load_tiny
    monkeypatch.setattr(interface, "load_tiny", lambda device: bundled(small / "bundle", device))
    pw = interface.load(lora=[(small / "night.safetensors", 0.5), small / "other.safetensors"])
    answer = pw("custom", small / "photo.png", caption=NIGHT, seed=3, steps=1)
    assert np.array_equal(np.array(answer.image), found["two"])


def test_python_warns_of_a_lora_that_changes_nothing(small, monkeypatch):
    bundled = load_tiny
    monkeypatch.setattr(interface, "load_tiny", lambda device: bundled(small / "bundle", device))
    with pytest.warns(UserWarning, match=r"nothing\.safetensors: changes nothing, strength 1"):
        interface.load(lora=small / "nothing.safetensors")


def test_run_refuses_two_strengths_and_a_strength_alone(small, tmp_path, capsys):
    lora = small / "night.safetensors"
    words = ("--instruction", NIGHT)
    assert run_command(small, tmp_path, *words, "--lora", f"{lora}:0.5", "--strength", "2") == 2
    assert f"give the strength of {lora} once" in capsys.readouterr().err
    assert run_command(small, tmp_path, *words, "--strength", "2") == 2
    assert "--strength applies to a LoRA; give its file with --lora" in capsys.readouterr().err
    assert run_command(small, tmp_path, *words, "--lora", lora, "--strength", "nan") == 2
    assert "--strength must be a number such as 0.8. Got: nan" in capsys.readouterr().err


def test_batch_takes_loras_and_knows_results_of_others_apart(small, tmp_path, capsys):
    command = ["batch", small / "photo.png", "--bundle", small / "bundle", "--steps", 1]
    command += ["--instruction", NIGHT, "--workers", 1, "--out", tmp_path / "out"]
    lora = f"{small / 'night.safetensors'}:"

    def done(*words) -> str:
        assert main([str(word) for word in [*command, *words]]) == 0
        return capsys.readouterr().out.splitlines()[-1].split(";")[0]

    assert done() == "1 done, 0 done before, 0 failed"
    assert done("--lora", lora + "0.5") == "1 done, 0 done before, 0 failed"
    assert done("--lora", lora + "0.5") == "0 done, 1 done before, 0 failed"
    assert done("--lora", lora + "0.6") == "1 done, 0 done before, 0 failed"


def test_batch_paints_what_the_merged_model_paints(small, tmp_path):
    shutil.copytree(small / "bundle", tmp_path / "bundle")
    lora = (small / "night.safetensors", 0.5)
    (tmp_path / "bundle" / MODEL_FILE).unlink()
    convert(
        small / "bundle" / MODEL_FILE, tmp_path / "bundle" / MODEL_FILE, "fp32",
        loras=uses_of(lora),
    )  # fmt: skip
    found = []
    for name, bundle, words in (
        ("plain", small / "bundle", []),
        ("lora", small / "bundle", ["--lora", f"{lora[0]}:{lora[1]}"]),
        ("merged", tmp_path / "bundle", []),
    ):
        command = ["batch", small / "photo.png", "--bundle", bundle, "--steps", 1, *words]
        command += ["--instruction", NIGHT, "--workers", 1, "--out", tmp_path / name]
        assert main([str(word) for word in command]) == 0
        (answer,) = (tmp_path / name).rglob("*_answer.png")
        found.append(np.array(Image.open(answer)))
    assert np.array_equal(found[1], found[2])
    assert not np.array_equal(found[0], found[1])


def test_fingerprint_knows_the_lora_its_strength_and_the_settings_beside(small, tmp_path):
    plain = ModelFiles(str(small / "bundle"))
    lora = tmp_path / "adapter_model.safetensors"
    lora.write_bytes((small / "night.safetensors").read_bytes())

    def mark(*uses) -> str:
        return ModelFiles(str(small / "bundle"), loras=tuple(uses)).fingerprint()

    use, other = LoraUse(str(lora)), LoraUse(str(small / "other.safetensors"))
    marks = [plain.fingerprint(), mark(use), mark(LoraUse(str(lora), 0.5)), mark(other)]
    marks += [mark(use, other), mark(other, use)]
    (tmp_path / "adapter_config.json").write_text('{"r": 2, "lora_alpha": 1}')
    marks.append(mark(use))
    assert len(set(marks)) == len(marks)
    renamed = tmp_path / "renamed" / "night.safetensors"
    renamed.parent.mkdir()
    renamed.write_bytes((small / "night.safetensors").read_bytes())
    assert mark(LoraUse(str(renamed))) == marks[1]
    model = ModelFiles(str(small / "bundle"), loras=(use,))
    assert pickle.loads(pickle.dumps(model)) == model


def test_a_missing_lora_is_named(small, tmp_path, capsys):
    lora = tmp_path / "none.safetensors"
    assert run_command(small, tmp_path, "--instruction", NIGHT, "--lora", lora) == 2
    assert "none.safetensors" in capsys.readouterr().err
    command = ["batch", small / "photo.png", "--bundle", small / "bundle", "--out", tmp_path]
    assert main([str(w) for w in [*command, "--instruction", NIGHT, "--lora", lora]]) == 2
    assert "none.safetensors" in capsys.readouterr().err


def test_a_lora_of_another_model_is_refused_before_a_batch_begins(small, tmp_path, capsys):
    weights = {"diffusion_model.nowhere.lora_A.weight": torch.zeros(2, 2)}
    save_file(weights, tmp_path / "x.safetensors")
    command = ["batch", small / "photo.png", "--bundle", small / "bundle", "--out", tmp_path / "o"]
    lora = ["--lora", tmp_path / "x.safetensors"]
    assert main([str(w) for w in [*command, "--instruction", NIGHT, *lora]]) == 2
    assert "nothing in x.safetensors fits this PixWizard model" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_convert_merges_loras_and_says_so_in_the_header(small, tmp_path, capsys):
    command = ["convert", small / "bundle" / MODEL_FILE, tmp_path / "merged.safetensors"]
    command += ["--dtype", "fp32", "--lora", f"{small / 'night.safetensors'}:0.5"]
    assert main([str(word) for word in [*command, "--lora", small / "other.safetensors"]]) == 0
    assert "night.safetensors: changes 11 layers, strength 0.5" in capsys.readouterr().err
    uses = uses_of([(small / "night.safetensors", 0.5), small / "other.safetensors"])
    bundle, _ = with_loras(load_tiny(small / "bundle"), uses)
    merged = load_file(tmp_path / "merged.safetensors")
    wanted = bundle.model.state_dict()
    assert sorted(merged) == sorted(wanted)
    assert all(torch.equal(merged[name], wanted[name]) for name in wanted)
    with safe_open(tmp_path / "merged.safetensors", "pt") as file:
        rows = json.loads(file.metadata()["pixwizard.loras"])
    assert rows == [
        {"file": "night.safetensors", "strength": 0.5, "base": "Small", "words": [NIGHT],
         "tasks": []},
        {"file": "other.safetensors", "strength": 1.0, "base": "", "words": ["a", "b"],
         "tasks": ["mask"]},
    ]  # fmt: skip
    again = tmp_path / "again.safetensors"
    back = uses_of((small / "night.safetensors", -1))
    convert(tmp_path / "merged.safetensors", again, loras=back)
    with safe_open(again, "pt") as file:
        files = [row["file"] for row in json.loads(file.metadata()["pixwizard.loras"])]
    assert files == ["night.safetensors", "other.safetensors", "night.safetensors"]


def test_convert_does_not_replace_the_lora(small, tmp_path):
    lora = tmp_path / "l.safetensors"
    lora.write_bytes((small / "night.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="is a LoRA to merge; name another file"):
        convert(small / "bundle" / MODEL_FILE, lora, loras=[LoraUse(str(lora))])


def test_header_says_the_words_the_most_frequent_first(small):
    found = header_of(small / "other.safetensors")
    assert (found.words, found.count, found.tasks) == (("a", "b"), 2, ("mask",))
    found = header_of(small / "night.safetensors")
    assert (found.words, found.base) == ((NIGHT,), "Small")
    many = lora_header([f"words {number}" for number in range(99)], [], "", {})
    assert len(json.loads(many["pixwizard.words"])) == 64
    assert many["pixwizard.words_count"] == "99"


def test_header_of_another_trainer_gives_its_trigger(small, tmp_path):
    path = tmp_path / "x.safetensors"
    header = {"modelspec.trigger_phrase": "in\x1b ink\n"}
    save_file(load_file(small / "night.safetensors"), path, header)
    assert header_of(path).words == ("in ink",)


@pytest.mark.parametrize("value", ["{", "3", '["a", 1]'])
def test_damaged_words_are_refused(small, tmp_path, value):
    path = tmp_path / "x.safetensors"
    save_file(load_file(small / "night.safetensors"), path, {"pixwizard.words": value})
    with pytest.raises(CheckpointError, match=r"x\.safetensors: the header entry pixwizard\.words"):
        header_of(path)


def test_word_lines_of_a_silent_file_say_so(small):
    lines = word_lines("nothing.safetensors", header_of(small / "nothing.safetensors"))
    assert lines == ["nothing.safetensors does not say which instructions it was trained on"]


def test_tasks_lists_what_the_loras_were_taught(small, capsys):
    loras = ["--lora", small / "night.safetensors", "--lora", small / "other.safetensors"]
    command = ["run", "--tasks", "--bundle", small / "bundle", *loras]
    assert main([str(word) for word in command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-6:] == [
        "night.safetensors was trained on 1 instructions:",
        f"    {NIGHT}",
        "other.safetensors was trained on the task mask",
        "other.safetensors was trained on 2 instructions:",
        "    a",
        "    b",
    ]
    not_taught = {line.split()[0] for line in lines if line.endswith("(not taught to this model)")}
    assert "mask" not in not_taught
    assert "normal" in not_taught


def test_the_only_words_of_a_lora_need_not_be_repeated(small, tmp_path, capsys):
    lora = small / "night.safetensors"
    assert run_command(small, tmp_path / "a", "--lora", lora) == 0
    assert f"instruction (of the LoRA): {NIGHT}" in capsys.readouterr().err
    assert run_command(small, tmp_path / "b", "--lora", lora, "--instruction", NIGHT) == 0
    assert np.array_equal(painted(tmp_path / "a"), painted(tmp_path / "b"))
    assert run_command(small, tmp_path / "c", "--lora", small / "other.safetensors") == 2
    said = capsys.readouterr().err
    assert "say what to do: --task NAME" in said
    assert "trained: --task mask, --instruction 'a', --instruction 'b'" in said
    assert run_command(small, tmp_path / "c", "--lora", small / "nothing.safetensors") == 2
    assert "the LoRA names no words" in capsys.readouterr().err
