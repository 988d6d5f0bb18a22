"""Layouts of restoration sets and of pairs, made small: what is paired, asked, and refused."""

import json

import numpy as np
import pytest
import torch

from pixwizard_core.errors import PixWizardError
from pixwizard_core.evaluation.layouts import LAYOUTS, DatasetOptions, find_data
from pixwizard_core.evaluation.layouts.restoration import UNDER_DISPLAY, UNDERWATER
from pixwizard_core.files.picture_files import save_grey16
from tests.support.dataset_files import put


def pairs_of(found):
    """(input, truth) by file name, of what a layout found."""
    return [(one.path.name, one.truth["file"].rsplit("/", 1)[-1]) for one in found]


PAIRED = {
    "snow100k-l": [
        ("Snow100K-S/synthetic/other.jpg", "Snow100K-S/gt/other.jpg", None),
        ("Snow100K-L/synthetic/city_1.jpg", "Snow100K-L/gt/city_1.jpg", "desnow"),
    ],
    "sots": [("outdoor/hazy/0001_0.8_0.2.jpg", "outdoor/gt/0001.png", "dehaze")],
    "lolv2": [
        ("Real_captured/Test/Low/low00690.png", "Real_captured/Test/Normal/normal00690.png",
         "lowlight"),
    ],
    "gopro": [
        ("test/GOPR1/blur/000047.png", "test/GOPR1/sharp/000047.png", "deblur"),
        ("test/GOPR1/blur_gamma/000047.png", "test/GOPR1/sharp/000047.png", None),
    ],
    "toled": [("test/LQ/1.png", "test/HQ/1.png", UNDER_DISPLAY)],
    "uieb": [("raw-890/12_img_.png", "reference-890/12_img_.png", UNDERWATER)],
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRED)
def test_layout_pairs_its_own_files_and_asks_its_task(name, tmp_path):
    for before, after, _ in PAIRED[name]:
        put(tmp_path / "set" / before)
        put(tmp_path / "set" / after)
    wanted = [(b.rsplit("/", 1)[-1], a.rsplit("/", 1)[-1], asked)
              for b, a, asked in PAIRED[name] if asked]  # fmt: skip
    found = find_data(name, tmp_path, DatasetOptions())  # one folder above the set itself
    assert pairs_of(found) == [(before, after) for before, after, _ in wanted]
    assert [one.words.get("task") or one.words["instruction"] for one in found] == [
        asked for _, _, asked in wanted
    ]


@pytest.mark.parametrize("name", ["rain100l", "sidd", "lolv2", "uieb"])
def test_restoration_asks_what_the_options_say(name, tmp_path):
    before, after = {"uieb": ("raw-890", "reference-890")}.get(name, ("input", "target"))
    put(tmp_path / before / "1.png")
    put(tmp_path / after / "1.png")
    (own,) = find_data(name, tmp_path, DatasetOptions(task="watermark"))
    assert own.words == {"task": "watermark"}
    (own,) = find_data(name, tmp_path, DatasetOptions(instruction="Lift the veil."))
    assert own.words == {"instruction": "Lift the veil."}


# Copies of sets that are laid out in another way than their release.
REPACKED = {
    "snow100k-l, its archive": (
        "snow100k-l", "media/jdway/GameSSD/overlapping/test/Snow100K-L/synthetic/a.jpg",
        "media/jdway/GameSSD/overlapping/test/Snow100K-L/gt/a.jpg",
    ),
    "sots, clear": ("sots", "SOTS/outdoor/hazy/0001_0.8_0.2.jpg", "SOTS/outdoor/clear/0001.png"),
    "sots, one name": ("sots", "test/outdoor/hazy/0001_0.8_0.2.png",
                       "test/outdoor/GT/0001_0.8_0.2.png"),
    "lolv2, one name": ("lolv2", "Real_captured/Test/Low/00690.png",
                        "Real_captured/Test/Normal/00690.png"),
    "toled, flat": ("toled", "UDC/Toled_test/LQ/1.png", "UDC/Toled_test/HQ/1.png"),
    "uieb, two archives": ("uieb", "raw/raw-890/2_img_.png", "truth/reference-890/2_img_.png"),
    "uieb, twice": ("uieb", "raw-890/raw-890/2_img_.png", "reference-890/2_img_.png"),
}  # fmt: skip


@pytest.mark.parametrize("case", REPACKED)
def test_layout_pairs_repacked_copies(case, tmp_path):
    name, before, after = REPACKED[case]
    put(tmp_path / before)
    put(tmp_path / after)
    (one,) = find_data(name, tmp_path, DatasetOptions())
    assert (one.path, one.truth["file"]) == (tmp_path / before, str(tmp_path / after))


def test_a_picture_without_truth_says_what_was_looked_for_and_found(tmp_path):
    put(tmp_path / "outdoor" / "hazy" / "0007_0.9_0.1.jpg")
    put(tmp_path / "outdoor" / "gt" / "0001.png")
    with pytest.raises(PixWizardError, match=r"looked for 0007 in .*gt, which holds 0001$"):
        find_data("sots", tmp_path, DatasetOptions())


