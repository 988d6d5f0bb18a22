"""Lists of instruction pairs: what each kind holds, and what is said of a wrong row."""

import json

import pytest

from pixwizard_core.data.lists import read_list, write_list
from pixwizard_core.data.meta import PairSource, read_meta, read_pairs, sampled, write_meta
from pixwizard_core.data.pairs import InstructionPair
from pixwizard_core.errors import PixWizardError


def pair(folder, number=1, **changed):
    values = {
        "input": folder / "in" / f"{number}.png", "target": folder / "out" / f"{number}.png",
        "instructions": ("Derain",), "width": 64, "height": 48,
    }  # fmt: skip
    return InstructionPair(**{**values, **changed})


def without_where(pairs):
    return [(p.input, p.target, p.instructions, p.task, p.mask, p.width, p.height) for p in pairs]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.csv"])
def test_list_gives_back_what_was_written(tmp_path, name):
    pairs = [
        pair(tmp_path),
        pair(tmp_path, 2, instructions=('Say "no", twice', "Zwei\nZeilen"), task="derain"),
        pair(tmp_path, 3, input=None, instructions=("[brackets] first",)),
        pair(tmp_path, 4, mask=tmp_path / "mask, 4.png", width=0, height=0),
    ]
    write_list(tmp_path / name, pairs)
    assert without_where(read_list(tmp_path / name).pairs) == without_where(pairs)


def test_released_list_holds_the_released_names(tmp_path):
    write_list(tmp_path / "a.json", [pair(tmp_path, instructions=("Derain", "No rain"))])
    assert json.loads((tmp_path / "a.json").read_text()) == [{
        "input_path": "in/1.png", "target_path": "out/1.png", "prompt": ["Derain", "No rain"],
        "height": 48, "width": 64, "ratio": 64 / 48,
    }]  # fmt: skip
    listed = read_list(tmp_path / "a.json")
    assert listed.pairs[0].instructions == ("Derain", "No rain")
    assert listed.pairs[0].where == "a.json, object 1"
    assert listed.notes == ()


def test_released_list_without_sizes_is_read(tmp_path):
    row = {"input_path": "a.png", "target_path": "b.png", "prompt": "Derain"}
    (tmp_path / "a.json").write_text(json.dumps([row]))
    assert read_list(tmp_path / "a.json").pairs[0].ratio == 0


def test_root_is_where_paths_start(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"input": "a.png", "target": "b.png", "instruction": "x"}')
    assert read_list(tmp_path / "a.jsonl", tmp_path / "r").pairs[0].input == tmp_path / "r/a.png"


def test_column_that_no_pair_has_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("target,instruction,score\na.png,x,3\nb.png,y,\n")
    assert read_list(tmp_path / "a.csv").notes == ("a.csv: score is not used, in 1 rows",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"target": "b.png"}', "line 1: there is no instruction or prompt"),
        ("a.jsonl", '\n{"instruction": "x"}', "line 2: there is no target or target_path"),
        ("a.jsonl", "[1]", "line 1 is no object"),
        ("a.jsonl", '{"target": 3, "instruction": "x"}', "target is text. Got: 3"),
        ("a.jsonl", '{"target": "a", "instruction": []}', "an instruction is empty"),
        ("a.jsonl", '{"target": "a", "instruction": ["x", " "]}', "an instruction is empty"),
        ("a.jsonl", '{"target": "a", "target_path": "b", "prompt": "x"}', "say the same twice"),
        ("a.jsonl", '{"target": "a*.png", "prompt": "x"}', "names one file, no pattern"),
        ("a.jsonl", '{"target": "a", "prompt": "x", "width": 2.5}', "width is a whole number"),
        ("a.jsonl", '{"target": "a", "prompt": "x", "height": true}', "height is a whole number"),
        ("a.jsonl", "{", "line 1 is not valid JSON"),
        ("a.jsonl", "", "lists no pairs"),
        ("a.json", "{}", "a.json is no list"),
        ("a.json", '[{"target": "a"}]', "object 1: there is no instruction"),
        ("a.csv", "target,instruction\na,b,c\n", "line 2 has more cells"),
        ("a.csv", "target,prompt\na.png,\n", "line 2: there is no instruction"),
        ("a.txt", "x", "is no list of pairs"),
    ],
)
def test_wrong_row_is_refused_by_file_and_row(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(PixWizardError, match=said) as error:
        read_list(tmp_path / name)
    assert name in str(error.value)


def test_missing_list_is_refused(tmp_path):
    with pytest.raises(PixWizardError, match=r"there is no list a\.csv"):
        read_list(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("a.txt", {}, "a list ends in .jsonl"),
        ("a.json", {"input": None}, "has no input"),
        ("a.json", {"width": 0}, "is not known"),
    ],
)
def test_pair_that_a_list_cannot_hold_is_refused(tmp_path, name, changed, said):
    with pytest.raises(PixWizardError, match=said):
        write_list(tmp_path / name, [pair(tmp_path, **changed)])
    assert not (tmp_path / name).exists()


