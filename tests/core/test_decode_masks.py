"""Masks: thresholds, clean-up, separate objects, tints."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.decode import masks
from pixwizard_core.decode.components import label
from pixwizard_core.decode.masks import Cleanup, clean, decode_highlight, decode_highlight_hsv
from pixwizard_core.decode.morphology import feather, fill_holes, grow
from pixwizard_core.errors import DecodeError
from pixwizard_core.tasks import COLOURS


def drawn(*rows: str) -> torch.Tensor:
    """A mask from a drawing: # is selected."""
    return torch.tensor([[c == "#" for c in row] for row in rows])


def grey(values) -> torch.Tensor:
    return torch.as_tensor(values).view(1, 1, 1, -1).expand(1, 3, 1, -1)


def test_mask_is_what_is_lighter_than_the_threshold():
    image = grey([0.0, 0.5, 0.51, 1.0])
    assert masks.decode_mask(image).tolist() == [[[False, False, True, True]]]
    assert masks.decode_mask(image, 0.2).tolist() == [[[False, True, True, True]]]


def test_otsu_parts_a_dim_answer_that_half_would_lose():
    image = grey([0.05, 0.1, 0.08, 0.4, 0.42])
    assert not masks.decode_mask(image).any()
    assert masks.decode_mask(image, "otsu").tolist() == [[[False, False, False, True, True]]]


def test_otsu_level_lies_between_two_greys():
    level = masks.otsu(torch.tensor([[51 / 255] * 9 + [101 / 255]]))
    assert 60 / 255 < level < 92 / 255
    assert masks.otsu(torch.zeros(2, 2)) == 0.5


@pytest.mark.parametrize("threshold", ["half", 1.5, -0.1])
def test_threshold_refused(threshold):
    with pytest.raises(DecodeError, match=r'threshold must be 0 to 1 or "otsu". Got: '):
        masks.decode_mask(grey([0.0]), threshold)


def test_label_by_hand():
    mask = drawn("##.#", "...#", "#.#.", "##..")
    labels, count = label(mask)
    assert count == 2
    assert labels.tolist() == [[1, 1, 0, 2], [0, 0, 0, 2], [2, 0, 2, 0], [2, 2, 0, 0]]
    labels, count = label(mask, diagonal=False)
    assert count == 4
    assert labels.tolist() == [[1, 1, 0, 2], [0, 0, 0, 2], [3, 0, 4, 0], [3, 3, 0, 0]]


def test_label_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    generator = torch.Generator().manual_seed(3)
    for height, width, share in [
        (1, 9, 0.5),
        (9, 1, 0.5),
        (30, 41, 0.4),
        (40, 23, 0.6),
        (64, 64, 0.55),
    ]:
        mask = torch.rand(height, width, generator=generator) < share
        for diagonal in (True, False):
            labels, count = label(mask, diagonal)
            structure = [[1, 1, 1]] * 3 if diagonal else None
            theirs, their_count = ndimage.label(mask.numpy(), structure)
            assert count == their_count
            pairs = torch.stack([labels.flatten(), torch.from_numpy(theirs).long().flatten()])
            assert pairs.unique(dim=1).shape[1] == len(labels.unique())


def test_label_follows_a_spiral():
    mask = drawn("#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######")
    assert label(mask, diagonal=False)[1] == 1
    assert label(~mask, diagonal=False)[1] == 1


def test_grow_is_a_disc_and_shrink_undoes_it():
    dot = torch.zeros(1, 7, 7, dtype=torch.bool)
    dot[0, 3, 3] = True
    grown = grow(dot, 2)
    disc = drawn(".......", "...#...", "..###..", ".#####.", "..###..", "...#...", ".......")
    assert torch.equal(grown[0], disc)
    assert torch.equal(grow(grown, -2), dot)
    assert grow(dot, 0) is dot


def test_grow_stops_at_the_border_and_shrink_leaves_it():
    corner = torch.zeros(1, 3, 4, dtype=torch.bool)
    corner[0, 0, 0] = True
    assert grow(corner, 50).all()
    whole = torch.ones(1, 3, 4, dtype=torch.bool)
    assert grow(whole, -1).all()


def test_fill_holes_leaves_bays_open():
    mask = drawn("######", "#.##.#", "####.#", "#.##.#", "#.####")
    filled = drawn("######", "######", "######", "#.####", "#.####")
    assert torch.equal(fill_holes(mask[None])[0], filled)


def test_clean_drops_small_and_keeps_largest():
    mask = drawn("##..#", "##...", "....#", "###.#")[None]
    assert torch.equal(
        clean(mask, Cleanup(min_area=3))[0], drawn("##...", "##...", ".....", "###..")
    )
    assert torch.equal(
        clean(mask, Cleanup(largest_only=True))[0], drawn("##...", "##...", ".....", ".....")
    )


def test_clean_off_changes_nothing():
    mask = torch.rand(2, 6, 7) > 0.5
    assert torch.equal(clean(mask, Cleanup()), mask)


@pytest.mark.parametrize(
    "cleanup",
    [Cleanup(fill_holes=True), Cleanup(min_area=5), Cleanup(largest_only=True), Cleanup(grow=3),
     Cleanup(grow=-3), Cleanup(feather=4.0)],
    ids=str,
)  # fmt: skip
def test_clean_keeps_empty_empty(cleanup):
    empty = torch.zeros(2, 5, 6, dtype=torch.bool)
    assert clean(empty, cleanup).shape == (2, 5, 6)
    assert not clean(empty, cleanup).any()
    assert clean(empty[:0], cleanup).shape == (0, 5, 6)