def test_a_wrong_folder_says_what_is_there(tmp_path):
    put(tmp_path / "blur" / "1.png")
    put(tmp_path / "readme.jpg")
    with pytest.raises(PixWizardError, match=r"needs raw-890.*Found there: blur/, 1 \.jpg"):
        find_data("uieb", tmp_path, DatasetOptions())


def test_toled_reads_the_split_asked_for(tmp_path):
    for split in ("val", "test"):
        for kind in ("LQ", "HQ"):
            put(tmp_path / split / kind / f"{split}.png")
    found = find_data("toled", tmp_path, DatasetOptions(split="val"))
    assert pairs_of(found) == [("val.png", "val.png")]


def test_uieb_takes_the_listed_pictures_and_refuses_others(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / "raw-890" / f"{name}.png")
        put(tmp_path / "reference-890" / f"{name}.png")
    listed = tmp_path / "test.txt"
    listed.write_text("b.png\n", encoding="utf-8")
    found = find_data("uieb", tmp_path, DatasetOptions(listed=str(listed)))
    assert pairs_of(found) == [("b.png", "b.png")]
    listed.write_text("c.png\n", encoding="utf-8")
    with pytest.raises(PixWizardError, match=r"names c\.png, which is not in the set"):
        find_data("uieb", tmp_path, DatasetOptions(listed=str(listed)))


@pytest.mark.parametrize(
    ("before", "after", "options"),
    [
        ("input/1.png", "target/1.jpg", {}),
        ("LQ/1.png", "HQ/1.png", {}),
        ("deep/x_input.png", "deep/x_target.jpg", {}),
        ("dark/1.png", "bright/1.png", {"pair": ("dark", "bright")}),
    ],
)
def test_pairs_are_found_in_each_of_their_forms(before, after, options, tmp_path):
    put(tmp_path / before)
    put(tmp_path / after)
    (one,) = find_data("pairs", tmp_path, DatasetOptions(task="lowlight", **options))
    assert (one.path, one.truth["file"]) == (tmp_path / before, str(tmp_path / after))
    assert one.words == {"task": "lowlight"}


def test_pairs_need_a_question(tmp_path):
    put(tmp_path / "input" / "1.png")
    put(tmp_path / "target" / "1.png")
    with pytest.raises(PixWizardError, match="pairs need --task or --instruction"):
        find_data("pairs", tmp_path, DatasetOptions())
    with pytest.raises(PixWizardError, match=r"holds no picture; found: input/, target/"):
        find_data("pairs", tmp_path, DatasetOptions(task="derain", pair=(".", "target")))


def test_pairs_read_the_released_models_list(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.png")
    rows = [{"input_path": "a.png", "target_path": "b.png", "prompt": ["Derain", "other"]}]
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps(rows), encoding="utf-8")
    (one,) = find_data("pairs", tmp_path, DatasetOptions(listed=str(listed)))
    assert one.words == {"instruction": "Derain"}
    (one,) = find_data("pairs", tmp_path, DatasetOptions(listed=str(listed), task="derain"))
    assert one.words == {"task": "derain"}
    listed.write_text('[{"input_path": "a.png"}]', encoding="utf-8")
    with pytest.raises(PixWizardError, match=r"object 1: needs input_path and target_path"):
        find_data("pairs", tmp_path, DatasetOptions(listed=str(listed)))


def test_pairs_of_suffixes_need_both(tmp_path):
    put(tmp_path / "x_input.png")
    with pytest.raises(PixWizardError, match="has no x_target beside it"):
        find_data("pairs", tmp_path, DatasetOptions(task="derain"))


def sun_sample(root, number):
    sample = root / "SUNRGBD" / "kv1" / "NYUdata" / f"NYU{number:04}"
    put(sample / "image" / f"{number}.jpg")
    (sample / "depth_bfx").mkdir()
    save_grey16(sample / "depth_bfx" / f"{number}.png", torch.zeros(16, 16))
    return f"/n/fs/sun3d/data/SUNRGBD/kv1/NYUdata/NYU{number:04}"


def test_sunrgbd_reads_the_official_split_as_it_is(tmp_path):
    savemat = pytest.importorskip("scipy.io", reason="SciPy is not installed").savemat
    cells = np.empty((1, 1), object)
    cells[0, 0] = sun_sample(tmp_path, 2) + "/"
    other = np.empty((1, 2), object)
    other[0, :] = [sun_sample(tmp_path, 1), sun_sample(tmp_path, 3)]
    folder = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD"
    folder.mkdir(parents=True)
    savemat(folder / "allsplit.mat", {"alltest": cells, "alltrain": other})
    found = find_data("sunrgbd", tmp_path, DatasetOptions())
    assert [one.path.name for one in found] == ["2.jpg"]
    found = find_data("sunrgbd", tmp_path, DatasetOptions(split="train"))
    assert [one.path.name for one in found] == ["1.jpg", "3.jpg"]
    with pytest.raises(PixWizardError, match="holds alltest, alltrain, and no allval"):
        find_data("sunrgbd", tmp_path, DatasetOptions(split="val"))


def test_every_layout_says_where_its_data_comes_from():
    own = {"world", "pairs"}
    assert not [name for name, layout in LAYOUTS.items() if not layout.source and name not in own]
    assert not [name for name, layout in LAYOUTS.items() if not layout.folders]
