"""Finding pictures: folders, globs, lists, frames; their names, and what lists may say."""

import pytest
import torch

from pixwizard_core.errors import InstructionError, PixWizardError
from pixwizard_core.files.picture_files import save_picture
from pixwizard_core.fleet.items import Item, safe_name, with_names
from pixwizard_core.fleet.manifest import read_manifest
from pixwizard_core.fleet.plan import identify, in_shard
from pixwizard_core.fleet.sources import find
from pixwizard_core.taught import UNKNOWN
from tests.support.fleet import items_of, write_pictures

SIZE = (8, 16)


def picture(path, size=SIZE, shade=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, torch.full((3, *size), shade))
    return path


def names(found) -> list[str]:
    return [one.name for one in found]


def test_find_takes_folders_with_all_below_but_nothing_hidden(tmp_path):
    for name in ("b.png", "sub/a.jpg", ".git/c.png", "notes.txt"):
        picture(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("x")
    assert names(find([str(tmp_path)])) == ["b", "sub/a"]


def test_find_takes_globs_and_names_from_their_fixed_part(tmp_path):
    picture(tmp_path / "x" / "one.png")
    picture(tmp_path / "y" / "two.png")
    assert names(find([f"{tmp_path}/*/*.png"])) == ["x/one", "y/two"]


def test_find_names_pictures_of_folders_that_a_glob_finds_by_their_folder(tmp_path):
    picture(tmp_path / "x" / "a.png")
    picture(tmp_path / "y" / "a.png")
    assert names(find([f"{tmp_path}/*"])) == ["x/a", "y/a"]
    found = find([f"{tmp_path}/*"], frames=True)
    assert [one.sequence for one in found] == ["x", "y"]


def test_find_takes_no_results_for_pictures(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "out" / "a_depth_answer.png")
    picture(tmp_path / "outside.png")
    assert names(find([str(tmp_path)], out=tmp_path / "out")) == ["a", "outside"]
    assert names(find([f"{tmp_path}/**/*.png"], out=tmp_path / "out")) == ["a", "outside"]
    given = str(tmp_path / "out" / "a_depth_answer.png")
    assert names(find([given], out=tmp_path / "out")) == ["a_depth_answer"]
    with pytest.raises(PixWizardError, match="is both input and output"):
        find([f"{tmp_path}/out/"], out=tmp_path / "out")


def test_find_orders_frames_by_number(tmp_path):
    for number in (10, 2, 1):
        picture(tmp_path / "shot" / f"f{number}.png")
    found = find([str(tmp_path / "shot")], frames=True, every=2)
    assert names(found) == ["shot/f1", "shot/f10"]
    assert [one.sequence for one in found] == ["shot", "shot"]


@pytest.mark.parametrize("given", ["gone.png", "gone/*.png"])
def test_find_refuses_what_is_not_there(given, tmp_path):
    with pytest.raises(PixWizardError, match=r"there is no .*gone"):
        find([str(tmp_path / given)])


def test_find_refuses_a_folder_without_pictures(tmp_path):
    with pytest.raises(PixWizardError, match="there is no picture or video in"):
        find([str(tmp_path)])


def test_manifest_rows_override_what_is_asked(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text(
        "path,task,target,seed\na.png,mask,the ball,7\na.png,,,\n", encoding="utf-8"
    )
    items, failures = identify(find([str(tmp_path / "list.csv")]), {"task": "depth"})
    assert failures == []
    assert [item.task for item in items] == ["mask", "depth"]
    assert items[0].instruction == "Generate a binary mask for the described object: the ball."
    assert [item.seed for item in items] == [7, None]
    assert [item.name for item in items] == ["a_mask", "a_depth"]


def test_manifest_rows_choose_their_phrasing_and_the_model_the_trained_one(tmp_path):
    picture(tmp_path / "a.png")
    text = "path,task,question,colour,phrasing\na.png,highlight_reasoning,What rolls?,red,3\n"
    rows = "a.png,depth,,,seed:13\na.png,depth,,,trained\na.png,normal,,,\n"
    (tmp_path / "list.csv").write_text(text + rows, encoding="utf-8")
    found = find([str(tmp_path / "list.csv")])
    items, _ = identify(found, {"phrasing": "2"}, taught=UNKNOWN)
    assert [item.instruction for item in items] == [
        "Think about this, and lay red over the answer: What rolls?",
        "Show how far away every pixel is, as a grey depth map.",
        "Estimate the depth map of this picture.",
        "Turn the photo into a normal map.",
    ]
    (tmp_path / "list.csv").write_text("path,task,phrasing\na.png,depth,9\n", encoding="utf-8")
    with pytest.raises(
        InstructionError, match=r"a\.png: phrasing 9 of task 'depth' does"
    ):
        identify(find([str(tmp_path / "list.csv")]), {})


def test_manifest_of_json_lines_keeps_own_words(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "list.jsonl").write_text(
        '{"path": "a.png", "instruction": "Make it night."}\n\n', encoding="utf-8"
    )
    (item,), _ = identify(find([str(tmp_path / "list.jsonl")]), {"task": "", "instruction": ""})
    assert (item.task, item.instruction) == ("custom", "Make it night.")


@pytest.mark.parametrize(
    "text",
    [
        "path,task,seed\na.png,mask,18446744073709551615\n",
        " Path , TASK,Seed \n a.png , mask , 18446744073709551615 \n",
        "\ufeffpath;task;seed\r\na.png;mask;18446744073709551615\r\n",
        "sep=;\npath;task;seed\na.png;mask;18446744073709551615\n",
        "path\ttask\tseed\na.png\tmask\t18446744073709551615\n",
        '"path", "task", "seed"\n"a.png", "mask", "18446744073709551615"\n',
        "path\u00a0,task,seed,_mine,\na.png,mask,18446744073709551615,x,\n\n,,,,\n",
    ],
)
def test_manifest_forgives_how_spreadsheets_write(text, tmp_path):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
    (row,) = read_manifest(tmp_path / "list.csv")
    assert row.path == tmp_path / "a.png"
    assert row.words == {"task": "mask", "seed": "18446744073709551615"}


def test_manifest_keeps_line_ends_inside_quotes(tmp_path):
    text = 'path,instruction,seed\na.png,"Make it\nnight, ""now"".",1\nb.png,x,2\n'
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    first, second = read_manifest(tmp_path / "list.csv")
    assert first.words == {"instruction": 'Make it\nnight, "now".', "seed": "1"}
    assert second.words["seed"] == "2"


def test_manifest_of_json_lines_forgives_case_and_rare_line_ends(tmp_path):
    text = '{"Path": "a.png", " Task": "normal", "Seed": 5, "_note": [1]}\n'
    text += '{"path": "b.png", "target": "the\u2028ball"}\n'
    (tmp_path / "list.jsonl").write_text(text, encoding="utf-8")
    first, second = read_manifest(tmp_path / "list.jsonl")
    assert first.words == {"task": "normal", "seed": "5"}
    assert second.words == {"target": "the\u2028ball"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "file\na.png\n", "no column 'path'"),
        ("l.jsonl", "{bad\n", "line 1 is not valid JSON"),
        ("l.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("l.jsonl", '{"task": "depth"}\n', "line 1: no path"),
        ("l.csv", "path,seed\na.png,x\n", r"line 2: the seed is a .* \(2\^64 - 1\)\. Got: 'x'"),
        ("l.csv", "path,seed\na.png,-5\n", "line 2: the seed is a whole number from 0 to"),
        ("l.csv", f"path,seed\na.png,{1 << 64}\n", "from 0 to 18446744073709551615"),
        (
            "l.jsonl",
            '{"path": "a.png", "seed": 1%s}' % ("0" * 23),
            "from 0 to 18446744073709551615",
        ),
        ("l.jsonl", '{"path": "a.png", "seed": true}', "the seed is a whole number"),
        ("l.jsonl", '{"path": "a.png", "seed": 1.0}', "the seed is a whole number"),
        ("l.jsonl", '{"path": "a.png", "target": ["x"]}', "line 1: target is a text"),
        ("l.csv", "path,taks\na.png,mask\n", "line 1: 'taks' is not known. Did you mean 'task'"),
        ("l.csv", "path,prompt\na.png,x\n", "'prompt' is not known. Did you mean 'instruction'"),
        ("l.jsonl", '{"path": "a.png", "color": "red"}', "'color' .* Did you mean 'colour'"),
        ("l.jsonl", '{"path": "a.png", "zzz": 1}', "'zzz' is not known. Known are path, task"),
        ("l.csv", "path,Task,task\na.png,mask,depth\n", "two columns are called 'task'"),
        ("l.csv", "path,\na.png,mask\n", "line 2: 'mask' is in a column without a heading"),
        ("l.csv", "path,target\na.png,the ball, red\n", "line 2: 3 cells under 2 headings"),
        ("l.csv", 'path,target\na.png,"the ball\nb.png,x\n', "line 3: unexpected end of data"),
    ],
)
def test_manifest_names_the_wrong_row(name, text, message, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(PixWizardError, match=message):
        read_manifest(tmp_path / name)


def test_identify_lists_what_cannot_be_read_and_goes_on(tmp_path):
    picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    items, failures = identify(find([str(tmp_path)]), {"task": "depth"})
    assert [item.name for item in items] == ["good_depth"]
    assert items[0].size == (16, 8)
    assert failures[0]["name"] == "bad"
    assert "cannot be read as a picture" in failures[0]["error"]


def test_manifest_row_without_its_picture_is_listed_and_the_rest_done(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path\ngone.png\na.png\n", encoding="utf-8")
    items, failures = identify(find([str(tmp_path / "list.csv")]), {"task": "depth"})
    assert [item.name for item in items] == ["a_depth"]
    assert "No such file" in failures[0]["error"]


def test_a_video_that_cannot_be_read_is_listed_and_the_rest_done(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    items, failures = identify(find([str(tmp_path)]), {"task": "depth"})
    assert [item.name for item in items] == ["a_depth"]
    assert [failure["name"] for failure in failures] == ["b/000000"]


def test_identify_tells_how_many_it_could_not_read(tmp_path):
    picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    told = []
    identify(find([str(tmp_path)]), {"task": "depth"}, lambda *counts: told.append(counts))
    assert told == [(0, 1), (1, 1)]


def test_identify_needs_something_to_ask(tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(InstructionError, match="it has no task"):
        identify(find([str(tmp_path)]), {"task": "", "instruction": ""})


def test_names_that_meet_are_told_apart_whatever_the_order():
    one = Item("a_depth", "x/a.png", "depth", "Depth.")
    other = Item("A_depth", "y/A.jpg", "depth", "Depth.")
    forward, backward = with_names([one, other]), with_names([other, one])
    assert {i.path: i.name for i in forward} == {i.path: i.name for i in backward}
    assert len({i.name.casefold() for i in forward}) == 2
    assert with_names([one, one]) == [with_names([one, one])[0]]


def test_safe_name_stays_inside():
    assert safe_name("../../etc/pass wd.d") == "etc/pass_wd_d"
    assert safe_name("..") == "picture"


def test_safe_name_fits_into_a_file_system():
    name = safe_name("長" * 90)
    assert len(name.encode()) <= 180
    assert name != safe_name("長" * 91)
    assert safe_name("長" * 60) == "長" * 60


def test_seed_follows_from_the_picture_not_from_its_place(tmp_path):
    folder = write_pictures(tmp_path / "in", 3)
    seeds = {item.name: item.own_seed(0) for item in items_of(folder)}
    (folder / "a0.png").unlink()
    fewer = {item.name: item.own_seed(0) for item in items_of(folder)}
    assert fewer == {name: seeds[name] for name in fewer}
    assert len(set(seeds.values())) == 3
    assert items_of(folder)[0].own_seed(1) != fewer[items_of(folder)[0].name]


def test_shards_part_the_items(tmp_path):
    items = items_of(write_pictures(tmp_path / "in", 9))
    parts = [[i.name for i in items if in_shard(i, (n, 3), False)] for n in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == sorted(item.name for item in items)
    assert max(map(len, parts)) < 9
