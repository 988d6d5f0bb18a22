"""Datasets as their authors release them: small ones of each layout, and what is found in them."""

import json

import pytest
import torch

from pixwizard_core.cli import main
from pixwizard_core.data.ade20k_names import class_of
from pixwizard_core.data.build import build
from pixwizard_core.data.build_photo import BuildOrder
from pixwizard_core.data.layouts import LAYOUTS, find_layout
from pixwizard_core.data.photos import open_photo
from pixwizard_core.decode.palette import ade20k
from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.picture_files import open_picture, save_picture
from tests.support.photo_sets import MATRIX, ade20k_parts, hypersim_frame, nyu_file, scene_parsing

HEIGHT, WIDTH = 24, 32


def found(name, source):
    left = LeftOut()
    return find_layout(name, source, left), left


def opened(photo):
    return open_photo(photo, 0, 1000.0)


def test_nyu_gives_pictures_and_measured_distances_of_the_training_split(tmp_path):
    pytest.importorskip("h5py")
    file = nyu_file(tmp_path, train=(1, 3))
    result, left = found("nyu", file)
    assert [photo.name for photo in result.photos] == ["0001", "0003"]
    assert [(path.name, reason) for path, reason in left.files] == [
        ("0002", "of another split than training")
    ]
    assert result.notes == []
    work = opened(result.photos[1])
    assert work.image.shape == (1, 3, HEIGHT, WIDTH)
    # Row and column of a pixel are swapped in the file.
    assert (work.image[0, :, 5, 7] * 255).round().tolist() == [5, 7, 2]
    assert work.depth_m is not None
    assert float(work.depth_m[0, 5, 7]) == pytest.approx(3.0 + 5 / 24)
    assert not bool(work.known["depth_m"][0, 0])  # measured nothing there
    assert float(work.maps["depth_m"][0, 0, 5, 7]) == pytest.approx(0.3 + 5 / 240)


def test_nyu_without_its_split_is_said(tmp_path):
    pytest.importorskip("h5py")
    nyu_file(tmp_path)
    result, _ = found("nyu", tmp_path)
    assert len(result.photos) == 3
    assert result.notes == [
        "splits.mat is not beside nyu_depth_v2_labeled.mat, so pictures that are scored on are "
        "used too"
    ]


def test_nyu_pairs_are_built_alike_by_workers_and_kept(tmp_path):
    pytest.importorskip("h5py")
    photos = found("nyu", nyu_file(tmp_path))[0].photos
    order = BuildOrder(("depth", "denoise"), least=16, side=0)
    first = build(photos, order, tmp_path / "one")
    build(photos, order, tmp_path / "two", workers=2)
    again = build(photos, order, tmp_path / "one")
    assert (first.built, again.built, again.kept) == (6, 0, 6)
    for record in first.records:
        for name in record["files"].values():
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    depth = next(record for record in first.records if record["name"] == "depth/0001")
    assert "mask" in depth["files"]


def test_nyu_file_of_another_layout_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with pytest.raises(PixWizardError, match=r"looked for nyu_depth_v2_labeled\.mat. Found: noth"):
        found("nyu", tmp_path)
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        file["pictures"] = [1, 2]
    with pytest.raises(PixWizardError, match=r"looked for images and rawDepths or depths. Found"):
        found("nyu", path)
    path.write_bytes(b"MATLAB 5.0")
    with pytest.raises(PixWizardError, match="cannot be read as HDF5"):
        found("nyu", path)