def test_feather_is_soft_symmetric_and_keeps_flat_areas():
    mask = torch.zeros(1, 1, 40, dtype=torch.bool)
    mask[..., 20:] = True
    soft = feather(mask, 6.0)[0, 0]
    assert soft.dtype == torch.float32
    assert soft[:10].max() == 0
    torch.testing.assert_close(soft[30:], torch.ones(10))
    torch.testing.assert_close(soft + soft.flip(0), torch.ones(40))
    assert (soft.diff() >= -1e-6).all()


def test_objects_are_largest_first_with_boxes():
    mask = drawn("#....##", "#....##", "......#", ".......", "###....")
    found = masks.objects(mask)
    assert found.areas_px.tolist() == [5, 3, 2]
    assert found.boxes_xyxy_px.tolist() == [[5, 0, 7, 3], [0, 4, 3, 5], [0, 0, 1, 2]]
    assert torch.equal(found.masks.any(0), mask)
    assert found.masks.sum() == mask.sum()


def test_objects_of_equal_size_come_in_reading_order():
    found = masks.objects(drawn("..#", "...", "#.#"))
    assert found.boxes_xyxy_px[:, :2].tolist() == [[2, 0], [0, 2], [2, 2]]


def test_objects_can_be_limited():
    mask = drawn("##.###.#")
    assert masks.objects(mask, min_area=2).areas_px.tolist() == [3, 2]
    assert masks.objects(mask, limit=1).areas_px.tolist() == [3]


def test_objects_of_nothing_keep_their_shape():
    found = masks.objects(torch.zeros(5, 6, dtype=torch.bool))
    assert len(found) == 0
    assert found.masks.shape == (0, 5, 6)
    assert found.boxes_xyxy_px.shape == (0, 4)


def test_box_of_an_empty_mask_is_zero():
    assert masks.mask_boxes(torch.zeros(1, 4, 4, dtype=torch.bool)).tolist() == [[0, 0, 0, 0]]


def tinted(colour: str, opacity: float = 0.5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A textured source, the same with a tint on a rectangle, and the rectangle."""
    source = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 48, 64, dtype=torch.bool)
    mask[:, 10:40, 8:30] = True
    tint = torch.tensor(COLOURS[colour]).view(3, 1, 1) / 255
    answer = torch.where(mask[:, None], (1 - opacity) * source + opacity * tint, source)
    noise = torch.randn(answer.shape, generator=torch.Generator().manual_seed(2))
    return source, (answer + 0.03 * noise).clamp(0, 1), mask


@pytest.mark.parametrize("colour", COLOURS)
def test_highlight_is_solved_from_the_source(colour):
    source, answer, mask = tinted(colour)
    found = decode_highlight(answer, source, colour)
    assert (found & mask).sum() / (found | mask).sum() > 0.95


def test_highlight_of_an_object_of_that_colour_already():
    """Red on a red ball: the tint cannot be seen inside, and nothing else may be selected
    instead."""
    source = torch.full((1, 3, 20, 20), 0.4)
    source[:, :, 5:15, 5:15] = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    assert not decode_highlight(source, source, "red").any()


def test_highlight_without_tint_is_empty_and_sizes_must_agree():
    source = torch.rand(2, 3, 16, 16)
    assert not decode_highlight(source, source, "blue").any()
    with pytest.raises(DecodeError, match="source picture is 1 of 8 x 16 px, the answer 2 of 16 x"):
        decode_highlight(source, source[:1, :, :, :8], "blue")


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "cyan", "purple"])
def test_highlight_by_hue(colour):
    source = torch.full((1, 3, 12, 12), 0.5)
    answer = source.clone()
    tint = torch.tensor(COLOURS[colour]).view(3, 1) / 255
    answer[0, :, 3:6, 4:9] = 0.5 * 0.5 + 0.5 * tint[:, None]
    found = decode_highlight_hsv(answer, colour)
    assert masks.mask_boxes(found).tolist() == [[4, 3, 9, 6]]
    assert found.sum() == 15


def test_white_has_no_hue():
    with pytest.raises(
        DecodeError, match="'white' has no hue to look for; compare with the source"
    ):
        decode_highlight_hsv(torch.rand(1, 3, 4, 4), "white")


def test_colour_must_be_known():
    with pytest.raises(
        DecodeError, match="unknown colour 'pinkish'; use #rrggbb or one of: red, gr"
    ):
        decode_highlight_hsv(torch.rand(1, 3, 4, 4), "pinkish")


def test_hsv_by_hand():
    colours = torch.tensor(
        [[1.0, 0, 0], [0, 0.5, 0], [0.5, 0.5, 1.0], [0.2, 0.2, 0.2], [1, 0, 0.5]]
    )
    hue, saturation, value = masks.to_hsv(colours.T.view(1, 3, 1, 5))
    assert hue.flatten().tolist() == [0.0, 120.0, 240.0, 0.0, 330.0]
    assert saturation.flatten().tolist() == [1.0, 1.0, 0.5, 0.0, 1.0]
    torch.testing.assert_close(value.flatten(), torch.tensor([1.0, 0.5, 1.0, 0.2, 1.0]))
