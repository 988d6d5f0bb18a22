"""pixwizard evaluate and pixwizard train: options, output, files."""

import argparse
import dataclasses
import json

import pytest
import torch

from pixwizard_core.bundle import MODEL_FILE
from pixwizard_core.cli import models as cli_models
from pixwizard_core.cli import train as train_command
from pixwizard_core.cli.evaluate import add_evaluate
from pixwizard_core.encoders.tiny import BUNDLE
from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation import sampler_study, scoring
from pixwizard_core.evaluation.score_report import HEADLINE, tasks_of
from pixwizard_core.training.config import BUNDLED, TrainConfig, read_config
from pixwizard_core.weights.checkpoint import open_checkpoint
from pixwizard_core.world.examples import WORLD_TASKS
from tests.support.tiny import tiny_bundle


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    add_evaluate(subparsers)
    train_command.add_train(subparsers)
    return parser.parse_args([str(word) for word in words])


def execute(*words: str) -> int:
    arguments = parse(*words)
    return arguments.command(arguments)


@pytest.fixture
def small(monkeypatch):
    """An untrained bundle in the place of the one on disk."""
    bundle = dataclasses.replace(tiny_bundle(), centres=(64,))  # works at 64 px, for speed
    monkeypatch.setattr(scoring, "SQUARE", (64, 64))
    monkeypatch.setattr(sampler_study, "SQUARE", (64, 64))
    monkeypatch.setattr(cli_models, "load_small", lambda folder, device: bundle)
    return bundle


def test_evaluate_prints_and_writes_scores(small, tmp_path, capsys):
    words = ("evaluate", "world", "--tasks", "mask", "--count", 2, "--wide", 0)
    assert execute(*words, "--phrasings", "held-out", "--out", tmp_path) == 0
    out, err = capsys.readouterr()
    assert "| task | steps | scenes | score | new words | trivial | ceiling |" in out
    assert "| mask | 2 | 2 | iou | " in out
    assert "scoring: 2 of 2 pictures" in err
    assert (tmp_path / "scores.md").read_text(encoding="utf-8") == out
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert scores["tasks"]["mask"]["held_out"].keys() == {"iou", "found", "ciou"}
    assert (tmp_path / "scores.png").is_file() or "no plots: matplotlib is not" in err


def test_evaluate_asks_as_the_model_was_trained_and_says_so(small, tmp_path, capsys):
    words = ("evaluate", "world", "--tasks", "mask", "--count", 2, "--wide", 0)
    assert execute(*words, "--out", tmp_path) == 0
    out = capsys.readouterr().out
    said = "Asked as the model's header says it was trained: mask “Make a black and white mask of "
    assert out.startswith(said)  # the untrained bundle knows no form
    assert "| task | steps | scenes | score | as trained | trivial | ceiling |" in out
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert scores["phrasings"] == ["trained"]
    assert scores["tasks"]["mask"]["trained"].keys() == {"iou", "found", "ciou"}


def test_evaluate_goes_on_where_it_stopped(small, tmp_path, capsys, monkeypatch):
    words = ("--count", 2, "--wide", 0, "--phrasings", "seen", "--out", tmp_path, "--resume")
    assert execute("evaluate", "world", "--tasks", "mask", *words) == 0
    scored = []
    real = scoring.score_task

    def watch(bundle, task, *rest):
        scored.append(task)
        return real(bundle, task, *rest)

    monkeypatch.setattr(scoring, "score_task", watch)
    capsys.readouterr()
    assert execute("evaluate", "world", "--tasks", "depth,mask", *words) == 0
    assert scored == ["depth"]
    assert "| mask | 2 | 2 | iou | " in capsys.readouterr().out
    assert set(json.loads((tmp_path / "scores.json").read_text())["tasks"]) == {"mask", "depth"}
    with pytest.raises(PixWizardError, match=r"scores made with other settings \(seed\)"):
        execute("evaluate", "world", "--tasks", "mask", *words, "--seed", 5)
    with pytest.raises(PixWizardError, match="--resume needs --out"):
        execute("evaluate", "world", "--tasks", "mask", "--resume")


def test_evaluate_tells_masks_apart_by_phrase(small, capsys):
    words = ("--tasks", "mask", "--count", 6, "--wide", 0, "--phrasings", "seen", "--referring")
    assert execute("evaluate", "world", *words) == 0
    out = capsys.readouterr().out
    assert "| masks | scenes | mean IoU | found |" in out
    rows = [line.split(" | ") for line in out.splitlines() if " in view | " in line]
    assert sum(int(row[1]) for row in rows) == 6


def test_evaluate_compares_ways_to_sample(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sampler_study, "SQUARE", (64, 64))
    words = ("--tasks", "depth,mask", "--kinds", "words", "--count", 2)
    files = ("--json", tmp_path / "study.json", "--plot", tmp_path / "study.png")
    assert execute("evaluate", "sampler", *words, *files) == 0
    content = json.loads((tmp_path / "study.json").read_text())
    assert content["machine"]["cores"] >= 1
    assert [(row["task"], row["kind"]) for row in content["rows"]] == [
        ("depth", "own"), ("depth", "words"), ("mask", "own"), ("mask", "words"),
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "| change | depth rmse | mask iou | evaluations | s a picture |" in out
    assert "| another picture's words | " in out


def test_sets_of_tasks():
    assert tasks_of("all") == list(WORLD_TASKS)
    assert tasks_of("headline") == list(HEADLINE)
    assert tasks_of("mask, depth") == ["mask", "depth"]
    header = open_checkpoint(BUNDLE / MODEL_FILE).metadata
    assert set(tasks_of("trained")) == set(header["tasks"].split(","))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "nose"), "the demo world has no task 'nose'"),
        (("--count", 0), "--count and --batch must be at least 1"),
    ],
    ids=["task", "count"],
)
def test_evaluate_refuses(words, message):
    with pytest.raises(PixWizardError, match=message):
        execute("evaluate", "world", *words)