def test_split_of_another_file_is_refused(tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(PixWizardError, match="trainNdxs should number pictures from 1"):
        found("nyu", nyu_file(tmp_path, train=(1, 9)))


def test_missing_h5py_is_said(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"")
    with pytest.raises(PixWizardError, match="needs h5py: pip install h5py"):
        found("nyu", tmp_path)


def test_hypersim_distances_along_rays_become_depth(tmp_path):
    pytest.importorskip("h5py")
    hypersim_frame(tmp_path, "ai_001_001", 0, rays=2.0)
    result, _ = found("hypersim", tmp_path)
    (photo,) = result.photos
    assert photo.name == "ai_001_001/cam_00/frame_0000"
    work = opened(photo)
    assert work.depth_m is not None
    # A pixel whose ray is (x, y, -1) shows things at 2 / |ray| straight ahead; 60 degrees wide.
    x, y = 0.57735 * (31 / 32), 0.57735 * 24 / 32 * (23 / 24)
    assert float(work.depth_m[0, 0, 31]) == pytest.approx(2 / (x * x + y * y + 1) ** 0.5, rel=1e-4)
    assert float(work.depth_m[0, 12, 16]) == pytest.approx(2.0, rel=1e-3)
    assert not bool(work.known["depth_m"][3, 4])  # not a number in the file
    assert work.notes["depth_m"].startswith("a camera of 60 degrees was assumed")
    assert result.notes[0] == (
        "metadata_images_split_scene_v1.csv is not there, so pictures of all splits are used"
    )


def test_hypersim_cameras_and_split_are_read(tmp_path):
    pytest.importorskip("h5py")
    for scene in ("ai_001_001", "ai_001_002"):
        hypersim_frame(tmp_path, scene, 0, rays=2.0)
    matrix = (1.0, 0, 0, 0, 0.75, 0, 0, 0, -1.0)  # 90 degrees wide
    (tmp_path / "metadata_camera_parameters.csv").write_text(
        f"scene_name,{','.join(MATRIX)}\nai_001_001,{','.join(map(str, matrix))}\n"
    )
    (tmp_path / "metadata_images_split_scene_v1.csv").write_text(
        "scene_name,camera_name,frame_id,split_partition_name\n"
        "ai_001_001,cam_00,0,train\nai_001_002,cam_00,0,test\n"
    )
    result, left = found("hypersim", tmp_path)
    assert [photo.name for photo in result.photos] == ["ai_001_001/cam_00/frame_0000"]
    assert [reason for _, reason in left.files] == ["of another split than training"]
    work = opened(result.photos[0])
    assert work.notes == {}
    assert work.depth_m is not None
    x, y = 31 / 32, 0.75 * 23 / 24
    assert float(work.depth_m[0, 0, 31]) == pytest.approx(2 / (x * x + y * y + 1) ** 0.5, rel=1e-4)


def test_hypersim_normals_are_painted_and_masked_where_unknown(tmp_path):
    pytest.importorskip("h5py")
    hypersim_frame(tmp_path, "ai_001_001", 0, normal=(0.0, 2.0, 0.0))
    photos = found("hypersim", tmp_path)[0].photos
    result = build(photos, BuildOrder(("normal",), least=16, side=0), tmp_path / "out")
    (record,) = result.records
    shown = open_picture(tmp_path / "out" / record["files"]["target"])[0] * 255
    assert shown[:, 10, 10].round().tolist() == [128, 255, 128]
    assert shown[:, 3, 4].tolist() == [0, 0, 0]
    known = open_picture(tmp_path / "out" / record["files"]["mask"])[0, 0]
    assert int((known < 0.5).sum()) == 1


def test_hypersim_of_another_layout_or_with_odd_tables_is_refused(tmp_path):
    pytest.importorskip("h5py")
    save_picture(tmp_path / "a.png", torch.zeros(3, 8, 8))
    with pytest.raises(PixWizardError, match=r"looked for ai_VVV_NNN.* below it. Found: 1 \.png"):
        found("hypersim", tmp_path)
    hypersim_frame(tmp_path, "ai_001_001", 0)
    table = tmp_path / "metadata_camera_parameters.csv"
    table.write_text("scene_name\nai_001_001\n")
    with pytest.raises(PixWizardError, match="has no M_cam_from_uv_00"):
        found("hypersim", tmp_path)
    table.write_text(f"scene_name,{','.join(MATRIX)}\nai_001_001{',x' * 9}\n")
    with pytest.raises(PixWizardError, match="of ai_001_001 has a cell that is no number"):
        found("hypersim", tmp_path)
    table.unlink()
    split = tmp_path / "metadata_images_split_scene_v1.csv"
    split.write_text(
        "scene_name,camera_name,frame_id,split_partition_name\nai_001_001,cam_00,x,train\n"
    )
    with pytest.raises(PixWizardError, match="frame_id of ai_001_001 is no number"):
        found("hypersim", tmp_path)


def test_hypersim_file_of_another_shape_fails_by_name(tmp_path):
    h5py = pytest.importorskip("h5py")
    hypersim_frame(tmp_path, "ai_001_001", 0)
    (photo,) = found("hypersim", tmp_path)[0].photos
    path = photo.maps["depth_m"].path
    path.unlink()
    with h5py.File(path, "w") as file:
        file["dataset"] = torch.zeros(2, 3, 4).numpy()
    with pytest.raises(CanvasError, match=r"dataset should be height x width. Got: \(2, 3, 4\)"):
        opened(photo)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["other"] = [1]
    with pytest.raises(PixWizardError, match="holds no dataset; it holds other"):
        opened(photo)


def test_scene_parsing_gives_training_pictures_with_classes(tmp_path):
    scene_parsing(tmp_path, number=3)
    result, left = found("ade20k", tmp_path)
    assert [photo.name for photo in result.photos] == ["ADE_train_1", "ADE_train_2"]
    assert [(path.name, reason) for path, reason in left.files] == [
        ("ADE_train_2.jpg", "no training/…/X.png of its name, so no classes")
    ]
    painted = opened(result.photos[0]).maps["segmentation"][0, :, 0, 0] * 255
    assert painted.tolist() == [6, 230, 230]  # sky
    assert result.photos[1].maps == {}


@pytest.mark.parametrize("release", ["2016", "2021"])
def test_parts_of_ade20k_become_the_150_classes(tmp_path, release):
    ade20k_parts(tmp_path, release)
    result, left = found("ade20k", tmp_path)
    (photo,) = result.photos
    assert photo.name == "images/training/street/ADE_train_1"
    assert [reason for _, reason in left.files] == ["of another split than training"]
    work = opened(photo)
    colours = torch.tensor(ade20k().colours)
    shown = (work.maps["segmentation"][0] * 255).round().long()
    assert torch.equal(shown[:, 0, 0], colours[3])  # sky
    assert torch.equal(shown[:, 20, 0], colours[21])  # car, by all its synonyms
    assert torch.equal(shown[:, 20, 31], colours[15])  # door, by the only class that has it
    assert shown[:, 12, 16].tolist() == [0, 0, 0]  # a kite is none of the 150
    assert work.notes == {
        "segmentation": "objects that are none of ADE20K's 150 classes are black"
    }


def test_names_belong_to_one_class_or_none():
    assert class_of("car, auto, automobile, machine, motorcar") == 21
    assert class_of("Window") == 9
    assert class_of("windowpane, window") == 9
    assert class_of("screen, silver screen, projection screen") == 131
    assert class_of("screen, CRT screen") == 142
    assert class_of("screen") == 0  # of four classes
    assert class_of("counter") == 46  # a class of its own, though a buffet is called so too
    assert class_of("kite") == 0
    assert class_of("") == 0


def test_ade20k_without_names_or_of_another_layout_is_said(tmp_path):
    with pytest.raises(PixWizardError, match=r"looked for images/training/ and annotations/train"):
        found("ade20k", tmp_path)
    ade20k_parts(tmp_path, "2021")
    (names,) = tmp_path.rglob("ADE_train_1.json")
    names.write_text('{"annotation": {}}')
    with pytest.raises(CanvasError, match="names no objects of ADE20K: KeyError"):
        opened(found("ade20k", tmp_path)[0].photos[0])
    names.unlink()
    names.with_name("ADE_train_1_atr.txt").write_text("one line of text\n")
    with pytest.raises(CanvasError, match=r"line 1 names no object\. Got: one line of text"):
        opened(found("ade20k", tmp_path)[0].photos[0])
    names.with_name("ADE_train_1_atr.txt").unlink()
    result, left = found("ade20k", tmp_path)
    assert result.photos[0].maps == {}
    assert "no X.json or X_atr.txt names its objects" in {reason for _, reason in left.files}


def test_unknown_layout_and_missing_source_are_refused(tmp_path):
    with pytest.raises(PixWizardError, match="there is no layout 'kitti'; choose one of: nyu, "):
        find_layout("kitti", tmp_path, LeftOut())
    with pytest.raises(PixWizardError, match="there is no file or folder"):
        find_layout("nyu", tmp_path / "none", LeftOut())


def test_command_offers_every_layout(tmp_path, capsys):
    scene_parsing(tmp_path / "set", number=3)
    command = ["data", "build", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    options = ["--least", "16", "--tasks", "segmentation,denoise"]
    assert main([*command, *options, "--layout", "ade20k"]) == 0
    assert "3 pairs built" in capsys.readouterr().out
    rows = (tmp_path / "out" / "index.jsonl").read_text().splitlines()
    assert {json.loads(row)["name"] for row in rows} == {
        "segmentation/ADE_train_1", "denoise/ADE_train_1", "denoise/ADE_train_2",
    }  # fmt: skip
    for name in LAYOUTS:
        assert main([*command, "--layout", name]) in (0, 2)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*command, "--layout", "kitti"])
    assert "invalid choice: 'kitti'" in capsys.readouterr().err


def test_maps_of_ones_own_go_before_those_of_a_dataset(tmp_path, capsys):
    scene_parsing(tmp_path / "set", number=3)
    mine = tmp_path / "maps" / "segmentation"
    mine.mkdir(parents=True)
    save_picture(mine / "ADE_train_1.png", torch.full((HEIGHT, WIDTH), 1 / 255))
    command = ["data", "build", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    options = ["--least", "16", "--tasks", "segmentation", "--layout", "ade20k"]
    assert main([*command, *options, "--maps", str(tmp_path / "maps")]) == 0
    shown = open_picture(tmp_path / "out" / "segmentation" / "ADE_train_1.png")[0, :, 0, 0] * 255
    assert shown.tolist() == [120, 120, 120]  # wall


def test_file_as_a_folder_of_photographs_is_told_of_layouts(tmp_path, capsys):
    (tmp_path / "a.mat").write_bytes(b"")
    assert main(["data", "build", str(tmp_path / "a.mat"), "--out", str(tmp_path / "o")]) == 2
    assert "a dataset's file needs --layout" in capsys.readouterr().err
