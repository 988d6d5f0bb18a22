"""WebDataset shards: what a tar file holds, and that it is the same each time."""

import json
import tarfile

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.data.lists import write_list
from pixwizard_core.data.pairs import InstructionPair
from pixwizard_core.data.shards import write_shards
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.picture_files import save_picture


@pytest.fixture
def pairs(tmp_path):
    found = []
    for number in range(5):
        paths = [tmp_path / f"{number}{side}.png" for side in "ab"]
        for path in paths:
            save_picture(path, torch.full((3, 8, 8), number / 5))
        found.append(InstructionPair(*paths, (f"do {number}", "or"), "derain", where=f"r{number}"))
    return found


def names(path):
    with tarfile.open(path) as shard:
        return shard.getnames()


def test_files_of_a_pair_share_a_key(pairs, tmp_path):
    shards, left = write_shards(pairs, tmp_path / "out", 2)
    assert [path.name for path in shards] == [
        "pairs-000000.tar", "pairs-000001.tar", "pairs-000002.tar",
    ]  # fmt: skip
    assert left == []
    assert names(shards[2]) == ["00000004.input.png", "00000004.target.png", "00000004.json"]
    with tarfile.open(shards[0]) as shard:
        assert shard.extractfile("00000001.target.png").read() == pairs[1].target.read_bytes()
        facts = json.loads(shard.extractfile("00000001.json").read())
    assert facts["instruction"] == ["do 1", "or"]
    assert facts["task"] == "derain"


def test_same_pairs_give_the_same_bytes_and_old_shards_go(pairs, tmp_path):
    first, _ = write_shards(pairs, tmp_path / "one", 1)
    second, _ = write_shards(pairs, tmp_path / "two", 1)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    write_shards(pairs, tmp_path / "one", 5)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["pairs-000000.tar"]


def test_pair_that_cannot_be_read_is_named(pairs, tmp_path):
    pairs[0].input.unlink()
    pairs[3].target.write_bytes(b"x")
    shards, left = write_shards(pairs, tmp_path / "out")
    assert len(names(shards[0])) == 9
    assert left[0].startswith("r0: there is no picture")
    assert left[1].startswith("r3: 3b.png cannot be read")


def test_text_to_image_and_masks_are_held(pairs, tmp_path):
    bare = InstructionPair(None, pairs[0].target, ("x",), mask=pairs[1].input)
    shards, _ = write_shards([bare], tmp_path / "out")
    assert names(shards[0]) == ["00000000.target.png", "00000000.mask.png", "00000000.json"]


def test_nothing_to_write_is_refused(pairs, tmp_path):
    with pytest.raises(PixWizardError, match=r"at least one pair\. Got: 0"):
        write_shards(pairs, tmp_path / "out", 0)
    with pytest.raises(PixWizardError, match="no whole pair to write"):
        write_shards([], tmp_path / "out")


def test_command_writes_shards_of_a_list(pairs, tmp_path, capsys):
    write_list(tmp_path / "a.jsonl", pairs)
    command = ["data", "shards", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "out")]
    assert main([*command, "--per-shard", "3"]) == 0
    assert "5 pairs in 2 shards" in capsys.readouterr().out
    pairs[2].target.unlink()
    assert main(command) == 1
    told = capsys.readouterr()
    assert "4 pairs in 1 shards" in told.out
    assert "a.jsonl, line 3: there is no picture" in told.err
