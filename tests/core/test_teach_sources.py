"""Sources of pairs: each kind is read where it is, and what cannot be used is said."""

import tarfile

import pytest

from pixwizard_core.data.lists import read_list, write_list
from pixwizard_core.data.shard_reading import read_shards, shards_in
from pixwizard_core.data.shards import write_shards
from pixwizard_core.errors import PixWizardError
from pixwizard_core.training.teach.settings import Source
from pixwizard_core.training.teach.sources import built_validation, read_source
from pixwizard_core.training.teach.world_source import world_set
from tests.support.teach import listed, pair_folder, picture


@pytest.fixture
def rows(tmp_path):
    for name in ("a", "b", "m"):
        picture(tmp_path / f"{name}.png", 0.3)
    return [
        {"input": "a.png", "target": "b.png", "instruction": ["one", "two"], "mask": "m.png"},
        {"target": "b.png", "instruction": "three", "task": "text2image"},
    ]


def test_list_gives_words_masks_and_pairs_without_input(tmp_path, rows):
    (one,), notes = read_source(Source(str(listed(tmp_path / "l.jsonl", rows)), repeats=2.5))
    assert notes == []
    assert one.repeats == 2.5
    first, second = one.examples
    assert first.instructions == ("one", "two")
    assert [part.name for part in first.pictures] == ["a.png", "b.png", "m.png"]
    assert (second.input, second.task) == (None, "text2image")


@pytest.mark.parametrize("kind", ["pairs.csv", "pairs.jsonl"])
def test_kinds_of_lists_give_the_same_examples(tmp_path, rows, kind):
    pairs = read_list(listed(tmp_path / "l.jsonl", rows)).pairs
    write_list(tmp_path / kind, pairs)
    (one,), _ = read_source(Source(str(tmp_path / kind)))
    assert [example.instructions for example in one.examples] == [("one", "two"), ("three",)]


def test_released_lists_of_meta_are_sets_of_their_own(tmp_path):
    pytest.importorskip("yaml")
    row = {"input_path": "a.png", "target_path": "b.png", "prompt": "x", "height": 32, "width": 32}
    for name, count in (("one", 1), ("two", 4)):
        import json

        (tmp_path / f"{name}.json").write_text(json.dumps([row] * count), encoding="utf-8")
    meta = tmp_path / "meta.yaml"
    meta.write_text(
        "META:\n  - {path: one.json, type: image2image, scale: 3, ratio: 1}\n"
        "  - {path: two.json, ratio: 0.5}\n",
        encoding="utf-8",
    )
    sets, notes = read_source(Source(str(meta)))
    assert [(one.name, len(one.examples)) for one in sets] == [("one.json", 3), ("two.json", 2)]
    assert "one.json: 3 of 1 pairs, with repeats" in notes


def test_folder_of_pairs_asks_for_what_it_is_told(tmp_path):
    folder = pair_folder(tmp_path / "pairs", 2)
    picture(folder / "input" / "alone.png", 0.1)
    (one,), notes = read_source(Source(str(folder), instruction="Swap it."))
    assert [example.instructions for example in one.examples] == [("Swap it.",)] * 2
    assert "alone.png" in notes[0]


def test_output_of_data_build_is_known_with_its_validation_list(tmp_path, rows):
    listed(tmp_path / "pairs.jsonl", rows)
    assert built_validation(Source(str(tmp_path))) is None
    listed(tmp_path / "validation.jsonl", rows[1:])
    (one,), _ = read_source(Source(str(tmp_path)))
    assert len(one.examples) == 2
    held = built_validation(Source(str(tmp_path)))
    assert held == Source(str(tmp_path / "validation.jsonl"))


def test_shards_give_the_bytes_of_the_files(tmp_path, rows):
    pairs = read_list(listed(tmp_path / "l.jsonl", rows)).pairs
    write_shards(pairs, tmp_path / "shards", per_shard=1)
    (one,), _ = read_source(Source(str(tmp_path / "shards")))
    first, second = one.examples
    assert first.instructions == ("one", "two")
    assert first.input.read() == (tmp_path / "a.png").read_bytes()
    assert first.mask.read() == (tmp_path / "m.png").read_bytes()
    assert (second.input, second.task) == (None, "text2image")
    assert shards_in(tmp_path / "shards" / "pairs-000001.tar")


def test_shard_that_is_cut_off_or_incomplete_is_refused(tmp_path, rows):
    pairs = read_list(listed(tmp_path / "l.jsonl", rows)).pairs
    (shard, *_), _ = write_shards(pairs, tmp_path / "shards")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(PixWizardError, match=r"cut\.tar"):
        read_shards([cut])
    bare = tmp_path / "bare.tar"
    with tarfile.open(bare, "w") as archive:
        archive.add(tmp_path / "a.png", "7.target.png")
    with pytest.raises(PixWizardError, match=r"bare\.tar, 7: a pair has a target and a \.json"):
        read_shards([bare])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source("gone"), "there is no source gone"),
        (Source("l.txt"), r"l\.txt is no source of pairs"),
        (Source("l.jsonl", instruction="x"), r"instruction does nothing for .*l\.jsonl"),
        (Source("pairs", root="x"), "root does nothing for"),
        (Source("pairs", tasks="depth"), "tasks does nothing for"),
        (Source("edits"), "holds Parquet files; write their pictures and a list first"),
        (Source("empty"), "there is no whole pair"),
    ],
    ids=["gone", "kind", "words", "root", "world", "parquet", "empty"],
)
def test_source_that_cannot_be_used_is_refused(tmp_path, rows, source, message):
    import dataclasses

    listed(tmp_path / "l.jsonl", rows)
    (tmp_path / "l.txt").write_text("x", encoding="utf-8")
    pair_folder(tmp_path / "pairs", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "edits").mkdir()
    (tmp_path / "edits" / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(PixWizardError, match=message):
        read_source(dataclasses.replace(source, path=str(tmp_path / source.path)))


def test_demo_world_is_the_same_for_a_seed():
    source = Source("world", tasks="depth,mask", scenes=2)
    first, second = (world_set(source, 32, 4) for _ in range(2))
    assert first == second
    assert [example.task for example in first.examples] == ["depth"] * 2 + ["mask"] * 2
    with pytest.raises(PixWizardError, match="the demo world has no task 'deep'"):
        world_set(Source("world", tasks="deep"), 32, 4)
