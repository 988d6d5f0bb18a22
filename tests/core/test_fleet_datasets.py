"""Datasets in their own layouts, made small: what is found, asked and scored."""

import json
import math
import os
import pickle

import numpy as np
import pytest
import torch

from pixwizard_core import cli
from pixwizard_core.decode import ade20k
from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.evaluation.layouts import LAYOUTS, DatasetOptions, find_data
from pixwizard_core.evaluation.protocols import score, total
from pixwizard_core.evaluation.truths import read_truth
from pixwizard_core.files.picture_files import save_grey16, save_picture
from pixwizard_core.files.plain_pickle import read_plain_pickle
from tests.support.bundles import teach, write_bundle

SIDE = 32


def rgb(path, *shades):
    path.parent.mkdir(parents=True, exist_ok=True)
    shades = shades * 3 if len(shades) == 1 else shades
    save_picture(path, torch.tensor(shades)[:, None, None].expand(3, SIDE, SIDE))
    return path


def grey16(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_grey16(path, torch.as_tensor(values, dtype=torch.float64) / 65535)


def plain(shade) -> torch.Tensor:
    return torch.full((1, 3, SIDE, SIDE), float(shade))


def scores_of(found, answer, palette=None):
    source = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    rows = [score(one.truth, answer, source, palette) for one in found]
    return total(found[0].truth["protocol"], json.loads(json.dumps(rows)))


def test_nyuv2_depth_is_black_at_nought_and_white_at_ten_metres(tmp_path):
    rgb(tmp_path / "test" / "kitchen" / "rgb_00045.jpg", 0.5)
    millimetres = torch.full((SIDE, SIDE), 4000)
    millimetres[:4] = 0  # unknown
    grey16(tmp_path / "test" / "kitchen" / "sync_depth_00045.png", millimetres)
    (one,) = found = find_data("nyuv2", tmp_path, DatasetOptions())
    assert one.words == {"task": "depth"}
    assert one.truth["crop"] is None  # not of NYUv2's size
    scores = scores_of(found, plain(0.5))  # 5 m
    assert scores["rmse_m"] == pytest.approx(1.0, abs=1e-5)
    assert scores["abs_rel"] == pytest.approx(0.25, abs=1e-5)
    aligned = find_data("nyuv2", tmp_path, DatasetOptions(align=True))
    assert scores_of(aligned, plain(0.1))["rmse_m"] == pytest.approx(0, abs=1e-5)


def test_nyuv2_is_scored_inside_eigens_crop(tmp_path):
    folder = tmp_path / "test" / "a"
    folder.mkdir(parents=True)
    save_picture(folder / "rgb_1.png", torch.zeros(3, 480, 640))
    millimetres = torch.full((480, 640), 9000)
    millimetres[45:471, 41:601] = 2000
    grey16(folder / "sync_depth_1.png", millimetres)
    (one,) = find_data("nyuv2", tmp_path, DatasetOptions(near="black"))
    row = score(one.truth, torch.full((1, 3, 480, 640), 0.2), torch.zeros(1, 3, 480, 640), None)
    assert row["pixels"] == 426 * 560
    assert row["rmse_m"] == pytest.approx(0, abs=1e-4)


def test_sunrgbd_turns_its_bits_back(tmp_path):
    sample = tmp_path / "kv1" / "NYUdata" / "NYU0001"
    rgb(sample / "image" / "NYU0001.jpg", 0.5)
    stored = ((3000 << 3) | (3000 >> 13)) & 0xFFFF
    grey16(sample / "depth_bfx" / "NYU0001.png", torch.full((SIDE, SIDE), stored))
    (one,) = found = find_data("sunrgbd", tmp_path, DatasetOptions(near="black"))
    assert read_truth(one.truth).unique().tolist() == [3.0]
    assert scores_of(found, plain(0.3))["rmse_m"] == pytest.approx(0, abs=1e-5)
    listed = tmp_path / "test.txt"
    listed.write_text("SUNRGBD/kv1/NYUdata/NYU0001\n", encoding="utf-8")
    assert len(find_data("sunrgbd", tmp_path, DatasetOptions(listed=str(listed)))) == 1


def test_nyuv2_normals_are_angles_over_all_pixels(tmp_path):
    rgb(tmp_path / "test" / "a" / "rgb_1.jpg", 0.5)
    rgb(tmp_path / "test" / "a" / "normal_1.png", 0.5, 0.5, 1.0)  # towards the viewer
    found = find_data("nyuv2-normals", tmp_path, DatasetOptions())
    sideways = torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
    assert scores_of(found, sideways)["mean_angle_deg"] == pytest.approx(90, abs=0.5)
    turned = find_data("nyuv2-normals", tmp_path, DatasetOptions(sign=(1, 1, -1)))
    facing = torch.tensor([0.5, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
    assert scores_of(turned, facing)["mean_angle_deg"] == pytest.approx(180, abs=0.6)


def test_ade20k_counts_classes_over_the_whole_set(tmp_path):
    root = tmp_path / "ADEChallengeData2016"
    palette = ade20k()
    for number, label in ((1, 3), (2, 4)):
        rgb(root / "images" / "validation" / f"ADE_{number}.jpg", 0.5)
        labels = torch.full((SIDE, SIDE), label)
        labels[: SIDE // 2] = 0  # not labelled
        path = root / "annotations" / "validation" / f"ADE_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, labels / 255)
    found = find_data("ade20k", tmp_path, DatasetOptions())
    assert [one.name for one in found] == ["images/validation/ADE_1", "images/validation/ADE_2"]
    painted = torch.tensor(palette.colours[3]).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE) / 255
    scores = scores_of(found, painted, palette)
    assert scores["miou"] == pytest.approx(0.25)  # class 3: half right, class 4: never
    assert scores["pixel_accuracy"] == pytest.approx(0.5)


def referring(root, name="refcoco", references="refs(unc).p", ann_id=7):
    folder = root / name
    folder.mkdir(parents=True)
    rgb(root / "images" / "mscoco" / "images" / "train2014" / "COCO_1.jpg", 0.5)
    rows = [
        {"ref_id": 1, "ann_id": ann_id, "image_id": 1, "split": split,
         "sentences": [{"sent_id": 2, "sent": "left ball"}]}
        for split in ("val", "testA")
    ]  # fmt: skip
    data = pickle.dumps(rows, 2) if references.endswith(".p") else json.dumps(rows).encode()
    (folder / references).write_bytes(data)
    square = [0, 0, 16, 0, 16, SIDE, 0, SIDE]
    instances = {
        "images": [{"id": 1, "file_name": "COCO_1.jpg", "height": SIDE, "width": SIDE}],
        "annotations": [{"id": 7, "segmentation": [square]}],
    }
    (folder / "instances.json").write_text(json.dumps(instances), encoding="utf-8")
    return root


def half_white(columns: int) -> torch.Tensor:
    answer = torch.zeros(1, 3, SIDE, SIDE)
    answer[..., :columns] = 1
    return answer


def test_refcoco_asks_every_sentence_and_scores_ciou(tmp_path):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    (one,) = found = find_data("refcoco", referring(tmp_path), DatasetOptions())
    assert one.words == {"task": "mask", "target": "left ball", "colour": "red"}
    assert scores_of(found, half_white(16))["ciou"] == pytest.approx(1)
    assert scores_of(found, half_white(8))["ciou"] == pytest.approx(0.5)


def test_refcoco_by_hue_reads_a_highlight(tmp_path):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    both = find_data("refcoco", referring(tmp_path), DatasetOptions(method="both", split="testA"))
    assert [one.words["task"] for one in both] == ["mask", "highlight"]
    tinted = torch.full((1, 3, SIDE, SIDE), 0.5)
    tinted[:, 0, :, :16], tinted[:, 1:, :, :16] = 0.9, 0.2
    assert scores_of(both[1:], tinted)["ciou"] > 0.9


def test_grefcoco_has_sentences_about_nothing(tmp_path):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    root = referring(tmp_path, "grefcoco", "grefs(unc).json", [-1])
    found = find_data("grefcoco", root, DatasetOptions())
    assert not read_truth(found[0].truth).any()
    assert scores_of(found, plain(0))["miou"] == 1


def test_pickles_with_anything_but_plain_values_are_refused():
    assert read_plain_pickle(pickle.dumps([{"a": 1.5, "b": [None, True, "x"]}], 2))[0]["a"] == 1.5

    class Bad:
        def __reduce__(self):
            return os.getcwd, ()

    with pytest.raises(PixWizardError, match=r"asks for more than plain values \('STACK_GLOBAL"):
        read_plain_pickle(pickle.dumps(Bad()))
    with pytest.raises(PixWizardError, match=r"\('(posix|nt)\.getcwd'\), so it is not opened"):
        read_plain_pickle(pickle.dumps(Bad(), 2))
    with pytest.raises(PixWizardError, match="damaged"):
        read_plain_pickle(b"\x80\x02]")


@pytest.mark.parametrize(
    ("rainy", "clear"),
    [
        ("rainy/rain-001.png", "norain-001.png"),
        ("rain-001x2.png", "norain-001.png"),
        ("input/1.png", "target/1.png"),
    ],
)
def test_rain100l_pairs_its_pictures(rainy, clear, tmp_path):
    rgb(tmp_path / rainy, 0.5)
    rgb(tmp_path / clear, 0.2)
    found = find_data("rain100l", tmp_path, DatasetOptions())
    assert [one.words["task"] for one in found] == ["derain"]
    scores = scores_of(found, plain(51 / 255 + 0.1))
    assert scores["psnr_db"] == pytest.approx(20, abs=0.05)
    assert scores_of(found, plain(51 / 255))["psnr_db"] == 100


def test_sidd_pairs_folders_scenes_and_unpacks_blocks(tmp_path):
    savemat = pytest.importorskip("scipy.io", reason="SciPy is not installed").savemat
    rgb(tmp_path / "a" / "0001_NOISY_SRGB_010.PNG", 0.5)
    rgb(tmp_path / "a" / "0001_GT_SRGB_010.PNG", 0.5)
    assert len(find_data("sidd", tmp_path / "a", DatasetOptions())) == 1
    for name, shade in (("Noisy", 100), ("Gt", 110)):
        blocks = np.full((2, 3, SIDE, SIDE, 3), shade, np.uint8)
        savemat(tmp_path / f"Validation{name}BlocksSrgb.mat", {f"x{name}": blocks})
    found = find_data("sidd", tmp_path, DatasetOptions(prepared=str(tmp_path / "out")))
    assert len(found) == 6
    assert scores_of(found, plain(110 / 255))["psnr_db"] == 100


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_without_the_data_says_what_it_needs(name, tmp_path):
    with pytest.raises(PixWizardError, match=r"needs|has none of|there is no|holds no"):
        find_data(name, tmp_path, DatasetOptions(prepared=str(tmp_path), task="denoise"))
    with pytest.raises(PixWizardError, match="there is no folder"):
        find_data(name, tmp_path / "gone", DatasetOptions())


def test_a_missing_truth_is_an_error_of_its_picture(tmp_path):
    rgb(tmp_path / "test" / "a" / "rgb_1.jpg", 0.5)
    (one,) = find_data("nyuv2", tmp_path, DatasetOptions())
    with pytest.raises(CanvasError, match=r"sync_depth_1\.png is missing"):
        score(one.truth, plain(0), plain(0), None)


def test_totals_are_those_of_all_pixels_where_the_protocol_says_so():
    rows = [{"both": 1, "either": 2, "iou": 0.5}, {"both": 9, "either": 9, "iou": 1.0}]
    assert total("mask", rows) == {"ciou": pytest.approx(10 / 11), "miou": 0.75}
    rows = [{"degrees": 10.0, "pixels": 1}, {"degrees": 0.0, "pixels": 4}]
    assert total("normal", rows) == {"mean_angle_deg": 2.0}
    assert math.isnan(total("normal", [])["mean_angle_deg"])


def test_evaluate_writes_the_world_scores_it_and_resumes(tmp_path, capsys):
    bundle = write_bundle(tmp_path / "bundle")
    words = ["evaluate", "data", "world", "--tasks", "depth,mask", "--count", "2",
             "--bundle", str(bundle), "--workers", "1", "--out", str(tmp_path / "out")]  # fmt: skip
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "| world test | mask | 2 | ciou |" in out
    assert "Depth was read with white as near." in out
    assert "4 done, 0 done before, 0 failed" in out
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores["wordings"] == {  # the untrained bundle knows no trained form
        "depth": "Estimate the depth map of this picture.",
        "mask": "Make a black and white mask of {target}.",
    }
    assert out.startswith("Asked as: depth “Estimate the depth map of this picture.”, mask “Make")
    rows = scores["rows"]
    assert [row["task"] for row in rows] == ["depth", "mask"]
    assert 0 < rows[0]["scores"]["rmse_m"] < 8
    assert cli.main(words) == 0
    again = capsys.readouterr().out
    assert "0 done, 4 done before" in again
    assert again.splitlines()[:8] == out.splitlines()[:8]


def test_evaluate_data_asks_in_the_trained_form_or_as_it_is_told(tmp_path, capsys):
    bundle = write_bundle(tmp_path / "bundle")
    teach(bundle, ["depth"], {"depth": ["Depth estimation"]})
    words = ["evaluate", "data", "world", "--tasks", "depth", "--count", "1",
             "--bundle", str(bundle), "--workers", "1", "--steps", "1"]  # fmt: skip
    for more, sent, said in (
        ([], "Depth estimation", "depth “Depth estimation”"),
        (["--phrasing", "3"], "Draw the depth of the scene.", "depth “Draw the depth of the sc"),
        (["--phrasing", "seed:9"], "Draw the depth of the scene.", "depth “the phrasing that seed"),
    ):
        out = tmp_path / sent.replace(" ", "") / str(len(more))
        assert cli.main([*words, *more, "--out", str(out)]) == 0
        assert f"Asked as: {said}" in capsys.readouterr().out
        (row,) = [json.loads(line) for line in (out / "index.jsonl").open(encoding="utf-8")]
        assert row["instruction"] == sent


def test_evaluate_needs_the_folder_of_a_dataset(tmp_path, capsys):
    assert cli.main(["evaluate", "data", "nyuv2", "--out", str(tmp_path)]) == 2
    assert "give it with --root" in capsys.readouterr().err


UNUSED = {
    "sign": (["nyuv2", "--sign", "1", "1", "-1"], "for nyuv2; it is for nyuv2-normals"),
    "align": (["ade20k", "--align"], "--align does nothing for ade20k; it is for nyuv2, sunrgbd"),
    "method": (["rain100l", "--method", "hsv"], "--method does nothing for rain100l"),
    "near": (["sidd", "--near", "black"], "--near does nothing for sidd"),
    "list": (["world", "--list", "x"], "--list does nothing for world; it is for sunrgbd"),
    "tasks": (["ade20k", "--tasks", "depth"], "--tasks does nothing for ade20k"),
    "written": (["world", "--tasks", "depth", "--root", "x"], "--root names existing ones"),
    "dtype": (["world", "--dtype", "float16"], "--dtype applies to the released model"),
    "ray": (["world", "--count", "1", "--ray-address", "x"], "need --engine ray"),
    "model": (["world", "--model", "m"], "the released model has four parts"),
}


@pytest.mark.parametrize("case", UNUSED)
def test_evaluate_data_refuses_an_option_that_it_would_not_use(case, tmp_path, capsys):
    words, message = UNUSED[case]
    assert cli.main(["evaluate", "data", *words, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "world", "--model", "m"),
        ("evaluate", "films", "--steps", "3"),
        ("evaluate", "sampler", "--wide", "3"),
        ("bench", "step", "--compile"),
        ("bench", "decoders", "--preset", "x"),
        ("bench", "loading", "--cpu-time"),
    ],
)
def test_a_kind_of_command_takes_its_own_options_only(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err
