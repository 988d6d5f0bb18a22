"""Frames of videos: all of them, in any order, by their number."""

import sys

import pytest
import torch

from pixwizard_core.errors import CanvasError, PixWizardError
from pixwizard_core.fleet import video
from pixwizard_core.fleet.sources import find
from pixwizard_core.fleet.video import VideoReader, frame_count, frame_size
from tests.support.fleet import items_of, run_here, small_job

av = pytest.importorskip("av", reason="PyAV is not installed")
COUNT, SIDE = 12, 48


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A film in which frame n is grey of 20 n, with a key frame now and then."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        for number in range(COUNT):
            values = torch.full((SIDE, SIDE, 3), 20 * number, dtype=torch.uint8)
            frame = av.VideoFrame.from_ndarray(values.numpy(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def shade(frame: torch.Tensor) -> float:
    return float(frame.mean() * 255)


def test_video_has_its_frames_and_size(clip):
    assert frame_count(clip) == COUNT
    assert frame_size(clip) == (SIDE, SIDE)


@pytest.mark.parametrize("order", [range(COUNT), (7, 3, 4, 5, 11, 0), (2, 2, 9)])
def test_frames_are_found_by_number_in_any_order(clip, order):
    reader = VideoReader()
    for number in order:
        frame = reader.read(str(clip), number)
        assert frame.shape == (1, 3, SIDE, SIDE)
        assert shade(frame) == pytest.approx(20 * number, abs=4)


def test_same_frame_is_the_same_however_it_was_reached(clip):
    walked, jumped = VideoReader(), VideoReader()
    frames = [walked.read(str(clip), number) for number in range(COUNT)]
    for number in (9, 4, 11):
        assert torch.equal(jumped.read(str(clip), number), frames[number])


def test_reader_refuses_a_frame_that_is_not_there(clip):
    with pytest.raises(CanvasError, match="has 12 frames; there is no 12"):
        VideoReader().read(str(clip), COUNT)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(CanvasError, match="cannot be read as a video"):
        frame_count(tmp_path / "x.mp4")


def test_without_pyav_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PixWizardError, match="pip install av"):
        video._open(str(tmp_path / "x.mp4"))


def test_videos_become_items_and_results(clip, tmp_path):
    found = find([str(clip)], every=5)
    assert [one.name for one in found] == ["clip/000000", "clip/000005", "clip/000010"]
    report = run_here(small_job(tmp_path), items_of(clip, every=5))
    assert report.done == 3
    assert [record["frame"] for record in report.records] == [0, 5, 10]
    assert len({record["seed"] for record in report.records}) == 3
