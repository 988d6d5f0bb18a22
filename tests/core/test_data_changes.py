"""Edits of photographs whose answers are computed: each words does what it says."""

import pytest
import torch

from pixwizard_core.data.build import build
from pixwizard_core.data.build_photo import BuildOrder
from pixwizard_core.data.changes import EDITS, LOOKS, recoloured
from pixwizard_core.data.photos import find_photos
from pixwizard_core.files.left_out import LeftOut
from pixwizard_core.files.picture_files import open_picture, save_picture
from tests.support.photo_sets import textured

IMAGE = textured(48, 64)[None]
IMAGE[..., 20:28, 30:34] = 1.0  # with a sharp edge
CHANGES = dict(EDITS)


@pytest.mark.parametrize(("words", "change"), [*EDITS, *LOOKS])
def test_change_gives_another_picture_of_the_same_size(words, change):
    answer = change(IMAGE)
    assert answer.shape == IMAGE.shape
    assert 0 <= float(answer.min()) <= float(answer.max()) <= 1
    assert float((answer - IMAGE).abs().max()) > 0.02
    assert words == words.strip(".").strip()


def test_words_of_edits_say_what_is_done():
    mean, spread = float(IMAGE.mean()), float(IMAGE.std())
    assert torch.equal(
        CHANGES["mirror the picture from left to right"](IMAGE)[..., 0], IMAGE[..., 63]
    )
    assert torch.equal(
        CHANGES["turn the picture by 180 degrees"](IMAGE)[0, :, 0, 0], IMAGE[0, :, 47, 63]
    )
    assert float(CHANGES["make it brighter"](IMAGE).mean()) > mean
    assert float(CHANGES["make it darker"](IMAGE).mean()) < mean
    assert float(CHANGES["raise the contrast"](IMAGE).std()) > spread
    assert float(CHANGES["lower the contrast"](IMAGE).std()) == pytest.approx(spread / 2)
    warm, cool = (CHANGES[f"make the light {how}"](IMAGE) for how in ("warmer", "cooler"))
    assert float((warm - cool)[:, 0].mean()) > 0 > float((warm - cool)[:, 2].mean())
    framed = CHANGES["put a white frame around it"](IMAGE)
    assert float(framed[..., :3, :].min()) == 1.0
    assert torch.equal(framed[..., 3:45, 3:61], IMAGE[..., 3:45, 3:61])


def test_recoloured_object_keeps_its_shade_and_its_surroundings():
    image = torch.full((1, 3, 8, 8), 0.2)
    image[..., 4:] = 0.8
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 2:6] = True
    answer = recoloured(image, mask, torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.equal(answer[..., :2, :], image[..., :2, :])
    assert answer[0, :, 3, 6].tolist() == [0.0, 1.0, 0.0]  # the brightest place
    assert answer[0, 1, 3, 1].item() == pytest.approx(0.2 + 0.8 * 0.25)  # 0.2 of 0.8
    assert answer[0, [0, 2], 3, 1].tolist() == [0.0, 0.0]


def test_built_edits_are_asked_for_by_what_was_done(tmp_path):
    for number in range(6):
        (tmp_path / "photos").mkdir(exist_ok=True)
        save_picture(tmp_path / "photos" / f"{number}.png", textured(48, 64, number))
    photos = find_photos(tmp_path / "photos", LeftOut())
    order = BuildOrder(("edit", "style"), least=16, side=0)
    result = build(photos, order, tmp_path / "out")
    assert len(result.records) == 12
    for record in result.records:
        image = open_picture(tmp_path / "out" / record["files"]["input"])
        shown = open_picture(tmp_path / "out" / record["files"]["target"])
        told = record["instruction"][0]
        fitting = [change for words, change in (*EDITS, *LOOKS) if words.lower() in told.lower()]
        assert fitting, told
        assert any(float((one(image) - shown).abs().max()) < 0.005 for one in fitting), told
        assert len(record["instruction"]) in (2, 3)  # one wording is the trained form
    assert len({record["instruction"][0] for record in result.records}) > 5


def test_edit_that_changes_nothing_gives_no_pair(tmp_path, monkeypatch):
    from pixwizard_core.data import recipes

    (tmp_path / "photos").mkdir()
    save_picture(tmp_path / "photos" / "a.png", torch.full((3, 32, 32), 0.5))
    photos = find_photos(tmp_path / "photos", LeftOut())
    monkeypatch.setitem(recipes.RECIPES, "edit", recipes._changed(EDITS[:2]))  # mirror, turn
    left = LeftOut()
    order = BuildOrder(("edit", "denoise"), least=16, side=0)
    result = build(photos, order, tmp_path / "out", left_out=left)
    assert {record["task"] for record in result.records} == {"denoise"}
    assert [reason for _, reason in left.files] == ["edit changes nothing in it"]
