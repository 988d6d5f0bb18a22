"""Boxes, normals, and the table of decoders."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.decode import DECODERS, Hints, decode, decode_boxes
from pixwizard_core.decode.normals import decode_normals, paint_normals
from pixwizard_core.decode.segments import Segments
from pixwizard_core.errors import DecodeError
from pixwizard_core.tasks import COLOURS


def scene(*boxes: tuple[int, int, int, int], colour: str = "red", line: int = 3):
    """A dim textured picture, and the same with outlines just inside the boxes."""
    source = 0.5 * torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(4))
    answer = source.clone()
    for left, top, right, bottom in boxes:
        mask = torch.zeros(96, 128, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        mask[top + line : bottom - line, left + line : right - line] = False
        answer[0, :, mask] = torch.tensor(COLOURS[colour])[:, None] / 255
    return source, answer


@pytest.mark.parametrize("colour", COLOURS)
def test_box_is_the_outlines_outer_edge(colour):
    source, answer = scene((20, 30, 71, 90), colour=colour)
    (box,) = decode_boxes(answer, colour, source)[0]
    assert box.xyxy_px == (20, 30, 71, 90)
    assert box.score == 1.0


def test_two_boxes_with_noise_and_a_stray_stroke():
    source, answer = scene((10, 10, 50, 60), (70, 20, 120, 80))
    answer[0, :, 60:63, 12:30] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)  # hangs on the first one
    answer[0, :, 40:44, 48:60] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    noise = torch.randn(answer.shape, generator=torch.Generator().manual_seed(5))
    found = decode_boxes((answer + 0.06 * noise).clamp(0, 1), "red", source)[0]
    boxes = sorted(box.xyxy_px for box in found)
    assert boxes[1] == (70, 20, 120, 80)
    assert boxes[0][:2] == (10, 10)
    assert boxes[0][2] == 50


def test_box_reaching_the_border():
    source, answer = scene((0, 0, 128, 96))
    assert decode_boxes(answer, "red", source)[0][0].xyxy_px == (0, 0, 128, 96)


def test_broken_outline_scores_less():
    source, answer = scene((20, 20, 60, 60))
    answer[:, :, 20:40, 20:23] = source[:, :, 20:40, 20:23]  # most of the left side is gone
    (box,) = decode_boxes(answer, "red", source)[0]
    assert 0.8 < box.score < 0.95


def test_outline_in_pieces_is_one_box():
    source, answer = scene((20, 20, 60, 70), (70, 10, 120, 50))
    answer[:, :, :, 35:43] = source[:, :, :, 35:43]  # both long sides of the first one are cut
    found = decode_boxes(answer, "red", source)[0]
    assert [box.xyxy_px for box in found] == [(70, 10, 120, 50), (20, 20, 60, 70)]
    assert 0.85 < found[1].score < 0.95


def test_things_of_the_colour_are_no_boxes_when_the_source_is_known():
    source = torch.full((1, 3, 64, 64), 0.3)
    source[:, :, 20:40, 20:50] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    assert decode_boxes(source, "red", source) == [[]]


def test_a_single_stroke_is_no_box():
    source, answer = scene()
    answer[0, :, 10:13, 10:90] = torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    assert decode_boxes(answer, "red", source) == [[]]


def test_no_outline_gives_an_empty_list_for_each_picture():
    source, answer = scene((20, 30, 71, 90))
    batch = torch.cat([source, answer])
    found = decode_boxes(batch, "red", source)
    assert [len(one) for one in found] == [0, 1]


def test_normals_are_unit_and_hand_worked():
    image = torch.tensor([[0.5, 0.5, 1.0], [1.0, 0.5, 0.5], [0.5, 0.5, 0.5]]).T.view(1, 3, 1, 3)
    normals = decode_normals(image)[0, :, 0].T
    assert normals.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert decode_normals(image, flip_x=True)[0, 0, 0, 1] == -1


def test_normals_survive_painting():
    vectors = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    torch.testing.assert_close(decode_normals(paint_normals(vectors)), vectors)
    flipped = decode_normals(paint_normals(vectors, flip_y=True), flip_y=True)
    torch.testing.assert_close(flipped, vectors)
    noisy = decode_normals(torch.rand(1, 3, 8, 8))
    torch.testing.assert_close(noisy.norm(dim=1), torch.ones(1, 8, 8))


def test_every_kind_decodes():
    image = torch.rand(2, 3, 16, 24)
    shapes = {
        "image": (2, 3, 16, 24),
        "pose": (2, 3, 16, 24),
        "edge": (2, 16, 24),
        "depth": (2, 16, 24),
        "normal": (2, 3, 16, 24),
        "mask": (2, 16, 24),
        "highlight": (2, 16, 24),
    }
    for kind, shape in shapes.items():
        assert decode(kind, image).shape == shape
    found = decode("segmentation", image)
    assert isinstance(found, Segments)
    assert found.labels.shape == (2, 16, 24)
    assert decode("box", image * 0) == [[], []]
    assert set(shapes) | {"segmentation", "box"} == set(DECODERS)


def test_highlight_uses_the_source_when_it_is_given():
    source = torch.zeros(1, 3, 16, 16)
    source[:, 0] = 1.0  # a red picture: its hue says nothing
    assert decode("highlight", source, Hints(colour="red")).all()
    assert not decode("highlight", source, Hints(source_01=source, colour="red")).any()


def test_decode_refuses():
    with pytest.raises(
        DecodeError, match="unknown kind of answer 'depht'; choose one of: image, pose"
    ):
        decode("depht", torch.rand(1, 3, 4, 4))
    with pytest.raises(DecodeError, match="answer picture holds 48 values that are not finite"):
        decode("depth", torch.full((1, 3, 4, 4), torch.inf))
