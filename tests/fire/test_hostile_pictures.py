"""Picture files with bits turned and ends cut off: a picture, or a refusal in a sentence."""

from __future__ import annotations

import io
import random
import warnings

import numpy as np
import pytest
from PIL import Image, features

from pixwizard_core.errors import PixWizardError
from pixwizard_core.files.picture_files import open_picture, open_raw, picture_size
from tests.fire import limits

CASES = 100  # of each kind of file
WIDTH, HEIGHT = 32, 24
ORIENTATION, SIDEWAYS = 0x0112, 6


def colours() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(values)


def in_mode(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(colours())[..., 0].astype(np.uint16) * 256)
    return colours().convert(mode)


def notes() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = SIDEWAYS
    return exif


# name: format, mode, and how it is saved
KINDS = {
    "png": ("PNG", "RGB", {}),
    "png-turned": ("PNG", "RGB", {"exif": notes()}),
    "png-alpha": ("PNG", "RGBA", {}),
    "png-grey-alpha": ("PNG", "LA", {}),
    "png-palette": ("PNG", "P", {"transparency": b"\0\x80"}),
    "png-16": ("PNG", "I;16", {}),
    "png-1": ("PNG", "1", {}),
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg-turned": ("JPEG", "RGB", {"exif": notes()}),
    "jpeg-ink": ("JPEG", "CMYK", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff-packed": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff-float": ("TIFF", "F", {}),
    "tiff-lab": ("TIFF", "LAB", {}),
    "gif": ("GIF", "P", {}),
    "webp": ("WEBP", "RGB", {"exif": notes()}),
    "avif": ("AVIF", "RGB", {}),
    "bmp": ("BMP", "RGB", {}),
    "ico": ("ICO", "RGB", {}),
    "ppm": ("PPM", "RGB", {}),
    "tga": ("TGA", "RGB", {}),
    "dds": ("DDS", "RGB", {}),
}


def harmed(data: bytes, rng: random.Random) -> bytes:
    """data cut off, with some bytes changed, or both; mostly near its head, where sizes stand."""
    found = bytearray(data)
    if rng.random() < 0.3:
        del found[rng.randrange(len(found)) :]
    for _ in range(rng.choice((1, 2, 4, 16)) if found and rng.random() < 0.8 else 0):
        place = rng.randrange(min(len(found), rng.choice((40, 200, len(found)))))
        found[place] = rng.choice(
            (0, 255, rng.randrange(256), found[place] ^ 1 << rng.randrange(8))
        )
    return bytes(found)


@pytest.mark.parametrize("name", KINDS)
def test_damaged_picture_is_read_or_refused(tmp_path, name):
    format, mode, settings = KINDS[name]
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    packed, rng = io.BytesIO(), random.Random(name)
    in_mode(mode).save(packed, format, **settings)
    path = tmp_path / "picture"
    for case in range(CASES):
        path.write_bytes(harmed(packed.getvalue(), rng) if case else packed.getvalue())
        for reader in (open_picture, picture_size, open_raw):
            refusal = attempt(reader, path)
            assert case or refusal is None, refusal
    assert limits.left_open(tmp_path) == []


def attempt(reader, path) -> PixWizardError | None:
    """The refusal of one reader. None: it read the file, and what it read can be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, about what it mends
            found = reader(path)
    except PixWizardError as error:
        limits.check_message(error)
        return error
    check(reader, found)
    return None


def check(reader, found) -> None:
    if reader is open_picture:
        assert found.shape[:2] == (1, 3)
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
    elif reader is picture_size:
        assert min(found) > 0


def test_pixels_that_are_not_numbers_are_refused(tmp_path):
    values = np.zeros((3, 4), dtype=np.float32)
    values[1, 2] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(PixWizardError, match=r"a\.tif cannot be read as a picture \(some .* NaN"):
        open_picture(tmp_path / "a.tif")
    values[1, 2] = np.inf
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert open_picture(tmp_path / "a.tif")[0, :, 1, 2].tolist() == [1, 1, 1]
