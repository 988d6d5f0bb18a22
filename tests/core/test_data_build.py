"""Pairs built from photographs: what each task shows, and that two builds give the same bytes."""

import hashlib
import json

import pytest
import torch

from pixwizard_core.data import build_photo
from pixwizard_core.data.build import build
from pixwizard_core.data.build_photo import BuildOrder
from pixwizard_core.data.lists import read_list
from pixwizard_core.data.meta import read_pairs
from pixwizard_core.data.photos import find_photos
from pixwizard_core.data.recipes import ALL_TASKS, RECIPES
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.picture_files import open_picture, save_grey16, save_picture
from pixwizard_core.tasks import TASKS

ELEVEN = ("denoise", "derain", "dehaze", "deblur", "desnow", "deshadow", "lowlight", "demoire",
          "face", "watermark", "superres")  # fmt: skip


def picture(seed, height=40, width=64):
    """Soft blobs of colour, so that every task has something to draw."""
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    (folder / "trip").mkdir(parents=True)
    save_picture(folder / "a.png", picture(1))
    save_picture(folder / "trip" / "b.png", picture(2))
    (folder / "a.txt").write_text("a wall in many colours\n")
    return folder


def order(*tasks, **changed):
    return BuildOrder(tasks or ("denoise", "canny"), **{"least": 16, "side": 0, **changed})


def built(folder, out, *tasks, maps=None, workers=1, **changed):
    left = LeftOut()
    photos = find_photos(folder, left, maps)
    result = build(photos, order(*tasks, **changed), out, workers=workers, left_out=left)
    return result, left


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_every_recipe_is_a_task_and_all_eleven_degradations_are_there():
    assert set(RECIPES) <= set(TASKS)
    assert set(ELEVEN) <= set(RECIPES)
    assert set(RECIPES) - set(ALL_TASKS) == {"face", "inpaint_face"}


def test_all_tasks_build_twice_to_the_same_bytes(photographs, tmp_path):
    result, _ = built(photographs, tmp_path / "one", *RECIPES)
    built(photographs, tmp_path / "two", *RECIPES)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert result.failed == []
    # a has a caption, so it also shows pictures from maps and from words
    with_caption = {r["task"] for r in result.records if r["path"] == "a"}
    without = {r["task"] for r in result.records if r["path"] == "trip/b"}
    drawn = {"from_canny", "from_hed", "from_sketch", "from_lineart", "text2image"}
    assert with_caption - without == drawn
    assert set(RECIPES) - with_caption == {
        "depth", "from_depth", "normal", "from_normal", "pose", "from_pose", "segmentation",
        "from_segmentation",
    }  # fmt: skip


def test_workers_make_the_same_bytes(photographs, tmp_path):
    built(photographs, tmp_path / "one")
    built(photographs, tmp_path / "two", workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_makes_other_choices(photographs, tmp_path):
    built(photographs, tmp_path / "one")
    built(photographs, tmp_path / "two", seed=1)
    one, two = digests(tmp_path / "one"), digests(tmp_path / "two")
    assert one["denoise/a.png"] != two["denoise/a.png"]
    assert one["photo/a.png"] == two["photo/a.png"]


def test_choices_do_not_depend_on_other_photographs_or_tasks(photographs, tmp_path):
    built(photographs, tmp_path / "one", *ALL_TASKS)
    (photographs / "a.png").unlink()
    built(photographs, tmp_path / "two", "sketch", "derain")
    one, two = digests(tmp_path / "one"), digests(tmp_path / "two")
    for name in ("sketch/trip/b.png", "derain/trip/b.png"):
        assert one[name] == two[name]


def test_build_goes_on_where_one_ended(photographs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first, _ = built(photographs, out, "denoise", "canny")
    before = digests(out)
    (out / "canny" / "a.png").unlink()
    monkeypatch.setattr(
        build_photo, "RECIPES", {"canny": RECIPES["canny"]}
    )  # denoise would fail now
    again, _ = built(photographs, out, "denoise", "canny")
    assert (first.built, first.kept) == (4, 0)
    assert len(again.records) == 4
    assert digests(out) == before


def test_line_that_was_cut_off_is_built_again(photographs, tmp_path):
    out = tmp_path / "out"
    built(photographs, out)
    before = digests(out)
    index = out / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-30])
    again, _ = built(photographs, out)
    assert (again.built, again.kept) == (1, 3)
    assert digests(out) == before


def test_changed_photograph_is_built_again(photographs, tmp_path):
    built(photographs, tmp_path / "out")
    save_picture(photographs / "a.png", picture(9))
    again, _ = built(photographs, tmp_path / "out")
    assert (again.built, again.kept) == (2, 2)


