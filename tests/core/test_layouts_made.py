"""Layouts of edited and generated pictures: tables and folders, and what is made from them."""

import json

import pytest
import torch

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.layouts import DatasetOptions, find_data
from pixwizard_core.evaluation.layouts.editing import chained, follow
from pixwizard_core.evaluation.layouts.generation import coco_reference
from pixwizard_core.evaluation.layouts.prepare import canny_lines, large_hole, middle_square
from pixwizard_core.files.picture_files import open_picture, save_picture
from tests.support.dataset_files import put

EMU = {"instruction": "make it red", "input_caption": "a ball", "output_caption": "a red ball"}


def options(tmp_path, **more):
    return DatasetOptions(prepared=str(tmp_path / "prepared"), **more)


def parquet(path, rows):
    """A table whose pictures are kept inside, as sets are published."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    write_table = pytest.importorskip("pyarrow.parquet").write_table
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pyarrow.Table.from_pylist(rows), path)


def stored(path, shade, side=16):
    return {"bytes": put(path, shade, side).read_bytes(), "path": None}


def magicbrush_folder(root):
    turns, captions = [], {}
    for session, count in (("9", 2), ("10", 1)):
        texts = {f"{session}-input.png": "before"}
        put(root / "test" / "images" / session / f"{session}-input.png", 0.1)
        for n in range(1, count + 1):
            before = f"{session}-input.png" if n == 1 else f"{session}-output{n - 1}.png"
            after = f"{session}-output{n}.png"
            put(root / "test" / "images" / session / after, 0.1 + n / 10)
            put(root / "test" / "images" / session / f"{session}-mask{n}.png", 0)
            turns.append({"input": before, "output": after, "mask": f"{session}-mask{n}.png",
                          "instruction": f"edit {n}"})  # fmt: skip
            texts[after] = f"after {n}"
        captions[session] = texts
    (root / "test" / "edit_turns.json").write_text(json.dumps(turns), encoding="utf-8")
    path = root / "test" / "global_descriptions.json"
    path.write_text(json.dumps(captions), encoding="utf-8")


def test_magicbrush_asks_each_turn_of_the_picture_before_it(tmp_path):
    magicbrush_folder(tmp_path)
    found = find_data("magicbrush", tmp_path, options(tmp_path))
    assert [(one.name, one.path.name, one.words["caption"]) for one in found] == [
        ("9-turn1", "9-input.png", "edit 1"),
        ("9-turn2", "9-output1.png", "edit 2"),
        ("10-turn1", "10-input.png", "edit 1"),
    ]
    assert found[1].truth["source_caption"] == "after 1"
    assert found[1].truth["caption"] == "after 2"
    assert found[1].truth["file"].endswith("9-output2.png")


def test_magicbrush_turns_follow_the_answers_before_them(tmp_path):
    magicbrush_folder(tmp_path)
    first, second = chained(find_data("magicbrush", tmp_path, options(tmp_path)))
    assert [one.name for one in first] == ["9-turn1", "10-turn1"]
    (next_,) = follow(second, {"9": tmp_path / "answer.png", "10": tmp_path / "other.png"})
    assert (next_.name, next_.path.name) == ("9-turn2", "answer.png")
    assert follow(second, {"10": tmp_path / "other.png"}) == []


def test_magicbrush_reads_the_list_of_sessions_too(tmp_path):
    magicbrush_folder(tmp_path)
    turns = json.loads((tmp_path / "test" / "edit_turns.json").read_text(encoding="utf-8"))
    wanted = find_data("magicbrush", tmp_path, options(tmp_path))
    (tmp_path / "test" / "edit_turns.json").unlink()
    sessions = {"9": turns[:2], "10": turns[2:]}
    path = tmp_path / "test" / "edit_sessions.json"
    path.write_text(json.dumps(sessions), encoding="utf-8")
    assert find_data("magicbrush", tmp_path, options(tmp_path)) == wanted


def test_emu_edit_without_a_row_of_the_split_says_which_there_are(tmp_path):
    put(tmp_path / "a.png", 0.3)
    line = json.dumps({**EMU, "file_name": "a.png", "split": "validation"})
    (tmp_path / "metadata.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(PixWizardError, match="column split has 1 of validation; choose with"):
        find_data("emu-edit", tmp_path, options(tmp_path))


def test_magicbrush_reads_the_published_table(tmp_path):
    rows = [{"img_id": "5", "turn_index": n, "instruction": f"edit {n}",
             "source_img": stored(tmp_path / "s.png", 0.2),
             "mask_img": stored(tmp_path / "m.png", 0),
             "target_img": stored(tmp_path / "t.png", 0.6)} for n in (1, 2)]  # fmt: skip
    parquet(tmp_path / "set" / "data" / "dev-00000-of-00001.parquet", rows)
    found = find_data("magicbrush", tmp_path / "set", options(tmp_path, split="dev"))
    assert [one.name for one in found] == ["5-turn1", "5-turn2"]
    assert open_picture(found[0].truth["file"]).mean() == pytest.approx(0.6, abs=1 / 255)


def test_emu_edit_reads_a_table_and_a_folder_alike(tmp_path):
    picture = stored(tmp_path / "p.png", 0.3)
    parquet(tmp_path / "table" / "test.parquet", [
        {**EMU, "image": picture, "split": "test", "idx": 0},
        {**EMU, "image": picture, "split": "validation", "idx": 1},
    ])  # fmt: skip
    put(tmp_path / "folder" / "a.png", 0.3)
    line = json.dumps({**EMU, "file_name": "a.png", "split": "test"})
    (tmp_path / "folder" / "metadata.jsonl").write_text(line + "\n", encoding="utf-8")
    for name in ("table", "folder"):
        (one,) = find_data("emu-edit", tmp_path / name, options(tmp_path))
        assert one.words == {"task": "edit", "caption": "make it red"}
        assert one.truth == {
            "protocol": "measured", "caption": "a red ball", "source_caption": "a ball",
        }  # fmt: skip
        assert open_picture(one.path).mean() == pytest.approx(0.3, abs=1 / 255)


def test_a_table_without_a_column_names_those_it_has(tmp_path):
    parquet(tmp_path / "test.parquet", [{"image": stored(tmp_path / "p.png", 0.3), "prompt": "x"}])
    with pytest.raises(PixWizardError, match=r"no column text; it has image, prompt"):
        find_data("multigen-canny", tmp_path, options(tmp_path))


def test_a_table_whose_pictures_are_none_is_refused(tmp_path):
    parquet(tmp_path / "validation.parquet", [{"image": "a.png", "text": "x"}])
    with pytest.raises(PixWizardError, match=r"column image holds no pictures\. Got: 'a.png'"):
        find_data("multigen-canny", tmp_path, options(tmp_path))


def half(path, side=64):
    picture = torch.zeros(3, side, side)
    picture[..., side // 2 :] = 1
    save_picture(path, picture)
    return {"bytes": path.read_bytes(), "path": None}


def test_multigen_canny_asks_each_edge_picture_four_times(tmp_path):
    rows = [{"image": half(tmp_path / "p.png"), "text": "a wall"}]
    parquet(tmp_path / "set" / "validation-0.parquet", rows)
    found = find_data("multigen-canny", tmp_path / "set", options(tmp_path, side=64))
    assert [one.name for one in found] == [f"000000_{n}" for n in range(4)]
    assert len({one.words["seed"] for one in found}) == 4
    edges = open_picture(found[0].path)
    assert set(edges.unique().tolist()) == {0.0, 1.0}
    columns = edges[0, 0].mean(0).nonzero().flatten().tolist()
    assert columns
    assert all(30 <= column <= 33 for column in columns)  # along the middle, where the step is
    assert [one.truth["draw"] for one in found] == [0, 1, 2, 3]
    again = find_data("multigen-canny", tmp_path / "set", options(tmp_path, side=64))
    assert [one.words for one in again] == [one.words for one in found]


def test_a_count_is_of_questions_and_not_of_answers(tmp_path):
    rows = [{"image": half(tmp_path / "p.png"), "text": text} for text in ("a", "b", "c")]
    parquet(tmp_path / "set" / "validation-0.parquet", rows)
    found = find_data("multigen-canny", tmp_path / "set", options(tmp_path, side=64, count=2))
    assert [one.name for one in found] == [f"00000{n}_{k}" for n in (0, 1) for k in range(4)]


def test_pictures_are_prepared_anew_when_their_source_changes(tmp_path):
    root, asked = tmp_path / "places", options(tmp_path / "places" / "out", side=64)
    path = put(root / "val_large" / "1.jpg", 0.2, 64)
    (one,) = find_data("places-outpaint", root, asked)
    (same,) = find_data("places-outpaint", root, asked)  # what was written here is no new source
    assert same.path == one.path
    put(path, 0.8, 64)
    (new,) = find_data("places-outpaint", root, asked)
    assert open_picture(new.truth["file"]).mean() == pytest.approx(0.8, abs=2 / 255)


def test_multigen_depth_keeps_the_map_and_the_true_picture(tmp_path):
    rows = [{"image": half(tmp_path / "p.png"), "text": "a wall",
             "control_depth": stored(tmp_path / "d.png", 0.4, 32)}]  # fmt: skip
    parquet(tmp_path / "set" / "validation-0.parquet", rows)
    found = find_data("multigen-depth", tmp_path / "set", options(tmp_path, side=64, seeds=1))
    (one,) = found
    assert one.words["task"] == "from_depth"
    assert open_picture(one.path).shape[-2:] == (64, 64)
    assert open_picture(one.truth["depth"]).shape[-2:] == (32, 32)
    assert open_picture(one.truth["file"]).mean() == pytest.approx(0.5, abs=0.01)


def test_places_holes_are_black_of_the_right_size_and_the_same_again(tmp_path):
    put(tmp_path / "val_large" / "Places365_val_1.jpg", 0.7, 96)
    asked = options(tmp_path, side=64)
    (one,) = find_data("places-inpaint", tmp_path, asked)
    given, hole = open_picture(one.path), open_picture(one.truth["hole"])[:, :1] > 0.5
    assert 0.4 <= float(hole.float().mean()) <= 0.5
    assert given[hole.expand_as(given)].max() == 0
    assert given[~hole.expand_as(given)].min() == pytest.approx(0.7, abs=2 / 255)
    before = one.path.read_bytes()
    (again,) = find_data("places-inpaint", tmp_path, asked)
    assert again.path.read_bytes() == before


def test_places_outpainting_asks_for_the_right_half(tmp_path):
    put(tmp_path / "val_large" / "Places365_val_1.jpg", 0.7, 64)
    (one,) = find_data("places-outpaint", tmp_path, options(tmp_path, side=64))
    given = open_picture(one.path)
    assert given[..., 32:].max() == 0
    assert given[..., :32].min() > 0.6
    assert open_picture(one.truth["hole"])[0, 0].mean() == 0.5


@pytest.mark.parametrize("seed", range(6))
def test_large_holes_cover_40_to_50_percent(seed):
    hole = large_hole(128, seed)
    assert 0.4 <= float(hole.float().mean()) <= 0.5
    assert torch.equal(hole, large_hole(128, seed))


def test_middle_square_cuts_the_middle_and_enlarges_what_is_too_small():
    wide = torch.zeros(1, 3, 4, 8)
    wide[..., 2:6] = 1
    assert middle_square(wide, 4).min() == 1
    assert middle_square(torch.full((1, 3, 2, 3), 0.4), 8).shape == (1, 3, 8, 8)


def test_canny_lines_are_those_of_kornia():
    from kornia.filters import canny

    picture = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(3))
    assert torch.equal(canny_lines(picture), canny(picture, 0.1, 0.2)[1][:, 0] == 1)


def coco(root, pictures=5):
    (root / "annotations").mkdir(parents=True)
    data = {
        "images": [{"id": n, "file_name": f"COCO_val2014_{n:012}.jpg"} for n in range(pictures)],
        "annotations": [{"id": 10 * n + k, "image_id": n, "caption": f"picture {n}, text {k}"}
                        for n in range(pictures) for k in range(5)],
    }  # fmt: skip
    path = root / "annotations" / "captions_val2014.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    for row in data["images"]:
        put(root / "val2014" / row["file_name"], 0.5)


def test_coco_takes_one_caption_of_each_picture_by_the_seed(tmp_path):
    coco(tmp_path)
    one, same, other = (
        [o.words["caption"] for o in find_data("coco30k", tmp_path, options(tmp_path, seed=seed))]
        for seed in (0, 0, 1)
    )
    assert [text.split(",")[0] for text in one] == [f"picture {n}" for n in range(5)]
    assert one == same != other
    assert len(coco_reference(tmp_path, options(tmp_path))) == 5


def test_hpsv2_reads_the_style_asked_for(tmp_path):
    (tmp_path / "photo.json").write_text('["a dog", "a cat"]', encoding="utf-8")
    found = find_data("hpsv2", tmp_path, options(tmp_path, side=32))
    assert [(one.name, one.words["caption"]) for one in found] == [
        ("00000", "a dog"), ("00001", "a cat"),
    ]  # fmt: skip
    assert open_picture(found[0].path).min() == 1
    with pytest.raises(PixWizardError, match=r"no anime\.json\. Found there: prepared/, 1 \.json"):
        find_data("hpsv2", tmp_path, options(tmp_path, split="anime"))
    (tmp_path / "photo.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(PixWizardError, match="is no list of prompts"):
        find_data("hpsv2", tmp_path, options(tmp_path))
