"""pixwizard batch as people call it: exit status, what is printed, shards, wrong values."""

import json
import shutil

import pytest
from PIL import Image

from pixwizard_core import cli
from pixwizard_core.cli import batch as cli_batch
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files import picture_files
from tests.support.bundles import teach, write_bundle
from tests.support.fleet import write_pictures


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    write_bundle(folder / "bundle")
    write_pictures(folder / "in", 3)
    return folder


def batch(base, out, *words) -> int:
    options = ["--bundle", base / "bundle", "--centre", 64, "--out", base / out, "--workers", 1]
    return cli.main(["batch", *map(str, options), *map(str, words)])


def test_batch_does_a_folder_and_says_what_it_did(base, capsys):
    assert batch(base, "one", base / "in", "--task", "mask", "--target", "the ball") == 0
    out, err = capsys.readouterr()
    assert f"3 done, 0 done before, 0 failed; the list is {base / 'one' / 'index.jsonl'}" in out
    assert "local: 3 of 3 pictures, " in err
    assert " a second, 0:00:00 left" in err
    rows = [json.loads(line) for line in (base / "one" / "index.jsonl").open(encoding="utf-8")]
    assert {row["instruction"] for row in rows} == {"Make a black and white mask of the ball."}
    assert all((base / "one" / row["files"]["binary"]).is_file() for row in rows)


def test_batch_words_tasks_as_asked_and_warns_once_of_one_that_was_not_taught(base, capsys):
    folder = base / "taught"
    shutil.copytree(base / "bundle", folder)
    teach(folder, ["mask"], {"mask": ["Grounding, extract the binary mask: {target}"]})
    words = ["batch", str(base / "in"), "--centre", "64", "--workers", "1", "--steps", "1"]

    def sentences(out: str, *more: str) -> set[str]:
        given = ["--bundle", str(folder), "--out", str(base / out), *more]
        assert cli.main([*words, *given]) == 0
        lines = (base / out / "index.jsonl").open(encoding="utf-8")
        return {json.loads(line)["instruction"] for line in lines}

    mask = ("--task", "mask", "--target", "the ball")
    assert sentences("w1", *mask) == {"Grounding, extract the binary mask: the ball"}
    assert sentences("w2", *mask, "--phrasing", "1") == {
        "Paint the ball white and everything else black."
    }
    assert capsys.readouterr().err.count("warning: ") == 0
    assert sentences("w3", "--task", "depth") == {"Estimate the depth map of this picture."}
    warned = "warning: this model was not taught task 'depth' (Depth map), so its answer is a guess"
    assert capsys.readouterr().err.count(warned) == 1


def test_batch_lists_failures_and_exits_with_1(base, capsys):
    (base / "mixed").mkdir()
    (base / "mixed" / "bad.png").write_bytes(b"no picture")
    words = (base / "mixed", base / "in" / "a0.png", "--task", "depth")
    assert batch(base, "two", *words) == 1
    out, err = capsys.readouterr()
    assert "1 done, 0 done before, 1 failed" in out
    assert "bad.png cannot be read as a picture" in err
    assert len((base / "two" / "failures.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_batch_names_and_lists_what_it_leaves_out(base, capsys):
    folder = base / "left"
    write_pictures(folder, 1)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    assert batch(base, "left/results", folder, "--task", "depth") == 0
    assert "left out (not a picture or film): 1: notes.txt" in capsys.readouterr().err
    listed = base / "left" / "results" / "left_out.jsonl"
    (row,) = [json.loads(line) for line in listed.open(encoding="utf-8")]
    assert row == {"path": str(folder / "notes.txt"), "reason": "not a picture or film"}
    (folder / "notes.txt").unlink()
    assert batch(base, "left/results", folder, "--task", "depth") == 0
    assert "0 done, 1 done before" in capsys.readouterr().out
    assert not listed.exists()
    assert batch(base, "left/others", folder, "--task", "depth") == 0  # results is no input of it
    out, err = capsys.readouterr()
    assert "1 done, 0 done before" in out
    assert "left out (written by an earlier run): " in err


def test_batch_opens_pictures_up_to_the_size_that_is_given(base, capsys, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setattr(picture_files, "_allowed", None)
    words = (base / "in" / "a0.png", "--task", "depth", "--max-pixels")
    assert batch(base, "pixels", *words, 100) == 1
    assert "raise the limit by --max-pixels" in capsys.readouterr().err
    assert batch(base, "pixels", *words, 40 * 56) == 0


def test_batch_does_shards_and_collects_them(base, capsys):
    for part, lacking in (("1/2", "without a list so far: shards 2/2\n"), ("2/2", "")):
        assert batch(base, "shards", base / "in", "--task", "depth", "--shard", part) == 0
        capsys.readouterr()
        assert batch(base, "shards", "--collect") == 0
        out, err = capsys.readouterr()
        assert err == lacking
    assert "3 items in" in out
    assert (base / "shards" / "index.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give pictures, folders, globs, videos or lists"),
        (("gone",), "there is no gone"),
        (("IN",), "it has no task; give --task or --instruction"),
        (("IN", "--task", "depth", "--every", "0"), "--every must be at least 1. Got: 0"),
        (("IN", "--task", "depth", "--batch", "0"), "--batch must be at least 1. Got: 0"),
        (("IN", "--task", "depth", "--retries", "-1"), "--retries must be at least 0. Got: -1"),
        (("IN", "--task", "depth", "--workers", "0"), "--workers must be at least 1. Got: 0"),
        (
            ("IN", "--task", "depth", "--out", "IN"),
            "is both input and output; choose another folder",
        ),
        (("--collect",), "there is no list in"),
        (("IN", "--task", "depth", "--max-pixels", "0"), "--max-pixels must be at least 1"),
        (("IN", "--task", "nonsense"), "unknown task 'nonsense'"),
        (("IN", "--task", "depth", "--shard", "3/2"), "--shard is I/N with I from 1 to N"),
        (("IN", "--task", "depth", "--model", "x"), "the released model has four parts"),
    ],
)
def test_batch_refuses_in_one_line(words, message, base, capsys):
    given = [str(base / "in") if word == "IN" else word for word in words]
    assert batch(base, "refused", *given) == 2
    assert message in capsys.readouterr().err


def test_options_that_change_nothing_are_said(base, capsys):
    words = ("--task", "depth", "--target", "it", "--every", "5")
    assert batch(base, "unused", base / "in" / "a0.png", *words) == 0
    err = capsys.readouterr().err
    assert "--target changes nothing: depth has no use for it" in err
    assert "--every 5 changes nothing: no input has frames" in err
    (base / "broken.png").write_bytes(b"no picture")
    assert batch(base, "unused", base / "broken.png", *words[:4]) == 1
    assert "changes nothing" not in capsys.readouterr().err


def test_ray_that_is_not_installed_is_said_in_one_line(base, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    assert batch(base, "noray", base / "in", "--task", "depth", "--engine", "ray") == 2
    assert 'the engine "ray" is not installed' in capsys.readouterr().err


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("3/8", (3, 8))])
def test_shard_counts_from_one(text, shard):
    assert cli_batch.shard_of(text) == shard


@pytest.mark.parametrize("text", ["0/2", "x", "1", "-1/2", "1/0"])
def test_shard_refuses_others(text):
    with pytest.raises(PixWizardError, match="--shard is I/N"):
        cli_batch.shard_of(text)