def test_mask_is_refused_in_the_released_list(tmp_path):
    with pytest.raises(PixWizardError, match="has a mask"):
        write_list(tmp_path / "a.json", [pair(tmp_path, mask=tmp_path / "m.png")])


def test_meta_gives_back_what_was_written(tmp_path):
    pytest.importorskip("yaml")
    sources = [
        PairSource(tmp_path / "a: b.json", scale=3, ratio=0.5),
        PairSource(tmp_path / "ü.json", "text2image", root=tmp_path / "pictures"),
    ]
    write_meta(tmp_path / "meta.yaml", sources)
    assert read_meta(tmp_path / "meta.yaml") == sources


def numbered(tmp_path, count):
    return [pair(tmp_path, i, where=f"a.json, object {i}") for i in range(count)]


def test_scale_repeats_and_ratio_takes_a_share(tmp_path):
    pairs = numbered(tmp_path, 10)
    half = sampled(pairs, PairSource(tmp_path, ratio=0.5), 0)
    assert len(half) == 5
    assert half == [one for one in pairs if one in half]  # in order
    assert sampled(pairs, PairSource(tmp_path, scale=2, ratio=0.5), 0) == half * 2
    assert len(sampled(pairs, PairSource(tmp_path, scale=2.3), 0)) == 23
    assert len(sampled(pairs, PairSource(tmp_path, scale=0.3), 0)) == 3


def test_share_depends_on_the_seed_and_not_on_the_order(tmp_path):
    pairs, source = numbered(tmp_path, 40), PairSource(tmp_path, ratio=0.5)
    first = sampled(pairs, source, 0)
    assert sampled(pairs[::-1], source, 0) == first[::-1]
    assert sampled(pairs, source, 1) != first


def test_pairs_of_a_meta_come_from_all_its_lists(tmp_path):
    pytest.importorskip("yaml")
    for name, count in (("a", 4), ("b", 2)):
        write_list(tmp_path / f"{name}.json", numbered(tmp_path, count))
    lists = [PairSource(tmp_path / "a.json", ratio=0.5), PairSource(tmp_path / "b.json", scale=3)]
    write_meta(tmp_path / "meta.yaml", lists)
    listed = read_pairs(tmp_path / "meta.yaml")
    assert len(listed.pairs) == 2 + 6
    assert listed.notes == (
        "a.json: 2 of 4 pairs, with repeats", "b.json: 6 of 2 pairs, with repeats",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x: 1", "has no META"),
        ("META: []", "has no META"),
        ("META: [{type: x}]", "META 1: needs a path"),
        ("META: [{path: a, weight: 2}]", "META 1: weight is not known"),
        ("META: [{path: a, ratio: 2}]", "ratio is a share of 1"),
        ("META: [{path: a, scale: 0}]", "scale is a number above 0"),
        ("META: [{path: a, scale: .nan}]", "scale is a number above 0"),
        ("META: [{path: a, root: 3}]", "root is a folder"),
        ("META: [", "is not valid YAML"),
    ],
)
def test_wrong_meta_is_refused(tmp_path, text, said):
    pytest.importorskip("yaml")
    (tmp_path / "meta.yaml").write_text(text)
    with pytest.raises(PixWizardError, match=said):
        read_meta(tmp_path / "meta.yaml")
