"""Frames of films: the k-th is the k-th that decoding gives, upright, however it is reached."""

import os
import random
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.files import film as films
from pixwizard_core.files.film import FilmReader, look
from pixwizard_core.files.film_pages import page_count
from pixwizard_core.files.film_stream import Stream
from pixwizard_core.fleet.sources import find
from tests.support.films import HEIGHT, WIDTH, cut_film, shade, trim_film, write_film
from tests.support.fleet import items_of, run_here, small_job

av = pytest.importorskip("av", reason="PyAV is not installed")
COUNT = 40
KINDS = {
    "h264.mp4": {}, "h264.mov": {}, "h264.m4v": {}, "h264.mkv": {}, "h264.ts": {}, "h264.flv": {},
    "h264.avi": {}, "mpeg2.ts": {"codec": "mpeg2video"}, "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg1.mpg": {"codec": "mpeg1video"}, "mpeg4.avi": {"codec": "mpeg4", "bf": "2"},
    "vp8.webm": {"codec": "libvpx", "deadline": "realtime"},
    "wmv2.wmv": {"codec": "wmv2"}, "mpeg2.vob": {"codec": "mpeg2video"},
    "h264.m2ts": {"format": "mpegts"}, "ffv1.mkv": {"codec": "ffv1", "pixels": "yuv444p10le"},
    "rgb.mov": {"codec": "qtrle", "pixels": "rgb24"}, "open.mkv": {"x264-params": "open-gop=1"},
    "refresh.mp4": {"x264-params": "intra-refresh=1:bframes=0"},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def clip(folder):
    return write_film(folder / "clip.mp4", count=COUNT)


def grey(frame: torch.Tensor) -> float:
    """Of the bottom right corner, of 255."""
    return float(frame[0, :, -8:, -8:].mean() * 255)


def one_by_one(path) -> list[torch.Tensor]:
    """What PyAV decodes from the start, in display orientation only where it is stored so."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [torch.from_numpy(values).movedim(-1, 0)[None].float() / 255 for values in frames]


@pytest.mark.parametrize("name", KINDS)
def test_frame_is_the_same_in_any_order_and_container(name, folder):
    path = write_film(folder / name, count=COUNT, **KINDS[name])
    wanted, film = one_by_one(path), look(path)
    assert len(film.shots) == len(wanted) == COUNT
    assert film.note == ""
    assert grey(wanted[7]) == pytest.approx(shade(7), abs=4)
    order = random.Random(name).sample(range(COUNT), 12)
    for numbers in (range(COUNT), range(3, COUNT, 7), order):
        reader = FilmReader()
        for number in numbers:
            assert torch.equal(reader.read(str(path), film.shots[number]), wanted[number]), number


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_trimmed_film_has_the_frames_that_are_shown(ending, clip, folder):
    path = trim_film(clip, folder / f"trimmed.{ending}", 16)
    wanted, film = one_by_one(path), look(path)
    with av.open(str(path)) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    assert packets == 30
    assert len(film.shots) == len(wanted)
    if ending != "mkv":
        assert len(wanted) < packets  # the edit list hides those before its start
    for number in (len(wanted) - 1, 0, 11, 5):
        frame = FilmReader().read(str(path), film.shots[number])
        assert torch.equal(frame, wanted[number])
    assert grey(frame) == pytest.approx(shade(COUNT - len(wanted) + 5), abs=4)


def test_variable_rate_counts_frames_not_time(folder):
    times = [number * 40 + (number % 3) * 11 for number in range(COUNT)]
    for ending in ("mkv", "mp4"):
        path = write_film(folder / f"variable.{ending}", count=COUNT, times=times)
        film, reader = look(path), FilmReader()
        assert len(film.shots) == COUNT
        for number in (31, 4, 5, 39):
            frame = reader.read(str(path), film.shots[number])
            assert grey(frame) == pytest.approx(shade(number), abs=4)


@pytest.mark.parametrize(
    ("turn", "size", "corner"),
    [
        ((0, False), (WIDTH, HEIGHT), (0, 0)),
        ((-90, False), (HEIGHT, WIDTH), (0, -1)),  # a phone held upright: turn with the clock
        ((180, False), (WIDTH, HEIGHT), (-1, -1)),
        ((90, False), (HEIGHT, WIDTH), (-1, 0)),
        ((0, True), (WIDTH, HEIGHT), (0, -1)),
        ((90, True), (HEIGHT, WIDTH), (-1, -1)),
    ],
)
def test_frames_are_as_they_are_shown(turn, size, corner, folder):
    path = write_film(folder / f"turn{turn[0]}{turn[1]}.mp4", count=12, turn=turn)
    film = look(path)
    frame = FilmReader().read(str(path), film.shots[11])
    assert {shot.size for shot in film.shots} == {size}
    assert frame.shape == (1, 3, size[1], size[0])
    row, column = corner
    assert float(frame[0, 0, row, column]) > 0.95  # the white square, top left as it is stored


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.mkv", {}, r"it ends after 1\.\d s, but its header says 1\.6 s"),
        ("a.avi", {"codec": "mpeg4"}, r"its header says 40 frames, but \d+ are there"),
        ("a.mp4", {"faststart": True}, r"\d+ packets lie beyond the end of the file"),
    ],
)
def test_what_decodes_of_a_broken_film_is_there_and_the_rest_is_said(
    name, options, message, folder
):
    whole = folder / f"whole-{name}"
    if options.pop("faststart", False):
        _faststart(write_film(folder / f"plain-{name}", count=COUNT), whole)
    else:
        write_film(whole, count=COUNT, **options)
    path = cut_film(whole, folder / f"cut-{name}", 26)
    film, intact = look(path), one_by_one(whole)
    count = len(film.shots)
    assert 22 <= count <= 27
    assert re.search(message, film.note), film.note
    reader = FilmReader()
    for number in (count - 6, 0, 5):
        assert torch.equal(reader.read(str(path), film.shots[number]), intact[number])


def _faststart(source, target):
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)


def test_damage_inside_costs_only_what_is_damaged(folder):
    path = write_film(folder / "hurt.mkv", codec="mpeg4", count=COUNT)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    film, reader = look(path), FilmReader()
    assert "damage" in film.note
    assert len(film.shots) >= COUNT - 4
    last = reader.read(str(path), film.shots[-1])
    assert grey(last) == pytest.approx(shade(COUNT - 1), abs=4)


def test_jump_that_lands_elsewhere_is_made_good(clip, monkeypatch):
    film, wanted = look(clip), one_by_one(clip)
    seek = Stream.seek
    monkeypatch.setattr(Stream, "seek", lambda self, time: seek(self, film.shots[35].time))
    reader = FilmReader()
    for number in (21, 12, 38):
        assert torch.equal(reader.read(str(clip), film.shots[number]), wanted[number])
    assert reader.back == 2  # the third would be the start itself


def test_reading_on_does_not_jump(clip, monkeypatch):
    film, jumps = look(clip), []
    seek = Stream.seek
    monkeypatch.setattr(Stream, "seek", lambda self, t: jumps.append(t) or seek(self, t))
    reader = FilmReader()
    for number in (0, 1, 5, 9, 33, 34, 2):
        reader.read(str(clip), film.shots[number])
    assert jumps == [film.shots[30].time, film.shots[0].time]


def test_a_film_is_decoded_once_until_it_changes(folder, monkeypatch):
    path = write_film(folder / "once.mp4", count=12)
    decoded = []
    whole = films._decoded
    monkeypatch.setattr(films, "_decoded", lambda *a: decoded.append(1) or whole(*a))
    assert look(path) is look(path)
    assert len(decoded) == 1
    write_film(path, count=15)
    assert len(look(path).shots) == 15
    assert len(decoded) == 2


def test_changed_film_is_noticed_while_reading(folder):
    path = write_film(folder / "changed.mp4", count=12)
    film = look(path)
    write_film(path, count=12, codec="mpeg4")
    with pytest.raises(CanvasError, match=r"frame 5 of changed\.mp4 differs from the first pass"):
        FilmReader().read(str(path), film.shots[5])


def test_cover_picture_is_no_film(folder, clip):
    path = folder / "cover.mkv"
    with av.open(str(clip)) as old, av.open(str(path), "w") as new:
        cover = new.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        new.mux(cover.encode(picture))
        new.mux(cover.encode())
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    assert len(look(path).shots) == COUNT
    assert look(path).shots[0].size == (WIDTH, HEIGHT)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(CanvasError, match="cannot be read as a video"):
        look(tmp_path / "x.mp4")


def test_film_without_a_frame_is_refused(folder, tmp_path):
    whole = write_film(folder / "empty.mkv", count=12)
    with pytest.raises(CanvasError, match="no frame of it can be decoded"):
        look(cut_film(whole, tmp_path / "empty.mkv", 0))


def test_without_pyav_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(PixWizardError, match="pip install av"):
        look(tmp_path / "x.mp4")


def animation(path, count=6, **options):
    pages = [Image.new("RGB", (12, 8), (40 * number, 0, 0)) for number in range(count)]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {}), ("a.tif", {})],
)
def test_pictures_with_several_frames_are_films(name, options, tmp_path):
    path = animation(tmp_path / name, **options)
    assert page_count(path) == 6
    film, reader = look(path), FilmReader()
    assert [shot.size for shot in film.shots] == [(12, 8)] * 6
    for number in (5, 1, 2, 0):
        frame = reader.read(str(path), film.shots[number])
        assert float(frame[0, 0].mean() * 255) == pytest.approx(40 * number, abs=2)
        assert float(frame[0, 1:].max()) == 0
    assert [one.frame for one in find([str(path)], every=4)] == [0, 4]


def test_pages_may_differ_in_size_and_smaller_copies_are_no_pages(tmp_path):
    pages = [Image.new("L", size, 90) for size in ((20, 10), (10, 5), (8, 30))]
    small = {254: 1}
    with AppendingTiffWriter(tmp_path / "a.tif", True) as writer:
        for page, tags in zip(pages, ({}, small, {}), strict=True):
            page.save(writer, format="TIFF", tiffinfo=tags)
            writer.newFrame()
    assert page_count(tmp_path / "a.tif") == 2
    assert [shot.size for shot in look(tmp_path / "a.tif").shots] == [(20, 10), (8, 30)]


def test_cut_animation_gives_what_is_there(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 40), np.uint8)
    pages = [Image.fromarray(values) for values in noise]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(data[: len(data) * 6 // 10])
    film = look(tmp_path / "cut.gif")
    assert len(film.shots) == 3
    assert "its header says 4 frames, but 3 are there" in film.note


def test_videos_become_items_and_results(clip, tmp_path):
    found = find([str(clip)], every=15)
    assert [one.name for one in found] == ["clip/000000", "clip/000015", "clip/000030"]
    report = run_here(small_job(tmp_path), items_of(clip, every=15))
    assert report.done == 3
    assert [record["frame"] for record in report.records] == [0, 15, 30]
    assert len({record["seed"] for record in report.records}) == 3


def test_note_of_a_broken_film_stands_in_the_index(folder, tmp_path):
    whole = write_film(folder / "note.mkv", count=COUNT)
    path = cut_film(whole, tmp_path / "note.mkv", 26)
    report = run_here(small_job(tmp_path), items_of(path, every=12))
    assert report.done >= 2
    assert all("it ends after" in record["note"] for record in report.records)


def test_no_item_depends_on_who_reads_the_film(folder, tmp_path):
    path = write_film(folder / "shared.ts", count=COUNT)
    results = {}
    for workers in (1, 2):
        job = small_job(tmp_path, f"out{workers}")
        report = run_here(job, items_of(path, every=3), workers=workers)
        assert report.done == 14
        root = tmp_path / f"out{workers}"
        results[workers] = {
            os.path.relpath(file, root): file.read_bytes()
            for file in sorted(root.rglob("*"))
            if file.is_file() and not file.name.startswith(".")
        }
    assert results[1] == results[2]
