"""pixwizard train-lora and train on one's own pairs: options, output, endings."""

import argparse
import json
import signal

import pytest

from pixwizard_core.cli import teach as command
from pixwizard_core.cli import train as train_command
from pixwizard_core.errors import PixWizardError
from pixwizard_core.training.teach import parts as parts_module
from pixwizard_core.weights.lora_header import header_of
from pixwizard_core.weights.weightfile import open_weights
from tests.support.teach import pair_folder, small_parts


def parse(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    command.add_train_lora(subparsers)
    train_command.add_train(subparsers)
    return parser.parse_args([str(word) for word in words])


def execute(*words: object) -> int:
    arguments = parse(*words)
    return arguments.command(arguments)


@pytest.fixture
def small(monkeypatch):
    """A small untrained model in the place of the bundled one."""
    monkeypatch.setattr(parts_module, "small_parts", lambda folder, device: small_parts())


@pytest.fixture
def pairs(tmp_path):
    return pair_folder(tmp_path / "pairs", 2)


QUICK = ("--steps", 1, "--batch", 2, "--rank", 2)


def test_lora_of_a_folder_is_written_and_named(small, pairs, tmp_path, capsys):
    words = ("--instruction", "Swap it.", "--out", tmp_path / "out", *QUICK)
    assert execute("train-lora", pairs, *words) == 0
    out = capsys.readouterr().out
    assert "2 pairs (2 of 32 x 32 px), 0 held out; LoRA of rank 2 of a small model, 1 steps" in out
    assert "step 1 of 1  loss " in out
    assert out.splitlines()[-1] == str(tmp_path / "out" / "lora.safetensors")
    said = header_of(tmp_path / "out" / "lora.safetensors")
    assert (said.words, said.tasks, said.base) == (("Swap it.",), (), "a small model")


def test_lora_of_the_demo_world_names_its_tasks(small, tmp_path):
    words = ("--tasks", "mask", "--scenes", 1, "--out", tmp_path / "out", *QUICK)
    assert execute("train-lora", "world", *words) == 0
    assert header_of(tmp_path / "out" / "lora.safetensors").tasks == ("mask",)


def test_older_spelling_does_the_same(small, pairs, tmp_path):
    words = ("--instruction", "Swap it.", *QUICK)
    assert execute("train", "--lora", pairs, "--out", tmp_path / "a", *words) == 0
    assert execute("train-lora", pairs, "--out", tmp_path / "b", *words) == 0
    first, second = (open_weights(tmp_path / n / "lora.safetensors") for n in "ab")
    assert first.metadata == second.metadata


def test_whole_model_is_trained_where_no_lora_is_asked_for(small, pairs, tmp_path):
    words = ("--instruction", "Swap it.", "--steps", 1, "--batch", 2, "--out", tmp_path / "out")
    assert execute("train", pairs, *words) == 0
    assert (tmp_path / "out" / "dit.safetensors").is_file()


def test_settings_file_names_sources_and_the_command_line_goes_before(small, pairs, tmp_path):
    values = {
        "steps": 9, "batch": 2, "rank": 2,
        "sources": [{"path": str(pairs), "instruction": "From the file."}],
    }  # fmt: skip
    path = tmp_path / "lesson.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    assert execute("train-lora", "--config", path, "--steps", 1, "--out", tmp_path / "out") == 0
    header = open_weights(tmp_path / "out" / "lora.safetensors").metadata
    assert header["steps"] == "1"
    assert header_of(tmp_path / "out" / "lora.safetensors").words == ("From the file.",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--lora", "L", "--config", "no.toml"), r"no settings file no\.toml"),
        (("train", "--lora", "L", "--minutes", 3), "--minutes does nothing for a LoRA"),
        (("train", "--lora", "L", "--autoencoder", "a"), "--autoencoder does nothing for a LoRA"),
        (("train", "--lora", "L", "--workers", 2), "--workers does nothing for a LoRA"),
        (("train", "--lora", "L", "pairs"), "leave the other sources out"),
        (("train", "L", "--start", "bundled"), "--start does nothing for pairs of your own"),
        (("train", "L", "--rank", 4), "--rank does nothing for a whole model"),
        (("train", "--rank", 4), "--rank does nothing for the bundled model"),
        (("train", "--resume"), "--resume does nothing for the bundled model"),
        (("train", "--instruction", "x"), "--instruction does nothing for the bundled model"),
        (("train-lora",), "there is nothing to train on; name a folder or a list of pairs"),
        (("train-lora", "--instruction", "x"), "--instruction does nothing without a source"),
        (("train-lora", "L", "--steps", -5), "the command line: steps is a whole number, at least"),
        (("train-lora", "L", "--rank", 500), "rank is at most 16 for this model"),
        (("train-lora", "L", "--tasks", "depth"), "--tasks does nothing for pairs of your own"),
        (("train-lora", "world", "--root", "r"), "--root does nothing for the demo world"),
        (("train-lora", "gone"), "there is no source gone"),
        (("train-lora", "L", "--model", "m"), "four parts; give also --gemma, --clip, --vae"),
        (("train-lora", "L", "--lumina", "l"), "--lumina begins a whole model"),
        (("train", "L", "--lumina", "l", "--model", "m"), "--model does nothing beside --lumina"),
        (("train", "L", "--lumina", "l"), "four parts; give also --gemma, --clip, --vae"),
        (("train-lora", "L", "--bundle", "b", "--model", "m"), "either --bundle or the parts"),
        (("train-lora", "L", "--device", "abacus"), "device 'abacus' cannot be used here"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_are_refused_before_anything_starts(
    small, pairs, tmp_path, words, message
):
    given = [pairs if word == "L" else word for word in words]
    with pytest.raises(PixWizardError, match=message):
        execute(*given, "--out", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_sources_in_the_file_and_on_the_line_are_refused(small, pairs, tmp_path):
    path = tmp_path / "lesson.json"
    path.write_text(json.dumps({"sources": [{"path": "a"}]}), encoding="utf-8")
    with pytest.raises(PixWizardError, match=r"lesson\.json names sources, and so does the"):
        execute("train-lora", pairs, "--config", path, "--out", tmp_path / "out")


def test_first_interrupt_saves_and_the_same_command_goes_on(
    small, pairs, tmp_path, monkeypatch, capsys
):
    from pixwizard_core.training.teach.course import Course

    step = Course.advance

    def interrupted(self):
        done = step(self)
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        return done

    words = ("--instruction", "x", "--out", tmp_path / "out", "--steps", 4, "--batch", 2)
    words = ("train-lora", pairs, *words, "--rank", 2)
    with monkeypatch.context() as patched:
        patched.setattr(Course, "advance", interrupted)
        assert execute(*words) == command.EXIT_STOPPED
    told = capsys.readouterr()
    assert "ending after this step; once more ends at once" in told.err
    assert "stopped after step 2; the same command with --resume goes on" in told.out
    assert (tmp_path / "out" / "lora.safetensors").is_file()
    assert execute(*words, "--resume") == 0
    assert "goes on after step 2 of 4" in capsys.readouterr().out


def test_held_out_pairs_are_watched(small, pairs, tmp_path, capsys):
    other = pair_folder(tmp_path / "other", 2)
    for folder in (pairs, other):
        for number in range(2):
            (folder / "target" / f"{number}.txt").write_text("Swap it.", encoding="utf-8")
    words = ("--held-out", other, "--out", tmp_path / "out", *QUICK)
    assert execute("train-lora", pairs, *words) == 0
    assert "loss on held-out pairs: " in capsys.readouterr().out


def test_threads_are_those_asked_for(small, pairs, tmp_path):
    import torch

    before = torch.get_num_threads()
    try:
        words = ("--instruction", "x", "--out", tmp_path / "out", *QUICK, "--threads", 1)
        assert execute("train-lora", pairs, *words) == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
