"""Objects with names: RefCOCO's sentences and COCO's single objects, as masks, tints and boxes."""

import json
import pathlib
import pickle

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.data.build import build
from pixwizard_core.data.build_photo import BuildOrder
from pixwizard_core.data.photos import find_photos, with_things
from pixwizard_core.data.things import find_things
from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.picture_files import open_picture, save_picture
from pixwizard_core.tasks import COLOURS

pytest.importorskip("pycocotools")
SQUARE = [[10, 8, 30, 8, 30, 24, 10, 24]]  # x 10 to 30, y 8 to 24
OTHER = [[40, 8, 60, 8, 60, 24, 40, 24]]


def instances(*more):
    rows = [(1, 1, SQUARE), (2, 2, OTHER), *more]
    return {
        "images": [{"id": 7, "file_name": "COCO_7.jpg", "height": 32, "width": 64}],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": kind, "segmentation": shape}
            for i, kind, shape in rows
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }


def reference(number, ids, *sentences, split="train"):
    return {
        "ref_id": number, "ann_id": ids, "image_id": 7, "split": split,
        "sentences": [{"sent": one} for one in sentences],
    }  # fmt: skip


@pytest.fixture
def coco(tmp_path):
    photographs, folder = tmp_path / "train2014", tmp_path / "refcoco"
    photographs.mkdir()
    folder.mkdir()
    save_picture(photographs / "COCO_7.png", torch.full((1, 3, 32, 64), 0.4))
    (folder / "instances.json").write_text(json.dumps(instances()))
    rows = [
        reference(1, 1, "dog on the  left", "left animal"),
        reference(2, 2, "cat", split="val"),
        reference(3, [1, 2], "both animals"),
        reference(4, [-1], "the horse"),
    ]
    (folder / "refs(unc).p").write_bytes(pickle.dumps(rows, 2))
    return photographs, folder


def built(coco, out, *tasks, **changed):
    left = LeftOut()
    photos = with_things(find_photos(coco[0], left), find_things(coco[1], left), left)
    order = BuildOrder(tasks, **{"least": 16, "side": 0, **changed})
    return build(photos, order, out, left_out=left), left


def test_sentences_of_the_training_split_name_objects(coco):
    left = LeftOut()
    things = find_things(coco[1], left)["COCO_7"]
    assert [(thing.id, thing.phrases) for thing in things] == [
        ("ref1", ("dog on the left", "left animal")), ("ref3", ("both animals",)),
    ]  # fmt: skip
    assert int(things[0].mask().sum()) == 20 * 16
    assert int(things[1].mask().sum()) == 2 * 20 * 16
    assert [reason for _, reason in left.files] == [
        "of another split than train", "nothing in the picture is meant",
    ]  # fmt: skip


def test_mask_is_white_on_black(coco, tmp_path):
    result, _ = built(coco, tmp_path / "out", "mask")
    files = {record["name"]: record["files"] for record in result.records}
    assert files["mask/COCO_7/ref1"] == {
        "input": "photo/COCO_7.png", "target": "mask/COCO_7/ref1.png",
    }  # fmt: skip
    shown = open_picture(tmp_path / "out" / "mask/COCO_7/ref1.png")[0, 0]
    wanted = torch.zeros(32, 64)
    wanted[8:24, 10:30] = 1.0
    assert torch.equal(shown, wanted)


def colour_of(record):
    (colour,) = [name for name in COLOURS if f" {name}" in record["instruction"][0]]
    return torch.tensor(COLOURS[colour])


def test_highlight_is_half_the_colour_that_is_asked_for(coco, tmp_path):
    result, _ = built(coco, tmp_path / "out", "highlight")
    record = next(r for r in result.records if r["name"].endswith("ref1"))
    assert "dog on the left" in record["instruction"][0]
    assert "left animal" in record["instruction"][1]  # phrases take turns
    shown = open_picture(tmp_path / "out" / record["files"]["target"])[0] * 255
    assert torch.equal(shown[:, 31, 0], torch.full((3,), 102.0))  # outside, 0.4 of 255
    assert (shown[:, 10, 15] - (0.5 * 102 + 0.5 * colour_of(record))).abs().max() <= 1


def test_box_is_drawn_in_the_colour_that_is_asked_for(coco, tmp_path):
    result, _ = built(coco, tmp_path / "out", "box")
    record = next(r for r in result.records if r["name"].endswith("ref1"))
    shown = open_picture(tmp_path / "out" / record["files"]["target"])[0] * 255
    changed = (shown - 102).abs().max(0).values > 1
    assert torch.equal(shown[:, 8, 10], colour_of(record).float())
    assert not bool(changed[:8].any() or changed[24:].any() or changed[:, 30:].any())
    assert not bool(changed[12:20, 14:26].any())  # inside


def test_objects_are_built_twice_to_the_same_bytes_and_kept(coco, tmp_path):
    tasks = ("mask", "highlight", "box", "denoise")
    first, _ = built(coco, tmp_path / "one", *tasks)
    built(coco, tmp_path / "two", *tasks)
    for record in first.records:
        for name in record["files"].values():
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    again, _ = built(coco, tmp_path / "one", *tasks)
    assert (first.built, again.built, again.kept) == (7, 0, 7)


