"""Answers that follow the edges of a larger source."""

from __future__ import annotations

import pytest
import torch

from pixwizard_core.canvas import Canvas, CanvasBatch, plan
from pixwizard_core.decode import (
    SHARPENED,
    at_source_size,
    decode_highlight,
    decode_mask,
    guided,
    not_sharpened,
)
from pixwizard_core.decode.guided import guided_resize
from pixwizard_core.decode.overlay import overlay
from pixwizard_core.errors import DecodeError


def split_picture(width: int, at: int, left: float = 0.2, right: float = 0.8) -> torch.Tensor:
    """(1, 3, width, width): two greys that meet before column `at`."""
    image = torch.full((1, 3, width, width), right)
    image[..., :at] = left
    return image


def disc(side: int, radius: float = 0.3) -> torch.Tensor:
    """(1, side, side) bool: a disc in the middle of a square."""
    place = (torch.arange(side) + 0.5) / side - 0.5
    return (place.square()[:, None] + place.square() < radius**2)[None]


def scene(side: int = 256) -> torch.Tensor:
    """A red disc on a grey wall."""
    red = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1)
    return torch.where(disc(side)[:, None], red, torch.full((1, 3, 1, 1), 0.6))


def test_guided_resize_puts_a_step_where_the_large_picture_has_it():
    large = split_picture(40, 17)  # the small picture has its edge at 4 or 5 of 10 px
    small = torch.nn.functional.interpolate(large, (10, 10), mode="area")
    values = small[:, :1] * 0 + (torch.arange(10) > 3.5)
    result = guided_resize(values.float(), small, large)
    assert result.shape == (1, 1, 40, 40)
    assert float(result[..., :17].max()) < 0.05
    assert float(result[..., 17:].min()) > 0.6


def test_guided_resize_keeps_what_is_the_same_everywhere():
    generator = torch.Generator().manual_seed(0)
    large = torch.rand(1, 3, 30, 50, generator=generator)
    small = torch.rand(1, 3, 6, 10, generator=generator)
    result = guided_resize(torch.full((1, 2, 6, 10), 0.25), small, large)
    torch.testing.assert_close(result, torch.full((1, 2, 30, 50), 0.25))


def test_guided_resize_stays_in_the_range_of_the_values():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(2, 1, 5, 7, generator=generator)
    result = guided_resize(
        values, torch.rand(1, 3, 5, 7, generator=generator),
        torch.rand(2, 3, 31, 44, generator=generator),
    )  # fmt: skip
    assert float(result.min()) >= float(values.min())
    assert float(result.max()) <= float(values.max())


def test_guided_resize_in_bands_gives_the_same_numbers(monkeypatch):
    generator = torch.Generator().manual_seed(2)
    given = (
        torch.rand(1, 2, 6, 6, generator=generator), torch.rand(1, 3, 6, 6, generator=generator),
        torch.rand(1, 3, 33, 29, generator=generator),
    )  # fmt: skip
    whole = guided_resize(*given)
    monkeypatch.setattr(guided, "BAND_PX", 3 * 29)
    assert torch.equal(guided_resize(*given), whole)


def test_guided_resize_refuses_values_of_another_picture():
    with pytest.raises(ValueError, match=r"one size. Got: \(4, 4\) and \(5, 4\)"):
        guided_resize(torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 5, 4), torch.zeros(1, 3, 8, 8))


def test_sharp_mask_has_the_outline_of_the_source():
    source, canvas = scene(), plan(256, 256, (64,))
    answer = disc(64).float()[:, None].expand(-1, 3, -1, -1)
    wanted, wrong = disc(256), {}
    for sharp in (False, True):
        found = decode_mask(at_source_size("mask", answer, source, canvas, sharp=sharp))
        wrong[sharp] = int((found != wanted).sum())
    assert wrong[True] < 20 < wrong[False]


