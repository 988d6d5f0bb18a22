"""Pairs in folders: which files belong together, and that every other file is named."""

import pytest
import torch

from pixwizard_core.data.folders import Wording, pairs_in
from pixwizard_core.errors import InstructionError, PixWizardError
from pixwizard_core.files.picture_files import save_picture


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no rain\n\nwithout the rain\n")
        else:
            save_picture(path, torch.full((3, 4, 4), 0.5))


def told(found):
    return {(path.name, reason) for path, reason in found.left_out.files}


def names(found):
    return [(pair.input.name, pair.target.name) for pair in found.pairs]


def test_folders_of_inputs_and_targets_are_matched_by_name(tmp_path):
    put(tmp_path, "input/a.png", "input/s/b.png", "target/a.jpg", "target/s/b.png", "target/a.txt")
    found = pairs_in(tmp_path, wording=Wording("Derain"))
    assert names(found) == [("a.png", "a.jpg"), ("b.png", "b.png")]
    assert [pair.instructions for pair in found.pairs] == [("Derain",)] * 2
    assert told(found) == set()


def test_each_unmatched_file_is_named(tmp_path):
    put(
        tmp_path, "Input/a.png", "Input/lone.png", "Input/a.jpg", "Target/a.png",
        "Target/other.png", "Target/gone.txt", "mask/a.png", "mask/none.png",
    )  # fmt: skip
    (tmp_path / "Input" / "notes.md").write_text("x")
    found = pairs_in(tmp_path, wording=Wording("x"))
    assert len(found.pairs) == 1
    assert found.pairs[0].mask == tmp_path / "mask" / "a.png"
    assert told(found) == {
        ("lone.png", "an input without a target"),
        ("a.png", "another picture has the same name without its ending"),
        ("other.png", "a target without an input"),
        ("gone.txt", "a caption without a target"),
        ("none.png", "a mask without a pair"),
        ("notes.md", "not a picture"),
    }


def test_suffixes_pair_files_of_one_folder(tmp_path):
    put(
        tmp_path, "a_input.png", "a_target.webp", "a_target.txt", "d/b_input.png",
        "d/b_target.png", "d/b.txt", "c_input.png", "d/e_target.png", "f.png",
    )  # fmt: skip
    found = pairs_in(tmp_path)
    assert names(found) == [("a_input.png", "a_target.webp"), ("b_input.png", "b_target.png")]
    assert found.pairs[0].instructions == ("no rain", "without the rain")
    assert told(found) == {
        ("c_input.png", "an input without a target"),
        ("e_target.png", "a target without an input"),
        ("f.png", "named neither x_input nor x_target"),
    }


def test_control_folder_is_named_by_the_caller(tmp_path):
    put(tmp_path, "maps/a.png", "photos/a.png", "photos/a.txt")
    found = pairs_in(
        tmp_path, inputs="maps", targets="photos", wording=Wording(task="from_depth")
    )
    assert names(found) == [("a.png", "a.png")]
    assert found.pairs[0].instructions == (
        "Depth to image: no rain", "Depth to image: without the rain",
    )  # fmt: skip
    assert found.pairs[0].task == "from_depth"


def test_pair_without_words_is_named(tmp_path):
    put(tmp_path, "input/a.png", "target/a.png", "target/a.txt", "input/b.png", "target/b.png")
    found = pairs_in(tmp_path, wording=Wording(task="from_depth"))
    assert names(found) == [("a.png", "a.png")]
    assert told(found) == {("b.png", "a pair without words")}


def test_task_without_words_has_one_sentence(tmp_path):
    put(tmp_path, "input/a.png", "target/a.png", "target/a.txt")
    assert pairs_in(tmp_path, wording=Wording(task="derain")).pairs[0].instructions == ("Derain",)


def test_folder_without_a_whole_pair_is_refused(tmp_path):
    put(tmp_path, "input/a.png", "target/b.png")
    with pytest.raises(PixWizardError, match=r"no whole pair in .*an input without a target"):
        pairs_in(tmp_path)
    with pytest.raises(PixWizardError, match="there is no folder"):
        pairs_in(tmp_path / "none")


def test_half_of_two_folders_is_refused(tmp_path):
    with pytest.raises(PixWizardError, match="both inputs and targets"):
        pairs_in(tmp_path, inputs="a")
    with pytest.raises(PixWizardError, match="there is no folder"):
        pairs_in(tmp_path, inputs="a", targets="b")


def test_wording_is_one_sentence_or_one_task(tmp_path):
    with pytest.raises(PixWizardError, match="not both"):
        Wording("x", "derain")
    with pytest.raises(InstructionError, match="unknown task"):
        Wording(task="none")
    put(tmp_path, "input/a.png", "target/a.png")
    with pytest.raises(PixWizardError, match="which a caption file does not say"):
        pairs_in(tmp_path, wording=Wording(task="add"))
