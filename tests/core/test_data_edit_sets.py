"""Parquet files of the published edit sets."""

import io

import pytest
from PIL import Image

from pixwizard_core.cli import main
from pixwizard_core.data.edit_sets import EDIT_SETS, unpack
from pixwizard_core.data.lists import read_list
from pixwizard_core.errors import PixWizardError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def coded(colour, kind="PNG", size=(20, 16)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def write(path, columns, rows, **more):
    table = {
        columns.input: [{"bytes": row[0], "path": None} if row[0] else None for row in rows],
        columns.instruction: [row[1] for row in rows],
        columns.target: [row[2] for row in rows],  # plain bytes
        **{name: [value] * len(rows) for name, value in more.items()},
    }
    parquet.write_table(pyarrow.table(table), path)


@pytest.mark.parametrize("columns", EDIT_SETS, ids=lambda columns: columns.name)
def test_each_set_gives_its_pairs(tmp_path, columns):
    red, blue = coded("red"), coded("blue", "JPEG")
    write(tmp_path / "a.parquet", columns, [(red, " Make it blue. ", blue)], seed=3)
    pairs, left = unpack([tmp_path / "a.parquet"], tmp_path / "out")
    (pair,) = pairs
    assert pair.input == tmp_path / "out" / "input" / "a-000000.png"
    assert pair.input.read_bytes() == red
    assert pair.target.read_bytes() == blue
    assert pair.target.suffix == ".jpg"
    assert (pair.instructions, pair.width, pair.height) == (("Make it blue.",), 20, 16)
    assert [(path.name, reason) for path, reason in left.files] == [
        ("a.parquet", "column seed is not used")
    ]


def test_rows_that_are_not_whole_are_named(tmp_path):
    good = coded("red")
    rows = [(good, "x", good), (None, "x", good), (good, "", good), (good, "x", b"text"),
            (good, "x", good[:30])]  # fmt: skip
    write(tmp_path / "a.parquet", EDIT_SETS[0], rows)
    pairs, left = unpack([tmp_path / "a.parquet"], tmp_path / "out")
    assert [pair.where for pair in pairs] == ["a.parquet, row 0"]
    told = {path.name: reason for path, reason in left.files}
    assert told["a.parquet, row 1"] == "original_image holds no picture"
    assert told["a.parquet, row 2"] == "edit_prompt is empty"
    assert told["a.parquet, row 3"] == "edited_image holds no PNG, JPEG, WebP or GIF"
    assert "cannot be read as a picture" in told["a.parquet, row 4"]


def test_command_lists_a_folder_of_files(tmp_path, capsys):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in "ab":
        write(folder / f"{name}.parquet", EDIT_SETS[1], [(coded("red"), name, coded("blue"))] * 2)
    out = tmp_path / "lists" / "edits.jsonl"
    assert main(["data", "list", str(folder), "--out", str(out)]) == 0
    assert "4 pairs" in capsys.readouterr().out
    pairs = read_list(out).pairs
    assert [pair.instructions[0] for pair in pairs] == ["a", "a", "b", "b"]
    assert all(pair.input.is_file() for pair in pairs)
    assert pairs[0].target.resolve() == tmp_path / "lists" / "edits" / "target" / "a-000000.png"


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(PixWizardError, match=r"a\.parquet is no Parquet file"):
        unpack([tmp_path / "a.parquet"], tmp_path)
    parquet.write_table(pyarrow.table({"image": [b""]}), tmp_path / "b.parquet")
    with pytest.raises(PixWizardError, match=r"columns of no edit set.*Got: image"):
        unpack([tmp_path / "b.parquet"], tmp_path)
    write(tmp_path / "c.parquet", EDIT_SETS[0], [(None, "x", None)])
    with pytest.raises(PixWizardError, match="no whole pair in the files"):
        unpack([tmp_path / "c.parquet"], tmp_path)