def test_single_objects_of_a_class_are_named_by_it(tmp_path):
    path = tmp_path / "instances_train.json"
    path.write_text(json.dumps(instances((3, 2, SQUARE))))
    left = LeftOut()
    things = find_things(path, left)["COCO_7"]
    assert [(thing.id, thing.phrases) for thing in things] == [("object1", ("the dog",))]
    assert [reason for _, reason in left.files] == ["one of several objects of its class"] * 2


def test_pictures_that_are_not_there_are_named(coco):
    left = LeftOut()
    save_picture(coco[0] / "another.png", torch.zeros(1, 3, 32, 64))
    (coco[0] / "COCO_7.png").unlink()
    photos = with_things(find_photos(coco[0], left), find_things(coco[1], left), left)
    assert [photo.things for photo in photos] == [()]
    assert left.files[-1][1] == "a picture with named objects that is not there"


def test_object_without_pixels_fails_by_name(coco, tmp_path):
    (coco[1] / "instances.json").write_text(json.dumps(instances((9, 1, []))))
    rows = [reference(1, 1, "dog"), reference(5, 9, "nothing")]
    (coco[1] / "refs(unc).p").write_bytes(pickle.dumps(rows, 2))
    result, _ = built(coco, tmp_path / "out", "mask")
    (failed,) = result.failed
    assert (failed["name"], failed["error"]) == ("mask/COCO_7/ref5", "the object has no pixels")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "[]", "there are no images"),
        ("a.json", '{"images": [{"id": 1}], "annotations": []}', "images 1: there is no file_name"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "names no object"),
        ("b.json", None, "which holds the outlines"),
    ],
)
def test_other_annotations_are_refused(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(PixWizardError, match=said):
        find_things(tmp_path / name, LeftOut())


def test_folder_without_references_or_with_odd_ones_is_refused(coco):
    (coco[1] / "refs(unc).p").write_bytes(pickle.dumps([{"ref_id": 1}], 2))
    with pytest.raises(PixWizardError, match="reference 1 is not as RefCOCO's are"):
        find_things(coco[1], LeftOut())
    with pytest.raises(PixWizardError, match="has none of"):
        find_things(coco[0], LeftOut())


def parquet_of(folder, rows):
    """Rows as RefCOCO is shared in Parquet: a reference with picture and outline in JSON."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    image = {"id": 7, "file_name": "COCO_7.jpg", "height": 32, "width": 64}
    table = [
        {
            "ref_id": number, "split": split, "file_name": f"COCO_7_{number}.jpg",
            "sentences": [{"raw": one, "sent": one} for one in sentences],
            "raw_anns": json.dumps({"id": number, "segmentation": shape}),
            "raw_image_info": json.dumps(image),
        }
        for number, split, shape, sentences in rows
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(table), folder / "train-00000.parquet")


@pytest.mark.parametrize("inside", [".", "data"])
def test_parquet_files_of_references_name_the_same_objects(tmp_path, inside):
    rows = [(1, "train", SQUARE, ["dog on the  left", "left animal"]), (2, "val", OTHER, ["cat"])]
    parquet_of(tmp_path / inside, rows)
    left = LeftOut()
    (thing,) = find_things(tmp_path, left)["COCO_7"]
    assert (thing.id, thing.phrases) == ("ref1", ("dog on the left", "left animal"))
    assert int(thing.mask().sum()) == 20 * 16
    assert [reason for _, reason in left.files] == ["of another split than train"]


def test_other_parquet_files_are_refused(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist([{"ref_id": 1}]), tmp_path / "a.parquet")
    with pytest.raises(PixWizardError, match=r"no column split\. Found: ref_id"):
        find_things(tmp_path, LeftOut())
    parquet_of(tmp_path / "b", [(1, "train", SQUARE, ["dog"])])
    table = parquet.read_table(tmp_path / "b" / "train-00000.parquet").to_pylist()
    table[0]["raw_anns"] = "{}"
    parquet.write_table(arrow.Table.from_pylist(table), tmp_path / "b" / "train-00000.parquet")
    with pytest.raises(PixWizardError, match="row 0 is not as RefCOCO's are: KeyError"):
        find_things(tmp_path / "b", LeftOut())


def test_pickle_with_more_than_values_is_not_opened_and_the_other_forms_are_named(coco):
    (coco[1] / "refs(unc).p").write_bytes(pickle.dumps([pathlib.PurePosixPath("x")], 2))
    said = r"nothing was run\. The same .* as JSON \(refs\(unc\)\.json\)"
    with pytest.raises(PixWizardError, match=said):
        find_things(coco[1], LeftOut())


def test_recoloured_object_is_asked_for_by_name_and_colour(coco, tmp_path):
    result, _ = built(coco, tmp_path / "out", "recolour")
    record = next(r for r in result.records if r["name"].endswith("ref1"))
    assert "dog on the left" in record["instruction"][0]
    shown = open_picture(tmp_path / "out" / record["files"]["target"])[0] * 255
    assert torch.equal(shown[:, 12, 15].round(), colour_of(record).float())  # even, so in full
    assert shown[:, 12, 31].round().tolist() == [102, 102, 102]


def test_command_builds_what_annotations_name(coco, tmp_path, capsys):
    command = ["data", "build", str(coco[0]), "--out", str(tmp_path / "out"), "--least", "16"]
    assert main([*command, "--objects", str(coco[1]), "--each", "30"]) == 0
    said = capsys.readouterr().out
    assert "box                       2 pairs" in said
    assert "so they are not built: normal, pose, segmentation" in said
