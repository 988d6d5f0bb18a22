"""Sentences for parts of a picture: who reads which, and that plain runs stay what they were."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pixwizard_core.canvas import plan
from pixwizard_core.conditioning import Region, concatenate
from pixwizard_core.errors import CanvasError, InstructionError, SamplingError
from pixwizard_core.generate import SampleSettings, sample
from pixwizard_core.model import sdpa
from pixwizard_core.model.regions import owners, visible
from pixwizard_core.pipeline import Request, run
from pixwizard_core.regions import RegionRequest, cells_of
from tests.support.tiny import tiny_bundle, tiny_condition, tiny_model

TIMES = torch.tensor([0.2, 0.7])
SIZE = (6, 8)  # cells; 3 x 4 tokens


def noise(seed: int = 9, rows: int = 2) -> Tensor:
    return torch.randn(rows, 4, *SIZE, generator=torch.Generator().manual_seed(seed))


def region(seed: int, mask: Tensor) -> Region:
    """Another sentence for a part of both pictures. mask: (h, w) or (2, h, w)."""
    words = tiny_condition(seed=seed)
    return Region(words.text, words.text_mask, words.pooled, mask.expand(2, *SIZE))


def half(left: bool) -> Tensor:
    mask = torch.zeros(SIZE)
    mask[:, : SIZE[1] // 2] = 1
    return mask if left else 1 - mask


def cells(*rows: str) -> Tensor:
    """Lines of digits as values in tenths; "x" is 1."""
    return torch.tensor([[1.0 if c == "x" else int(c) / 10 for c in row] for row in rows])


def test_visible_leaves_of_earlier_masks_what_later_ones_do_not_cover():
    masks = torch.tensor([[[1.0, 1.0, 0.5], [0.0, 1.0, 0.5]]])
    assert visible(masks).tolist() == [[[1.0, 0.0, 0.25], [0.0, 1.0, 0.5]]]


def test_owners_are_the_regions_of_which_a_token_shows_most():
    first = cells("xxx00000", "xxx00000")
    second = cells("00xxxx08", "00xxxx02")
    # Of the second token half shows the first and half the second region; of the fourth, a quarter.
    assert owners(torch.stack([first, second])[None], 2).tolist() == [[1, 2, 2, 2]]
    assert owners(torch.stack([second, first])[None], 2).tolist() == [[2, 2, 1, 1]]


def test_owners_leave_what_is_hardly_covered_to_the_rest():
    assert owners(cells("x1", "00")[None, None].repeat(1, 1, 1, 2), 2).tolist() == [[1, 1]]
    faint = cells("xx0900", "xx0000")  # 22.5 % of the second token
    assert owners(faint[None, None], 2).tolist() == [[1, 0, 0]]


def test_owners_give_a_tiny_region_the_token_it_covers_most():
    faint = cells("000100", "000000")
    assert owners(faint[None, None], 2).tolist() == [[0, 1, 0]]
    large = cells("xxxxxx", "xxxxxx")
    small = cells("000300", "000000")
    assert owners(torch.stack([large, small])[None], 2).tolist() == [[1, 2, 1]]


def test_owners_refuse_a_region_without_a_place():
    large, small = torch.ones(2, 4), cells("xx00", "xx00")
    with pytest.raises(SamplingError, match="region 1 has no place in the picture"):
        owners(torch.stack([small, large])[None], 2)
    with pytest.raises(SamplingError, match="region 2 has no place in the picture"):
        owners(torch.stack([small, torch.zeros(2, 4)])[None], 2)


def test_owners_give_two_small_regions_a_token_each_where_they_can():
    wide = cells("020100", "000000")  # touches the first token most, and the second
    only = cells("300000", "000000")  # touches the first alone
    assert owners(torch.stack([only, wide])[None], 2).tolist() == [[1, 2, 0]]


def test_owners_say_why_a_small_region_has_no_place():
    one, other = cells("0003", "0000"), cells("0000", "0002")
    with pytest.raises(SamplingError, match="another region has the one token that it touches"):
        owners(torch.stack([one, other])[None], 2)
    with pytest.raises(SamplingError, match="its mask is empty; give it another mask"):
        owners(torch.stack([one, other * 0])[None], 2)
    with pytest.raises(SamplingError, match="regions after it cover it; give it another mask"):
        owners(torch.stack([one, torch.ones(2, 4)])[None], 2)


def test_owners_take_a_region_that_is_empty_for_one_picture_only():
    masks = torch.stack([cells("xx00", "xx00"), torch.zeros(2, 4)])[:, None]
    assert owners(masks, 2).tolist() == [[1, 0], [0, 0]]


def test_a_region_of_the_whole_picture_equals_its_sentence_bit_for_bit():
    model, condition, other = tiny_model(), tiny_condition(), region(5, torch.ones(SIZE))
    plain = replace(condition, text=other.text, text_mask=other.text_mask, pooled=other.pooled)
    asked = replace(condition, regions=(other,))
    assert torch.equal(model(noise(), TIMES, asked), model(noise(), TIMES, plain))


def test_regions_with_the_sentence_of_the_rest_change_no_bit():
    model, condition = tiny_model(), tiny_condition()
    same = [
        Region(condition.text, condition.text_mask, condition.pooled, half(left).expand(2, *SIZE))
        for left in (True, False)
    ]
    plain = model(noise(), TIMES, condition)
    for regions in (same[:1], same):
        asked = replace(condition, regions=tuple(regions))
        assert torch.equal(model(noise(), TIMES, asked), plain)


def test_equal_sentences_of_two_regions_are_one_region():
    model, condition = tiny_model(), tiny_condition()
    apart = replace(condition, regions=(region(5, half(True)), region(5, half(False))))
    whole = replace(condition, regions=(region(5, torch.ones(SIZE)),))
    assert torch.equal(model(noise(), TIMES, apart), model(noise(), TIMES, whole))


@pytest.mark.parametrize("apart", [True, False])
def test_regions_apart_do_not_learn_of_each_other(apart):
    """Only the sentence of the right half changes; its pooled text acts everywhere and stays."""
    model, condition = tiny_model(), tiny_condition()
    left, right = region(5, half(True)), region(6, half(False))
    other = replace(right, text=right.text.flip(1), text_mask=torch.ones_like(right.text_mask))
    one, two = (
        model(noise(), TIMES, replace(condition, regions=(left, it), regions_apart=apart))
        for it in (right, other)
    )
    middle = SIZE[1] // 2
    assert torch.allclose(one[..., :middle], two[..., :middle], atol=1e-5) == apart
    assert not torch.allclose(one[..., middle:], two[..., middle:], atol=1e-2)


def test_a_region_and_the_rest_learn_of_each_other():
    model, condition = tiny_model(), tiny_condition()
    one, two = (
        model(noise(), TIMES, replace(condition, regions=(replace(it, pooled=condition.pooled),)))
        for it in (region(5, half(True)), region(6, half(True)))
    )
    assert not torch.allclose(one[..., SIZE[1] // 2 :], two[..., SIZE[1] // 2 :], atol=1e-3)


def test_regions_of_a_row_do_not_depend_on_the_batch():
    model, condition = tiny_model(), tiny_condition()
    masks = torch.stack([half(True), cells(*["xxxxxxxx"] * 2, *["00000000"] * 4)])
    asked = replace(condition, regions=(region(5, masks), region(6, 1 - masks)))
    together = model(noise(), TIMES, asked)
    for row in range(2):
        one = slice(row, row + 1)
        alone = model(noise()[one], TIMES[one], asked.rows(one))
        assert torch.allclose(together[one], alone, atol=5e-5)


def test_masks_of_attention_grow_with_the_tokens_and_not_with_their_square():
    shapes = []

    def spy(q, k, v, mask=None):
        shapes.append(None if mask is None else tuple(mask.shape))
        return sdpa(q, k, v, mask)

    model, condition = tiny_model(), tiny_condition()
    asked = replace(condition, regions=(region(5, half(True)), region(6, half(False))))
    model.velocity(noise(), TIMES, model.prepare(asked), attention=spy)
    assert {shape for shape in shapes if shape} <= {(2, 1, 1, 12), (2, 1, 1, 7)}
    assert (2, 1, 1, 12) in shapes


def test_without_regions_nothing_of_them_is_prepared():
    prepared = tiny_model().prepare(tiny_condition())
    assert prepared.regions is None
    assert all(layer.voices == () for layer in prepared.layers)


def test_redrawing_image_tokens_keeps_regions():
    model, condition = tiny_model(), replace(tiny_condition(), regions=(region(5, half(True)),))
    drawn = torch.randn(2, 2, 16, generator=torch.Generator().manual_seed(3))
    redrawn = model.prepare(condition, keep_candidates=True).redraw(drawn)
    wanted = model(noise(), TIMES, condition, gumbel=drawn)
    assert torch.allclose(model.velocity(noise(), TIMES, redrawn), wanted, atol=1e-5)


def test_the_branch_without_text_has_no_regions():
    asked = replace(tiny_condition(), regions=(region(5, half(True)),))
    assert asked.without_text(tiny_condition(seed=3)).regions == ()
    assert asked.to(dtype=torch.float64).regions[0].mask.dtype == torch.float64


def test_conditions_with_regions_cannot_be_joined():
    asked = replace(tiny_condition(), regions=(region(5, half(True)),))
    with pytest.raises(ValueError, match="regions cannot share a batch"):
        concatenate([asked, tiny_condition()])
    ragged = replace(asked, image_latent=list(asked.image_latent))
    with pytest.raises(ValueError, match="regions need latents of one size"):
        tiny_model().prepare(ragged)


@pytest.mark.parametrize("w_image", [1.0, 1.5])
def test_guided_runs_with_a_whole_region_equal_plain_ones(w_image):
    model, empty, other = tiny_model(), tiny_condition(seed=8), region(5, torch.ones(SIZE))
    condition = tiny_condition()
    plain = replace(condition, text=other.text, text_mask=other.text_mask, pooled=other.pooled)
    settings = SampleSettings(steps=2, w_text=2.0, w_image=w_image)
    one, two = (
        sample(model, it, empty, noise(), settings, seeds=[1, 2])
        for it in (replace(condition, regions=(other,)), plain)
    )
    assert torch.equal(one, two)


def test_cells_say_how_much_a_mask_covers():
    mask = torch.zeros(1, 32, 64, dtype=torch.bool)
    mask[..., :32] = True
    columns = cells_of(mask, 4, 8)[0].T
    assert columns[:3].min() == pytest.approx(1)
    assert columns[5:].max() == 0
    assert torch.allclose(columns[3] + columns[4], torch.ones(4))
    assert columns[3].min() > 0.8
    assert cells_of(torch.ones(1, 30, 50), 4, 6).min() == pytest.approx(1)


def test_thin_masks_of_large_pictures_keep_their_cover():
    """A line of 2 px on a picture shrunk to a quarter; binary shrinking would lose it."""
    mask = torch.zeros(1, 512, 512)
    mask[:, 200:202] = 1
    canvas = plan(512, 512, (128,))
    assert not bool(canvas.fit_mask(mask).any())
    assert float(canvas.fit_cover(mask).sum()) == pytest.approx(2 * 512 / 16, rel=0.05)


@pytest.fixture(scope="module")
def bundle():
    return tiny_bundle()


def picture(count: int = 1) -> Tensor:
    return torch.rand(count, 3, 60, 100, generator=torch.Generator().manual_seed(0))


def asked(mask: Tensor, words="make it red") -> RegionRequest:
    return RegionRequest(mask, words)


def test_run_takes_regions_of_any_size_and_says_what_it_did(bundle):
    left = torch.zeros(60, 100)
    left[:, :50] = 1
    plain = run(bundle, Request(picture(), "make it blue"))
    assert plain.notes == ()
    result = run(bundle, Request(picture(), "make it blue", regions=[asked(left)]))
    assert result.notes == ()
    assert not torch.equal(result.image_01, plain.image_01)
    small = run(bundle, Request(picture(), "make it blue", regions=[asked(left[::2, ::2] > 0)]))
    assert small.notes == (
        "the mask of region 1 is 50 x 30 px and was resized to the picture's 100 x 60 px",
    )
    assert torch.allclose(small.image_01, result.image_01, atol=1e-4)


def test_run_with_a_region_of_everything_equals_the_sentence(bundle):
    whole = run(bundle, Request(picture(2), "no", regions=[asked(torch.ones(2, 60, 100))]))
    assert torch.equal(whole.image_01, run(bundle, Request(picture(2), "make it red")).image_01)
    assert whole.notes == (
        "the regions cover the whole picture, so the instruction has no effect",
    )


def test_run_says_for_which_pictures_a_mask_is_empty(bundle):
    masks = torch.zeros(2, 60, 100)
    masks[0, :30] = 1
    result = run(bundle, Request(picture(2), "a", regions=[asked(masks, ["b", "c"])]))
    assert result.notes == (
        "the mask of region 1 is empty for picture 2: its sentence does nothing there",
    )


def test_run_says_that_a_mask_of_another_shape_is_stretched(bundle):
    square = torch.ones(60, 60)
    square[:, 30:] = 0
    assert run(bundle, Request(picture(), "a", regions=[asked(square)])).notes == (
        "the mask of region 1 is 60 x 60 px, of another shape than the picture, and was stretched "
        "to the picture's 100 x 60 px",
    )


def test_run_says_what_a_crop_cuts_off(bundle):
    wide, edge = torch.rand(2, 3, 60, 300), torch.zeros(2, 60, 300)
    edge[:, :, :3] = 1
    cropped = Request(wide, "a", fit="crop", centre=64, regions=[asked(edge)])
    with pytest.raises(CanvasError, match="region 1 lies in the margins that fit = crop cuts off"):
        run(bundle, cropped)
    edge[0, :, 140:160] = 1
    assert run(bundle, cropped).notes == (
        "the mask of region 1 lies in the margins that fit = crop cuts off for picture 2: its "
        "sentence does nothing there",
    )


def test_run_says_in_which_picture_others_have_the_place_of_a_region(bundle):
    under, over = torch.ones(2, 60, 100), torch.zeros(2, 60, 100)
    over[1], over[0, :20] = 1, 1
    result = run(bundle, Request(picture(2), "a", regions=[asked(under), asked(over, "b")]))
    assert result.notes[0] == (
        "other regions have all that region 1 touches in picture 2: its sentence does nothing there"
    )


def test_run_gives_notes_on_how_a_mask_was_read(bundle):
    left = torch.zeros(60, 100)
    left[:, :50] = 1
    request = Request(picture(), "a", regions=[RegionRequest(left, "b", ("by alpha",))])
    assert run(bundle, request).notes == ("by alpha",)


def test_run_refuses_regions_that_cannot_be(bundle):
    full = torch.ones(60, 100)
    faint = torch.stack([full, full / 255])
    for regions, error, match in (
        ([asked(full), asked(full * 0)], CanvasError, "the mask of region 2 is empty"),
        ([asked(full), asked(full)], SamplingError, "region 1 has no place in the picture"),
        ([asked(full)] * 17, CanvasError, "17 regions are too many; give at most 16"),
        ([asked(full.expand(3, 60, 100))], CanvasError, "3 masks for 2 pictures"),
        ([asked(full, ["a"] * 3)], CanvasError, "region 1 has 3 instructions for 2 pictures"),
        ([asked(full / 0)], CanvasError, "not finite"),
        ([asked(full / 255)], CanvasError, "almost nothing: its brightest value is 0.00392 of 1"),
        ([asked(faint)], CanvasError, "write white as 255 in files and 8-bit arrays, as 1.0 in"),
        ([asked(full, ["a", " "])], InstructionError, "region 1 has an empty instruction"),
    ):
        with pytest.raises(error, match=match):
            run(bundle, Request(picture(2), "a", regions=regions))


def test_a_picture_of_few_tokens_takes_regions(bundle):
    """16 px of a source may be less than a token; every region still gets one."""
    image, mask = torch.rand(1, 3, 5, 9), torch.zeros(5, 9)
    mask[2, 4] = 1
    result = run(bundle, Request(image, "a", regions=[asked(mask, "b")], centre=32))
    assert result.image_01.shape == (1, 3, 5, 9)
    assert result.notes == ()
