"""Depth and class maps as files, read back by other means than they were written with."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from pixwizard_core.decode.palette import Palette, ade20k
from pixwizard_core.errors import CanvasError, DecodeError
from pixwizard_core.files.data_files import DepthScale, save_depth, save_label_map
from pixwizard_core.files.exr import encode_exr
from pixwizard_core.files.picture_files import replace_file, save_labels, save_picture


def read_exr(data: bytes):
    """Header and channels of a scan-line file, written from the format's description alone."""
    assert struct.unpack_from("<iB", data) == (20000630, 2)
    place, header = 8, {}
    while data[place]:
        name, kind = data[place:].split(b"\0", 2)[:2]
        place += len(name) + len(kind) + 2
        (size,) = struct.unpack_from("<i", data, place)
        header[name.decode()] = data[place + 4 : place + 4 + size]
        place += 4 + size
    place += 1
    channels, rest = [], header["channels"]
    while rest[0]:
        name, rest = rest.split(b"\0", 1)
        pixel_type, _, x_step, y_step = struct.unpack("<iB3xii", rest[:16])
        assert (pixel_type, x_step, y_step) == (2, 1, 1)
        channels.append(name.decode())
        rest = rest[16:]
    left, top, right, bottom = struct.unpack("<4i", header["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    lines = {0: 1, 3: 16}[header["compression"][0]]
    count = -(-height // lines)
    offsets = struct.unpack_from(f"<{count}Q", data, place)
    out = np.zeros((len(channels), height, width), np.float32)
    for offset in offsets:
        y, size = struct.unpack_from("<ii", data, offset)
        chunk = data[offset + 8 : offset + 8 + size]
        rows = min(lines, height - y)
        if size < rows * len(channels) * width * 4:
            steps = bytearray(zlib.decompress(chunk))
            for i in range(1, len(steps)):
                steps[i] = (steps[i - 1] + steps[i] - 128) % 256
            half = (len(steps) + 1) // 2
            chunk = bytearray(len(steps))
            chunk[0::2], chunk[1::2] = steps[:half], steps[half:]
        block = np.frombuffer(bytes(chunk), "<f4").reshape(rows, len(channels), width)
        out[:, y : y + rows] = block.transpose(1, 0, 2)
    return header, dict(zip(channels, out, strict=True))


def ramp(height=37, width=21):
    """Half smooth, which packs well, half noise, which does not pack at all."""
    depth = torch.linspace(0, 1, height * width).view(height, width).clone()
    depth[18:] = torch.rand(height - 18, width, generator=torch.Generator().manual_seed(0))
    return depth


@pytest.mark.parametrize("compression", ["none", "zip"])
@pytest.mark.parametrize(("height", "width"), [(37, 21), (1, 1), (16, 5), (40, 3)])
def test_exr_holds_every_float(compression, height, width):
    values = torch.randn(height, width, generator=torch.Generator().manual_seed(1)) * 1e4
    flat = torch.full((height, width), -2.5)
    header, channels = read_exr(encode_exr({"Z": values, "A": flat}, {"n": 1.5}, compression))
    assert list(channels) == ["A", "Z"]
    assert np.array_equal(channels["Z"], values.numpy())
    assert np.array_equal(channels["A"], flat.numpy())
    assert struct.unpack("<f", header["n"]) == (1.5,)


def test_exr_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="one size"):
        encode_exr({"R": torch.zeros(2, 2), "G": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match="none, zip"):
        encode_exr({"R": torch.zeros(2, 2)}, compression="dwa")


def test_exr_depth_is_in_metres(tmp_path):
    save_depth(tmp_path / "a.exr", ramp(), DepthScale(1.0, 5.0), {"note": "seen"})
    header, channels = read_exr((tmp_path / "a.exr").read_bytes())
    wanted = (5 - 4 * ramp()).numpy()
    assert np.array_equal(channels["Z"], wanted)
    assert np.array_equal(channels["Y"], wanted)
    assert (header["unit"], header["near_m"], header["far_m"]) == (b"m", b"1.0", b"5.0")
    assert (header["white_is"], header["note"]) == (b"near", b"seen")


def test_png_depth_has_sixteen_bits_and_says_what_they_mean(tmp_path):
    save_depth(tmp_path / "a.png", ramp(), DepthScale(0.5, 8.0, white_is_near=False))
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "I;16"
    assert np.array_equal(np.array(image), np.rint(ramp().double().numpy() * 65535))
    assert image.text == {"unit": "m", "near_m": "0.5", "far_m": "8.0", "white_is": "far"}
    low, high = float(image.text["near_m"]), float(image.text["far_m"])
    metres = low + np.array(image) / 65535 * (high - low)
    assert np.abs(metres - (0.5 + 7.5 * ramp().numpy())).max() < 7.5 / 65535


def test_npy_depth_is_in_metres_with_notes_beside_it(tmp_path):
    save_depth(tmp_path / "a.npy", ramp(), DepthScale(0.0, 10.0))
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32
    assert np.array_equal(found, (10 - 10 * ramp()).numpy())
    notes = json.loads((tmp_path / "a.json").read_text())
    assert notes == {"unit": "m", "near_m": "0.0", "far_m": "10.0", "white_is": "near"}


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.npy"])
def test_depth_range_that_makes_no_sense_is_refused(tmp_path, name):
    with pytest.raises(DecodeError, match="near must be below far"):
        save_depth(tmp_path / name, ramp(), DepthScale(5.0, 5.0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.npy"])
def test_metres_are_not_taken_for_depth(tmp_path, name):
    with pytest.raises(CanvasError, match="goes from 0 to 10; it must be 0 to 1"):
        save_depth(tmp_path / name, torch.linspace(0, 10, 21).expand(9, 21), DepthScale())
    assert list(tmp_path.iterdir()) == []


def test_depth_is_refused_as_jpeg(tmp_path):
    with pytest.raises(CanvasError, match=r"png, exr, npy. Got: a\.jpg"):
        save_depth(tmp_path / "a.jpg", ramp(), DepthScale())


def test_label_map_comes_with_its_legend(tmp_path):
    labels = torch.tensor([[0, 2, 2, 2], [1, 1, 1, 2]])
    palette = Palette("two", ("background", "wall", "sky"), ((0, 0, 0), (1, 2, 3), (9, 8, 7)))
    beside = save_label_map(tmp_path / "a.png", labels, palette, {"note": "seen"})
    image = Image.open(tmp_path / "a.png")
    assert image.mode == "P"
    assert np.array(image).tolist() == labels.tolist()
    assert np.array(image.convert("RGB"))[0, 1].tolist() == [9, 8, 7]
    assert image.text == {"note": "seen"}
    assert beside == tmp_path / "a.json"
    assert json.loads(beside.read_text()) == {
        "schema_version": 1,
        "palette": "two",
        "classes": [
            {"index": 2, "name": "sky", "rgb": [9, 8, 7], "area_percent": 50.0},
            {"index": 1, "name": "wall", "rgb": [1, 2, 3], "area_percent": 37.5},
            {"index": 0, "name": "background", "rgb": [0, 0, 0], "area_percent": 12.5},
        ],
    }


def test_all_classes_of_ade20k_fit_an_indexed_png(tmp_path):
    labels = torch.arange(len(ade20k())).view(1, -1)
    save_label_map(tmp_path / "a.png", labels, ade20k())
    assert np.array(Image.open(tmp_path / "a.png"))[0].tolist() == list(range(len(ade20k())))


def test_palette_too_large_for_an_indexed_png_is_refused(tmp_path):
    with pytest.raises(CanvasError, match="256 classes; this palette has 300"):
        save_labels(tmp_path / "a.png", torch.zeros(1, 1), [(0, 0, 0)] * 300)


def test_failed_write_leaves_the_old_file_and_no_scraps(tmp_path):
    replace_file(tmp_path / "a.bin", b"old")
    with pytest.raises(CanvasError, match="cannot write"):
        replace_file(tmp_path / "missing" / "a.bin", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CanvasError, match="cannot write"):
        replace_file(tmp_path / "folder", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "folder"]


def test_unknown_ending_is_refused(tmp_path):
    with pytest.raises(CanvasError, match=r"a\.xyz: unknown picture extension"):
        save_picture(tmp_path / "a.xyz", torch.zeros(2, 2))