def test_sharp_highlight_has_the_outline_of_the_source():
    source, canvas = scene(), plan(256, 256, (64,))
    answer = overlay(canvas.fit_image(source), disc(64), "green")
    painted = at_source_size("highlight", answer, source, canvas, "green", sharp=True)
    found = decode_highlight(painted, source, "green")
    assert int((found != disc(256)).sum()) < 20
    torch.testing.assert_close(painted[..., 0, 0], source[..., 0, 0])  # no tint: the source itself


@pytest.mark.parametrize("kind", ["image", "edge", "box", "pose"])
def test_other_kinds_are_restored_and_the_reason_is_given(kind):
    source, canvas = torch.rand(1, 3, 90, 90), plan(90, 90, (64,))
    answer = torch.rand(1, 3, 64, 64)
    assert not_sharpened(kind, canvas) == (
        "only answers of these kinds can be sharpened: mask, highlight, depth, normal, segmentation"
    )
    restored = canvas.restore_image(answer)
    assert torch.equal(at_source_size(kind, answer, source, canvas, sharp=True), restored)


@pytest.mark.parametrize("kind", SHARPENED)
def test_a_source_no_larger_than_the_answer_is_restored_and_the_reason_is_given(kind):
    source, canvas = torch.rand(1, 3, 64, 64), plan(64, 64, (64,))
    answer = torch.rand(1, 3, 64, 64)
    assert "no larger than the answer" in not_sharpened(kind, canvas)
    assert torch.equal(at_source_size(kind, answer, source, canvas, sharp=True), answer)


def test_an_enlarged_answer_counts_by_its_own_size():
    canvas = plan(100, 100, (64,))
    assert not_sharpened("mask", canvas) == ""
    assert "no larger" in not_sharpened("mask", canvas, torch.zeros(1, 3, 128, 128))


@pytest.mark.parametrize("sharp", [False, True])
def test_nothing_is_found_outside_a_crop(sharp):
    """Where the model saw nothing, a bright source is no mask, and no near thing."""
    source, canvas = torch.ones(1, 3, 64, 400), plan(400, 64, (32,), "crop")
    answer = torch.ones(1, 3, canvas.model.height, canvas.model.width)
    outside = ~canvas.covered()
    assert bool(outside.any())
    for kind in ("mask", "depth", "segmentation", "edge"):
        painted = at_source_size(kind, answer, source, canvas, sharp=sharp)
        assert float(painted[:, :, outside].max()) == 0, kind
        assert float(painted[:, :, ~outside].min()) > 0.99, kind
    for kind in ("image", "highlight", "box"):
        painted = at_source_size(kind, answer * 0, source, canvas, sharp=sharp)
        assert float(painted[:, :, outside].min()) == 1, kind


def test_each_picture_of_a_batch_goes_by_its_own_canvas():
    model, size = plan(256, 256, (64,)).model, plan(256, 256, (64,)).source
    content = plan(256, 256, (64,)).content
    views = [content._replace(right=128, bottom=128), content._replace(right=256, bottom=256)]
    canvases = [Canvas(size, model, "crop", view, content) for view in views]
    source, answer = scene().expand(2, -1, -1, -1), torch.rand(2, 3, 64, 64)
    both = at_source_size("depth", answer, source, CanvasBatch(tuple(canvases)), sharp=True)
    for i, canvas in enumerate(canvases):
        alone = at_source_size("depth", answer[i : i + 1], source[:1], canvas, sharp=True)
        assert torch.equal(both[i : i + 1], alone)
    assert not torch.equal(both[0], both[1])


def test_source_of_another_size_is_refused():
    with pytest.raises(DecodeError, match="the source is 50 x 40 px, but its canvas was made for"):
        at_source_size(
            "mask", torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 40, 50), plan(90, 90, (64,))
        )


def test_counts_that_do_not_match_are_refused():
    with pytest.raises(DecodeError, match="3 sources for 2 answers; give one, or one for each"):
        at_source_size(
            "mask", torch.zeros(2, 3, 64, 64), torch.zeros(3, 3, 90, 90), plan(90, 90, (64,))
        )
