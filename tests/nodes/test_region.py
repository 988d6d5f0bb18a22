"""The node that gives a part of the picture its own sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.nodes.test_data_nodes import called, image

HEIGHT, WIDTH = 64, 96  # px of the fitted picture


class Clip:
    """Encodes a text as its length. times: how many conditionings it gives for one text."""

    def __init__(self, taught=None, times: int = 1) -> None:
        self.cond_stage_model, self.times = SimpleNamespace(taught=taught), times
        self.asked: list[str] = []

    def tokenize(self, text: str) -> str:
        self.asked.append(text)
        return text

    def encode_from_tokens_scheduled(self, text: str) -> list:
        values = {"pooled_output": torch.zeros(1, 3), "attention_mask": torch.ones(1, 8)}
        return [[torch.full((1, 8, 4), float(len(text))), values] for _ in range(self.times)]


def encoded(count: int = 1) -> list:
    """What Encode gives as full."""
    picture = torch.zeros(count, 4, HEIGHT // 8, WIDTH // 8)
    return [[torch.zeros(1, 8, 4), {"pixwizard_image_latent": picture, "kept": 1}]]


def left(count: int = 1, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    mask = torch.zeros(count, height, width)
    mask[..., : width // 2] = 1
    return mask


def region(nodes, conditioning=None, mask=None, **changes):
    given = {
        "conditioning": encoded() if conditioning is None else conditioning, "clip": Clip(),
        "mask": left() if mask is None else mask, "instruction": "make it red",
    }  # fmt: skip
    return called(nodes["Region"], **{**given, **changes})


def said(result) -> list[str]:
    return [note["say"] for note in result.ui["pixwizard_notes"]]


def test_regions_are_added_in_their_order(nodes):
    before = encoded()
    first = region(nodes, before)
    second = region(nodes, first.args[0], 1 - left(), instruction="red", apart=False)
    assert "pixwizard_regions" not in before[0][1]
    [[text, values]] = second.args[0]
    assert torch.equal(text, before[0][0])
    assert values["kept"] == 1
    assert values["pixwizard_regions_apart"] is False
    one, two = values["pixwizard_regions"]
    assert (float(one.text.max()), float(two.text.max())) == (11, 3)
    assert torch.equal(one.mask, left())
    assert torch.equal(two.mask, 1 - left())
    assert one.attention_mask.shape == (1, 8)
    assert said(first) == []
    assert said(second) == ["regions_cover"]


def test_canvas_fits_a_mask_of_the_source(nodes):
    source = image(300, 100)
    fitted, _, canvas, *_ = called(nodes["FitToCanvas"], image=source, centre=80, fit="pad").args
    whole = [[torch.zeros(1, 8, 4), {
        "pixwizard_image_latent": torch.zeros(1, 4, fitted.shape[1] // 8, fitted.shape[2] // 8)
    }]]  # fmt: skip
    result = region(nodes, whole, left(1, 100, 300), canvas=canvas)
    mask = result.args[0][0][1]["pixwizard_regions"][0].mask
    assert mask.shape == fitted.shape[:3]
    assert 0 < float(mask.mean()) < 0.5  # nothing in the padding
    assert said(result) == []


def test_masks_of_other_sizes_are_fitted_and_said(nodes):
    assert said(region(nodes, mask=left(height=640, width=960))) == ["region_resized"]
    square = region(nodes, mask=left(height=64, width=64))
    assert said(square) == ["region_shape"]
    assert square.ui["pixwizard_notes"][0]["warns"]
    some = torch.cat([left(), torch.zeros(1, HEIGHT, WIDTH)])
    result = region(nodes, encoded(2), some)
    assert said(result) == ["region_empty"]
    assert result.ui["pixwizard_notes"][0]["numbers"] == "2"


def cropped(nodes, count: int = 1):
    """A canvas that cuts the sides off a wide picture, and what Encode gives of it."""
    given = image(300, 64).expand(count, -1, -1, -1)
    fitted, _, canvas, *_ = called(nodes["FitToCanvas"], image=given, centre=64, fit="crop").args
    latent = torch.zeros(count, 4, fitted.shape[1] // 8, fitted.shape[2] // 8)
    return canvas, [[torch.zeros(1, 8, 4), {"pixwizard_image_latent": latent}]]


def test_masks_of_another_size_than_the_source_are_said_with_canvas(nodes):
    canvas, whole = cropped(nodes)
    assert said(region(nodes, whole, left(1, 64, 300), canvas=canvas)) == []
    assert said(region(nodes, whole, left(1, 128, 600), canvas=canvas)) == ["region_resized"]
    result = region(nodes, whole, left(1, 64, 64), canvas=canvas)
    assert said(result) == ["region_stretched"]
    [note] = result.ui["pixwizard_notes"]
    assert (note["mask"], note["size"], note["warns"]) == ("64 × 64", "300 × 64", True)


def test_masks_that_a_crop_empties_for_a_picture_are_said(nodes):
    canvas, whole = cropped(nodes, 2)
    masks = left(2, 64, 300)
    masks[1, :, 3:] = 0
    result = region(nodes, whole, masks, canvas=canvas)
    assert said(result) == ["region_empty"]
    assert result.ui["pixwizard_notes"][0]["numbers"] == "2"


def test_faint_masks_and_empty_instructions_are_said(nodes):
    result = region(nodes, mask=left() / 255, instruction=" ")
    assert said(result) == ["region_faint", "region_silent"]
    assert result.ui["pixwizard_notes"][0]["brightest"] == "0.00392"


def test_regions_that_lose_their_place_in_a_picture_are_said(nodes):
    under = region(nodes, encoded(2), left(2)).args[0]
    over = torch.stack([torch.ones(HEIGHT, WIDTH), 1 - left()[0]])
    result = region(nodes, under, over, instruction="b")
    assert "region_lost" in said(result)
    note = result.ui["pixwizard_notes"][said(result).index("region_lost")]
    assert (note["number"], note["numbers"]) == (1, "1")


def test_the_sentence_is_worded_for_the_model(nodes, extension):
    asked = extension("nodes.conditions.asked").asked
    taught = extension("pixwizard_core.taught").UNKNOWN
    sentence = asked("Any words", "recolour", {"target": "the ball", "colour": "red"})
    clip = Clip(taught)
    result = region(nodes, clip=clip, instruction=sentence)
    assert clip.asked == [sentence.to(taught)]
    assert result.ui["pixwizard_asked"][0]["task"] == "recolour"


def test_regions_that_cannot_be_are_refused(nodes, extension):
    errors = extension("pixwizard_core.errors")
    with pytest.raises(errors.CanvasError, match="the mask of region 1 is empty"):
        region(nodes, mask=left() * 0)
    under = region(nodes).args[0]
    with pytest.raises(errors.SamplingError, match="region 1 has no place in the picture"):
        region(nodes, under, torch.ones(1, HEIGHT, WIDTH))
    with pytest.raises(errors.CanvasError, match="3 masks for 2 pictures"):
        region(nodes, encoded(2), left(3))
    with pytest.raises(errors.EncoderError, match="gives 2 conditionings for different times"):
        region(nodes, clip=Clip(times=2))
    [[text, values]] = under
    many = [[text, {**values, "pixwizard_regions": values["pixwizard_regions"] * 16}]]
    with pytest.raises(errors.CanvasError, match="17 regions are too many; give at most 16"):
        region(nodes, many)
    canvas = called(nodes["FitToCanvas"], image=image(300, 64), centre=64, fit="crop").args[2]
    edge = torch.zeros(1, 64, 300)
    edge[..., :3] = 1
    with pytest.raises(errors.CanvasError, match="lies in the margins that fit = crop cuts off"):
        region(nodes, mask=edge, canvas=canvas)


def test_a_condition_without_a_picture_takes_regions_of_any_size(nodes):
    result = region(nodes, [[torch.zeros(1, 8, 4), {}]], left(1, 7, 9))
    assert said(result) == []
    assert len(result.args[0][0][1]["pixwizard_regions"]) == 1
