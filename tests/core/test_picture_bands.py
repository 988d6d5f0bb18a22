"""Large pictures by parts: the same pixels as of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.canvas import Rect, Size
from pixwizard_core.errors import CanvasError
from pixwizard_core.files import picture_bands
from pixwizard_core.files.answer_bands import answer_bands
from pixwizard_core.files.answers import write_answer
from pixwizard_core.files.picture_bands import PictureBands, png_rows
from pixwizard_core.files.picture_files import open_picture

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


def saved(path, mode: str):
    picture = Image.fromarray(RGB)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(RGB[..., 0]))
    picture.convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "LA", "I;16"])
def test_bands_of_a_file_are_parts_of_the_picture(mode, tmp_path):
    path = saved(tmp_path / "a.png", mode)
    bands, whole = PictureBands(path), open_picture(path)[0]
    assert bands.size == (53, 37)
    for rect in (Rect(0, 0, 53, 37), Rect(5, 30, 20, 37), Rect(52, 0, 53, 1)):
        assert torch.equal(bands.read(rect), rect.cut(whole)), rect


def test_bands_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    bands = PictureBands(tmp_path / "a.png")
    assert bands.size == (37, 53)
    rect = Rect(3, 4, 30, 50)
    assert torch.equal(bands.read(rect), rect.cut(open_picture(tmp_path / "a.png")[0]))


def test_missing_picture_is_refused(tmp_path):
    with pytest.raises(CanvasError, match=r"there is no picture gone.png in"):
        PictureBands(tmp_path / "gone.png")


@pytest.mark.parametrize("heights", [(37,), (1, 36), (10, 10, 17)])
def test_png_of_rows_holds_the_picture(heights, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_bands, "ROWS_AT_ONCE", 16)
    values, done = torch.from_numpy(RGB).movedim(-1, 0) / 255, 0
    with png_rows(tmp_path / "a.png", Size(53, 37)) as rows:
        for height in heights:
            rows.add(values[:, done : done + height])
            done += height
    assert np.array_equal(np.array(Image.open(tmp_path / "a.png")), RGB)


def test_png_that_is_not_finished_does_not_appear(tmp_path):
    with (
        pytest.raises(ValueError, match="5 of 37 rows were written"),
        png_rows(tmp_path / "a.png", Size(53, 37)) as rows,
    ):
        rows.add(torch.zeros(3, 5, 53))
    with pytest.raises(KeyboardInterrupt), png_rows(tmp_path / "a.png", Size(53, 37)):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["image", "edge"])
def test_answer_in_bands_makes_the_files_of_the_whole_answer(kind, tmp_path):
    answer = torch.rand(1, 3, 37, 53, generator=torch.Generator().manual_seed(0))
    wanted, _ = write_answer(tmp_path / "whole", "a", kind, answer)
    with answer_bands(tmp_path / "bands", "a", kind, Size(53, 37)) as (emit, files):
        emit(0, answer[0, :, :20])
        emit(20, answer[0, :, 20:])
    assert [path.name for path in files.values()] == [path.name for path in wanted.values()]
    for what, path in files.items():
        one, two = Image.open(path), Image.open(wanted[what])
        assert one.mode == two.mode
        assert np.array_equal(np.array(one), np.array(two)), what


def test_answer_that_needs_the_whole_is_not_written_in_bands(tmp_path):
    with (
        pytest.raises(ValueError, match="kind 'depth' cannot be written in bands"),
        answer_bands(tmp_path, "a", "depth", Size(5, 5)),
    ):
        pass
