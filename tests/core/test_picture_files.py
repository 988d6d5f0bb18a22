"""Picture files: every kind in, exact kinds out."""

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.errors import CanvasError
from pixwizard_core.files.picture_files import (
    open_picture,
    save_grey16,
    save_labels,
    save_mask,
    save_picture,
)

RED_BLUE = np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8)  # one row, two pixels


def test_colour_round_trip_is_exact(tmp_path):
    image_01 = torch.randint(0, 256, (3, 5, 7), generator=torch.Generator().manual_seed(0)) / 255
    save_picture(tmp_path / "a.png", image_01)
    assert torch.equal(open_picture(tmp_path / "a.png")[0], image_01)


def test_grey16_keeps_sixteen_bits(tmp_path):
    save_grey16(tmp_path / "a.png", torch.tensor([[0.0, 0.5, 1.0, 1 / 65535]]))
    assert np.array(Image.open(tmp_path / "a.png")).tolist() == [[0, 32768, 65535, 1]]
    assert float(open_picture(tmp_path / "a.png")[0, 1, 0, 3]) == pytest.approx(1 / 65535, abs=1e-9)


def test_mask_round_trip_is_exact(tmp_path):
    mask = torch.tensor([[True, False, True]])
    save_mask(tmp_path / "a.png", mask)
    assert np.array(Image.open(tmp_path / "a.png")).tolist() == [[255, 0, 255]]


def test_labels_are_indices_with_a_palette(tmp_path):
    save_labels(tmp_path / "a.png", torch.tensor([[0, 2, 1]]), [(0, 0, 0), (1, 2, 3), (9, 8, 7)])
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "P"
    assert np.array(image).tolist() == [[0, 2, 1]]
    assert np.array(image.convert("RGB"))[0].tolist() == [[0, 0, 0], [9, 8, 7], [1, 2, 3]]


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png")[0, :, 0].T.tolist() == [[1, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_every_kind_becomes_rgb(tmp_path, mode):
    ending = "tif" if mode == "CMYK" else "png"
    Image.new("L", (4, 3), 255).convert(mode).save(tmp_path / f"a.{ending}")
    found = open_picture(tmp_path / f"a.{ending}")
    assert found.shape == (1, 3, 3, 4)
    assert found.dtype == torch.float32
    assert float(found.min()) == 1.0


def test_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show rotated by 90 degrees clockwise
    Image.fromarray(RED_BLUE).save(tmp_path / "a.png", exif=exif)
    found = open_picture(tmp_path / "a.png")
    assert found.shape == (1, 3, 2, 1)
    assert found[0, :, 0, 0].tolist() == [1, 0, 0]


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(CanvasError, match=r"a\.png cannot be read as a picture"):
        open_picture(tmp_path / "a.png")
    with pytest.raises(CanvasError, match=r"there is no picture b\.png in"):
        open_picture(tmp_path / "b.png")


def test_cut_picture_is_refused(tmp_path):
    save_picture(tmp_path / "a.png", torch.rand(3, 64, 64, generator=torch.Generator()))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CanvasError, match="cannot be read as a picture"):
        open_picture(tmp_path / "a.png")
