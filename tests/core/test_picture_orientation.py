"""One reader decides size and pixels of a picture, whoever wrote how the camera was held."""

import argparse
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from pixwizard_core.cli.run import _pictures
from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.files import picture_files
from pixwizard_core.files.picture_files import allow_pixels, open_picture, picture_size
from tests.support.fleet import items_of, run_here, small_job

WIDTH, HEIGHT = 24, 16
# What to do to an upright picture so that a file with this value of the tag shows it upright.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def upright() -> Image.Image:
    """Red at the top left, blue at the top right, black below."""
    values = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    values[:8, :8, 0] = 255
    values[:8, 16:, 2] = 255
    return Image.fromarray(values)


def stored(orientation: int) -> Image.Image:
    turn = STORED[orientation]
    return upright() if turn is None else upright().transpose(turn)


def exif(orientation: int) -> Image.Exif:
    values = Image.Exif()
    values[0x0112] = orientation
    return values


def xmp(orientation: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def png_text(orientation: int) -> tuple[bytes, bytes]:
    return b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(orientation)


def png_profile(orientation: int) -> tuple[bytes, bytes]:
    """As ImageMagick writes it: EXIF as a text of hexadecimal digits."""
    data = b"Exif\0\0" + exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    text = f"\nexif\n{len(data):8}\n{data.hex()}\n".encode()
    return b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)


def png_exif(orientation: int) -> tuple[bytes, bytes]:
    return b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0")


def add_chunk(path: Path, kind: bytes, data: bytes, late: bool) -> None:
    """Put a chunk before the pixels of a PNG, or behind them."""
    whole = path.read_bytes()
    place = whole.index(b"IEND" if late else b"IDAT") - 4
    checksum = zlib.crc32(kind + data).to_bytes(4, "big")
    chunk = len(data).to_bytes(4, "big") + kind + data + checksum
    path.write_bytes(whole[:place] + chunk + whole[place:])


CHUNKS = {"xmp.png": png_text, "profile.png": png_profile, "chunk.png": png_exif}
WRITERS = {
    "exif.jpg": lambda n: {"exif": exif(n), "quality": 95, "subsampling": 0},
    "exif.jfif": lambda n: {"exif": exif(n), "quality": 95, "subsampling": 0, "format": "JPEG"},
    "exif.png": lambda n: {"exif": exif(n)},
    "exif.webp": lambda n: {"exif": exif(n), "lossless": True},
    "exif.tif": lambda n: {"exif": exif(n)},
    "packed.tif": lambda n: {"exif": exif(n), "compression": "tiff_lzw"},
    "xmp.jpg": lambda n: {"xmp": xmp(n), "quality": 95, "subsampling": 0},
    "xmp.webp": lambda n: {"xmp": xmp(n), "lossless": True},
    "exif.heic": lambda n: {"exif": exif(n).tobytes(), "quality": -1},
    "exif.avif": lambda n: {"exif": exif(n), "quality": 100, "subsampling": "4:4:4"},
}


def write(folder, name: str, orientation: int):
    if name.endswith("heic"):
        pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
        picture_files._learn_heif(folder / name)
    path = folder / name
    chunk = CHUNKS.get(name.removeprefix("late_"))
    if chunk:
        stored(orientation).save(path)
        add_chunk(path, *chunk(orientation), late=name.startswith("late_"))
        return path
    try:
        stored(orientation).save(path, **WRITERS[name](orientation))
    except (KeyError, OSError, ValueError) as error:
        pytest.skip(f"this Pillow cannot write it: {error}")
    return path


@pytest.mark.parametrize("name", [*WRITERS, *CHUNKS, *(f"late_{name}" for name in CHUNKS)])
@pytest.mark.parametrize("orientation", STORED)
def test_size_and_pixels_are_of_the_upright_picture(name, orientation, tmp_path):
    path = write(tmp_path, name, orientation)
    found = open_picture(path)
    assert picture_size(path) == (found.shape[3], found.shape[2]) == (WIDTH, HEIGHT)
    wanted = torch.from_numpy(np.array(upright())).movedim(-1, 0) / 255
    assert float((found[0] - wanted).abs().mean()) < 0.05


def test_png_that_tells_nothing_is_not_decoded_for_its_size(tmp_path, monkeypatch):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "{}")
    upright().save(tmp_path / "a.png", pnginfo=info)
    monkeypatch.setattr(picture_files, "upright", None)
    assert picture_size(tmp_path / "a.png") == (WIDTH, HEIGHT)


def test_batch_does_turned_pictures_of_all_kinds(tmp_path):
    (tmp_path / "in").mkdir()
    names = ("exif.tif", "xmp.png", "late_profile.png", "exif.jfif")
    for name in names:
        write(tmp_path / "in", name, 6)
    report = run_here(small_job(tmp_path), items_of(tmp_path / "in"))
    assert report.failures == []
    sizes = {(record["width"], record["height"]) for record in report.records}
    assert (report.done, sizes) == (len(names), {(WIDTH, HEIGHT)})


def test_heic_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.HEIC").write_bytes(b"x")
    with pytest.raises(CanvasError, match=r"a\.HEIC is a HEIF picture.*pip install pillow-heif"):
        open_picture(tmp_path / "a.HEIC")


@pytest.fixture
def limit(monkeypatch):
    """Restores how large pictures may be."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setattr(picture_files, "_allowed", None)


def test_large_picture_is_refused_with_the_way_out(tmp_path, limit):
    upright().save(tmp_path / "a.png")
    Image.MAX_IMAGE_PIXELS = 100
    for read in (open_picture, picture_size):
        with pytest.raises(CanvasError, match=r"more than .* raise the limit by --max-pixels"):
            read(tmp_path / "a.png")
    allow_pixels(WIDTH * HEIGHT)
    assert open_picture(tmp_path / "a.png").shape == (1, 3, HEIGHT, WIDTH)
    allow_pixels(WIDTH * HEIGHT - 1)
    with pytest.raises(CanvasError, match="raise the limit by --max-pixels"):
        picture_size(tmp_path / "a.png")


def test_job_takes_its_limit_to_its_workers(tmp_path, limit):
    (tmp_path / "in").mkdir()
    upright().save(tmp_path / "in" / "a.png")
    items = items_of(tmp_path / "in")
    report = run_here(small_job(tmp_path, max_pixels=9), items)
    (failure,) = report.failures
    assert "raise the limit by --max-pixels" in failure["error"]
    assert run_here(small_job(tmp_path, max_pixels=1000), items).done == 1


def test_run_says_that_it_takes_the_first_of_several_frames(tmp_path, capsys):
    upright().save(tmp_path / "a.gif", save_all=True, append_images=[upright().rotate(90)])
    upright().save(tmp_path / "b.png")
    (tmp_path / "c.mp4").write_bytes(b"x")

    def pictures(*names):
        paths = [Path(tmp_path / name) for name in names]
        return _pictures(argparse.Namespace(task="depth", pictures=paths, size=None, layers=None))

    assert [name for name, _ in pictures("a.gif", "b.png")] == ["a_depth", "b_depth"]
    assert "a.gif holds 2 frames; only the first is used" in capsys.readouterr().err
    with pytest.raises(PixWizardError, match=r"c\.mp4 is a film; pixwizard batch processes"):
        pictures("c.mp4")
    with pytest.raises(PixWizardError, match=r"is a folder; pixwizard batch processes all"):
        pictures(".")