def test_bundled_settings_are_read():
    config = read_config(BUNDLED)
    assert config.seed == config.train.seed == config.data.seed == 0
    assert config.train.batch >= 32


def test_settings_of_a_file_replace_defaults(tmp_path):
    path = tmp_path / "mine.json"
    values = {"seed": 3, "data": {"scenes": 5, "tasks": ["depth"]}, "train": {"minutes": 2}}
    path.write_text(json.dumps(values), encoding="utf-8")
    config = read_config(path)
    assert (config.data.scenes, config.data.tasks, config.data.seed) == (5, ("depth",), 3)
    assert config.train.minutes == 2.0
    assert config.train.batch == TrainConfig().train.batch


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"sed": 1}', "mine.json has no setting 'sed'; there are seed, device"),
        ('{"train": {"batch": "many"}}', r"\[train\]: batch should be like 32. Got: 'many'"),
        ('{"train": 3}', r"\[train\] is a table of settings. Got: 3"),
        ("{", "mine.json is not valid JSON"),
        ("[1]", "should hold one object"),
    ],
    ids=["name", "kind", "table", "json", "list"],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PixWizardError, match=message):
        read_config(path)


def test_broken_toml_and_missing_files_are_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("seed = ", encoding="utf-8")
    with pytest.raises(PixWizardError, match=r"mine\.toml is"):
        read_config(path)
    with pytest.raises(PixWizardError, match=r"there is no settings file gone\.toml in"):
        read_config(tmp_path / "gone.toml")


def test_flags_go_before_the_file():
    changes = train_command._changes(
        parse("train", "--out", "x", "--minutes", 1.5, "--tasks", "depth,mask", "--seed", 4)
    )
    config = read_config(BUNDLED).with_values(changes)
    assert config.train.minutes == 1.5
    assert config.data.tasks == ("depth", "mask")
    assert config.data.seed == config.train.seed == 4
    assert config.train.batch == read_config(BUNDLED).train.batch


@pytest.fixture
def small_training(monkeypatch):
    """Training of a smaller transformer on smaller pictures."""
    from pixwizard_core.training import dataset, small_model
    from tests.support.tiny import tiny_config

    sizes = {"cap_feat_dim": 128, "cap_clip_feat_dim": 128, "image_feat_dim": 96}
    monkeypatch.setattr(small_model, "TINY", tiny_config(sample_tokens=16, **sizes))
    monkeypatch.setattr(dataset, "BUCKETS", ((32, 32),))
    monkeypatch.setattr(dataset, "BUCKET_SHARES", (1.0,))


def test_train_runs_a_first_stage_and_goes_on_from_it(small_training, tmp_path, capsys):
    stage = {"device": "cpu", "data": {"scenes": 3, "tasks": ["depth"]}, "train": {"batch": 2}}
    first = tmp_path / "one.json"
    first.write_text(json.dumps({**stage, "train": {"batch": 2, "steps": 1}}), encoding="utf-8")
    second = tmp_path / "two.json"
    second.write_text(json.dumps({**stage, "start": str(first)}), encoding="utf-8")
    words = ("train", "--config", second, "--out", tmp_path / "out", "--steps", 2)
    assert execute(*words) == 0
    out = capsys.readouterr().out
    assert [f"of {count} steps" in out for count in (1, 2, 3)] == [True, True, False]
    for folder in (tmp_path / "out", tmp_path / "out" / "work" / "one"):
        assert (folder / "dit.safetensors").is_file()


def test_minutes_on_the_command_line_take_the_place_of_steps():
    changes = train_command._changes(parse("train", "--out", "x", "--minutes", 3))
    train = read_config(BUNDLED).with_values(changes).train
    assert (train.minutes, train.steps) == (3.0, 0)


def test_train_makes_samples_trains_and_writes_weights(small_training, tmp_path, capsys):
    from pixwizard_core.weights.checkpoint import load_model

    words = ("--out", tmp_path, "--scenes", 4, "--tasks", "depth,mask", "--batch", 4)
    words = ("train", *words, "--device", "cpu", "--workers", 1, "--start", "", "--no-compile")
    assert execute(*words, "--steps", 2) == 0
    assert "step      2" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 2
    assert set(rows[-1]["tasks"]) <= {"depth", "mask"}
    for name in ("dit", "text", "clip"):
        assert (tmp_path / f"{name}.safetensors").is_file()
    assert tasks_of("trained", tmp_path) == ["depth", "mask"]
    first = load_model(tmp_path / "dit.safetensors").state_dict()
    assert execute(*words, "--steps", 3) == 0  # goes on where the first run ended
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 3]
    again = load_model(tmp_path / "dit.safetensors").state_dict()
    assert not all(torch.equal(first[name], again[name]) for name in first)
