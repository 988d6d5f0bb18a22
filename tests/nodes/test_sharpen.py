"""The node that lets answers follow the edges of a large source."""

from __future__ import annotations

import pytest
import torch

from tests.nodes.test_data_nodes import called

SIDE, SMALL = 256, 64


def disc(side: int) -> torch.Tensor:
    place = (torch.arange(side) + 0.5) / side - 0.5
    return place.square()[:, None] + place.square() < 0.09


@pytest.fixture
def source() -> torch.Tensor:
    """A host IMAGE: a red disc on a grey wall."""
    red, wall = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.6, 0.6, 0.6])
    return torch.where(disc(SIDE)[..., None], red, wall)[None]


@pytest.fixture
def answer() -> torch.Tensor:
    return disc(SMALL).float()[None, ..., None].expand(-1, -1, -1, 3)


@pytest.fixture
def fitted(nodes, source):
    return called(nodes["FitToCanvas"], image=source, centre=SMALL).args[2]


@pytest.fixture
def asked(extension):
    return extension("nodes.shared.question").question


def said(result) -> list[str]:
    return [note["say"] for note in result.ui["pixwizard_notes"]]


def wrong(nodes, image, about, **further) -> int:
    mask = called(nodes["DecodeMask"], image=image, about=about, **further).args[0][0]
    return int(((mask > 0.5) != disc(SIDE)).sum())


def test_sharpened_answer_has_the_outline_of_the_source(nodes, source, answer, fitted, asked):
    about = asked("mask", {"target": "the red disc"})
    sharp = called(nodes["SharpenAnswer"], image=answer, source=source, canvas=fitted, about=about)
    assert sharp.args[0].shape == (1, SIDE, SIDE, 3)
    assert said(sharp) == []
    plain = wrong(nodes, answer, about, canvas=fitted)
    assert wrong(nodes, sharp.args[0], about) < 20 < plain


def test_other_answers_are_restored_and_it_is_said(nodes, source, answer, fitted, asked):
    given = {"image": answer, "source": source, "canvas": fitted}
    result = called(nodes["SharpenAnswer"], **given, about=asked("canny", {}))
    assert said(result) == ["sharp_kind"]
    assert torch.equal(result.args[0], fitted.restore_image(answer.movedim(-1, 1)).movedim(1, -1))


def test_a_source_that_is_no_larger_is_said(nodes, answer, asked):
    canvas = called(nodes["FitToCanvas"], image=answer, centre=SMALL).args[2]
    given = {"image": answer, "source": answer, "canvas": canvas}
    result = called(nodes["SharpenAnswer"], **given, about=asked("depth", {}))
    assert said(result) == ["sharp_small"]
    assert torch.equal(result.args[0], answer)


def test_what_cannot_be_sharpened_is_refused(nodes, extension, source, answer, fitted, asked):
    error = extension("pixwizard_core.errors").DecodeError
    given = {"image": answer, "source": source, "canvas": fitted}
    with pytest.raises(error, match="what your own words ask for is unknown"):
        called(nodes["SharpenAnswer"], **given, about=asked("custom", {"caption": "night"}))
    with pytest.raises(error, match="the source is 64 x 64 px, but its canvas was made for 256"):
        called(nodes["SharpenAnswer"], **{**given, "source": answer}, about=asked("depth", {}))