def test_pairs_of_other_tasks_are_counted_when_no_list_names_them_any_more(photographs, tmp_path):
    built(photographs, tmp_path / "out", "denoise", "canny")
    again, _ = built(photographs, tmp_path / "out", "canny")
    assert again.dropped == 2
    assert "2 pairs of an earlier run" in again.notes()[0]
    assert not (tmp_path / "out" / "lists" / "denoise.json").exists()


def test_lists_of_both_kinds_name_the_same_pairs(photographs, tmp_path):
    pytest.importorskip("yaml")
    built(photographs, tmp_path / "out", "denoise", "canny", "inpaint")
    ours = read_list(tmp_path / "out" / "pairs.jsonl").pairs
    released = read_pairs(tmp_path / "out" / "meta.yaml").pairs

    def told(pair):
        return (pair.input.resolve(), pair.target.resolve(), pair.instructions, pair.width)

    assert sorted(map(told, ours)) == sorted(map(told, released))
    assert all(pair.input.is_file() and pair.target.is_file() for pair in ours)
    denoise = next(pair for pair in ours if pair.task == "denoise")
    assert denoise.instructions[0] == "denoise"  # the trained form is first
    assert len(denoise.instructions) == 3
    assert (denoise.width, denoise.height) == (64, 40)


def test_part_of_the_photographs_is_kept_for_validation(photographs, tmp_path):
    for number in range(8):
        save_picture(photographs / f"n{number}.png", picture(10 + number))
    built(photographs, tmp_path / "out", validation=0.4)
    train = {pair.target.stem for pair in read_list(tmp_path / "out" / "pairs.jsonl").pairs}
    held = {pair.target.stem for pair in read_list(tmp_path / "out" / "validation.jsonl").pairs}
    assert train
    assert held
    assert not train & held
    assert len(train | held) == 10


def test_each_photograph_shows_as_many_tasks_as_asked(photographs, tmp_path):
    result, _ = built(photographs, tmp_path / "out", *ALL_TASKS, each=3)
    for name in ("a", "trip/b"):
        assert sum(record["path"] == name for record in result.records) == 3


def test_haze_without_depth_is_said_and_with_depth_follows_it(photographs, tmp_path):
    maps = tmp_path / "maps"
    (maps / "depth").mkdir(parents=True)
    near = torch.zeros(3, 40, 64)
    near[:, :, :32] = 1.0  # the left half is near
    save_picture(maps / "depth" / "a.png", near)
    result, _ = built(photographs, tmp_path / "out", "dehaze", maps=maps)
    assert result.notes() == ["1 pairs: haze follows a made-up smooth distance, not the scene's"]
    hazy = open_picture(tmp_path / "out" / "dehaze" / "a.png")
    change = (hazy - open_picture(photographs / "a.png")).abs().mean((0, 1, 2))
    assert float(change[32:].mean()) > 2 * float(change[:32].mean())


def test_metric_depth_is_linear_to_ten_metres_and_masked_where_unknown(photographs, tmp_path):
    maps = tmp_path / "maps"
    (maps / "depth_m").mkdir(parents=True)
    metres = torch.full((40, 64), 2.5)
    metres[:, 40:] = 20.0
    metres[:8] = 0.0  # unknown
    save_grey16(maps / "depth_m" / "a.png", metres * 1000 / 65535)
    result, left = built(photographs, tmp_path / "out", "depth", maps=maps)
    shown = open_picture(tmp_path / "out" / "depth" / "a.png")[0]
    assert torch.equal(shown[:, 20, 10] * 255, torch.full((3,), 64.0))  # 2.5 of 10 m
    assert float(shown[:, 20, 50].min()) == 1.0
    known = open_picture(tmp_path / "out" / result.records[0]["files"]["mask"])[0, 0]
    assert torch.equal(known, (metres > 0).float())
    assert "masks of where the truth is known" in result.notes()[0]
    assert [reason for _, reason in left.files] == ["no depth or depth_m map for depth"]


def test_classes_are_painted_in_the_colours_of_ade20k(photographs, tmp_path):
    maps = tmp_path / "maps"
    (maps / "segmentation").mkdir(parents=True)
    save_picture(maps / "segmentation" / "a.png", torch.full((40, 64), 3 / 255))
    built(photographs, tmp_path / "out", "segmentation", maps=maps)
    shown = open_picture(tmp_path / "out" / "segmentation" / "a.png")[0, :, 0, 0] * 255
    assert shown.tolist() == [6, 230, 230]  # sky


def test_map_and_picture_from_it_share_a_file(photographs, tmp_path):
    result, _ = built(photographs, tmp_path / "out", "sketch", "from_sketch")
    files = {record["name"]: record["files"] for record in result.records}
    assert files["sketch/a"] == {"input": "photo/a.png", "target": "sketch/a.png"}
    assert files["from_sketch/a"] == {"input": "sketch/a.png", "target": "photo/a.png"}


def test_photographs_shrink_to_the_asked_area(photographs, tmp_path):
    result, _ = built(photographs, tmp_path / "out", "denoise", side=32)
    assert {(record["width"], record["height"]) for record in result.records} == {(40, 25)}


def test_what_cannot_be_built_is_named(photographs, tmp_path):
    (photographs / "broken.png").write_bytes(b"no picture")
    save_picture(photographs / "small.png", picture(3, 12, 40))
    (photographs / "notes.md").write_text("x")
    result, left = built(photographs, tmp_path / "out", "denoise", "from_canny")
    failed = {record["name"]: record["error"] for record in result.failed}
    assert set(failed) == {"denoise/broken", "denoise/small"}
    assert "cannot be read as a picture" in failed["denoise/broken"]
    assert failed["denoise/small"] == "its shorter side has 12 px, fewer than 16"
    told = {(path.name, reason) for path, reason in left.files}
    assert ("notes.md", "not a picture") in told
    assert ("b.png", "no caption for from_canny") in told
    rows = (tmp_path / "out" / "left_out.jsonl").read_text().splitlines()
    assert len(rows) == len(left.files)
    assert len((tmp_path / "out" / "failures.jsonl").read_text().splitlines()) == 2


def test_map_of_other_proportions_is_refused(photographs, tmp_path):
    maps = tmp_path / "maps"
    (maps / "pose").mkdir(parents=True)
    save_picture(maps / "pose" / "a.png", torch.zeros(3, 40, 40))
    (maps / "poses").mkdir()
    with pytest.raises(PixWizardError, match="of other proportions than its photograph"):
        built(photographs, tmp_path / "out", "pose", maps=maps)
    left = LeftOut()
    find_photos(photographs, left, maps)
    ((path, reason),) = left.files
    assert path.name == "poses"
    assert reason.startswith("a folder of maps is named one of depth, ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"side": -1}, "side is a number from 0"),
        ({"sentences": 0}, "sentences is a number from 1"),
        ({"least": 1}, "least is a number from 16"),
        ({"validation": 1.0}, "validation is a share below 1"),
        ({"per_metre": 0.0}, "per_metre is a number above 0"),
    ],
)
def test_order_out_of_range_is_refused(changed, said):
    with pytest.raises(PixWizardError, match=said):
        order(**changed)


def test_unknown_task_and_empty_folder_are_refused(tmp_path):
    with pytest.raises(PixWizardError, match="cannot be built into 'remove'"):
        order("remove")
    with pytest.raises(PixWizardError, match="there is no picture in"):
        find_photos(tmp_path, LeftOut())
    with pytest.raises(PixWizardError, match="there is no folder of photographs"):
        find_photos(tmp_path / "none", LeftOut())


def test_index_names_each_file_so_that_a_build_is_no_input_of_the_next(photographs):
    built(photographs, photographs / "out", "denoise")
    photos = find_photos(photographs, LeftOut())
    assert [photo.name for photo in photos] == ["a", "trip/b"]
    rows = (photographs / "out" / "index.jsonl").read_text().splitlines()
    assert {json.loads(row)["name"] for row in rows} == {"denoise/a", "denoise/trip/b"}


def test_photograph_without_lines_gives_no_drawing_and_is_named(photographs, tmp_path):
    for path in (photographs / "a.png", photographs / "trip" / "b.png"):
        save_picture(path, torch.full((1, 3, 40, 64), 0.5))
    tasks = ("canny", "sketch", "lineart", "from_canny", "superres", "denoise")
    result, left = built(photographs, tmp_path / "out", *tasks)
    assert {record["task"] for record in result.records} == {"denoise"}
    assert result.failed == []
    told = {reason for path, reason in left.files if path.name == "a.png"}
    assert told == {
        "canny finds no line in it, so it is left out of canny",
        "canny finds no line in it, so it is left out of from_canny",
        "sketch finds no line in it, so it is left out of sketch",
        "lineart finds no line in it, so it is left out of lineart",
        "superres changes nothing in it",
    }


def test_blank_map_of_a_teacher_is_an_answer(photographs, tmp_path):
    (tmp_path / "maps" / "pose").mkdir(parents=True)
    save_picture(tmp_path / "maps" / "pose" / "a.png", torch.zeros(3, 40, 64))
    result, _ = built(photographs, tmp_path / "out", "pose", maps=tmp_path / "maps")
    assert [record["name"] for record in result.records] == ["pose/a"]
