"""What nodes give the page to draw: pictures it can fetch, and numbers that survive the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.nodes.test_data_nodes import called, image, outlined, some_mask


@pytest.fixture
def views(extension):
    return extension("nodes.shared.views")


@pytest.fixture
def opened(models):
    """A view's file as an array (H, W, C)."""

    def read(entry: dict) -> np.ndarray:
        assert entry["type"] == "temp"
        return np.array(Image.open(models / "temp" / entry["subfolder"] / entry["filename"]))

    return read


def read_out(entry: dict, pixels: np.ndarray) -> np.ndarray:
    """The numbers as the page reads them."""
    levels = pixels[..., 0].astype(int) * 256 + pixels[..., 1]
    return entry["low"] + (entry["high"] - entry["low"]) * levels / 65535


def test_metres_can_be_read_from_the_picture(nodes, opened):
    depth = image(40, 30)[..., :1].expand(-1, -1, -1, 3)
    result = called(nodes["DepthToMetres"], depth=depth, near_m=1.0, far_m=9.0)
    (entry,) = result.ui["pixwizard_view"]
    assert (entry["width"], entry["height"], entry["unit"]) == (40, 30, "m")
    told = read_out(entry, opened(entry["values"]))
    assert np.abs(told - result.args[0][0, ..., 0].numpy()).max() < 8 / 65535
    assert opened(entry["picture"]).shape == (30, 40, 3)


def test_flat_depth_has_a_value_as_well(nodes, opened):
    painted = torch.full((1, 4, 6, 3), 0.25)
    result = called(nodes["DecodeDepth"], image=painted, near_m=2.0, far_m=8.0)
    (entry,) = result.ui["pixwizard_view"]
    assert (entry["unit"], entry["limits"]) == ("m", [2.0, 8.0])
    assert np.allclose(read_out(entry, opened(entry["values"])), 6.5)


def test_merged_depth_can_be_read_with_its_spread(nodes, opened):
    runs = torch.stack([torch.full((4, 6, 3), level) for level in (0.25, 0.5)])
    result = called(nodes["MergeDepths"], depths=runs, runs=2, align=False)
    (entry,) = result.ui["pixwizard_view"]
    pixels = opened(entry["values"])
    assert np.allclose(read_out(entry, pixels), 0.375, atol=1e-4)
    assert np.isclose(entry["spread"], float(result.args[1][0, 0, 0, 0]), atol=1e-6)
    assert (pixels[..., 2] == 255).all()  # everywhere as uncertain as anywhere


@pytest.mark.parametrize(
    ("red", "green", "signs"), [("right", "up", [1, 1]), ("left", "down", [-1, -1])]
)
def test_a_direction_is_read_as_it_was_painted(nodes, opened, red, green, signs):
    # 30 degrees to the right: x = sin 30°, z = cos 30°; level with the viewer.
    facing = (torch.tensor([0.5, 0.0, 0.75**0.5]) + 1) / 2
    painted = facing.expand(1, 4, 6, 3)
    result = called(nodes["DecodeNormals"], image=painted, green=green, red=red)
    (entry,) = result.ui["pixwizard_view"]
    assert (entry["kind"], entry["signs"]) == ("directions", signs)
    x, y, z = (opened(entry["values"])[0, 0] / 255 * 2 - 1) * [*signs, 1]
    assert np.allclose([x, y, z], [0.5, 0.0, 0.866], atol=0.01)


def test_lines_are_laid_on_their_drawing_and_measured(nodes, opened):
    drawn = torch.zeros(1, 8, 10, 3)
    drawn[:, 3, :, :] = 1.0  # one row of eight
    result = called(nodes["DecodeEdges"], image=drawn, lines="light", threshold=0.5, thin=False)
    (entry,) = result.ui["pixwizard_view"]
    assert entry["kind"] == "overlay"
    assert (opened(entry["cover"])[..., 3] > 0).sum() == 10
    assert result.ui["pixwizard_lines"] == [{"area_percent": 12.5}]


def test_a_class_is_named_where_it_is(nodes, opened):
    names = ["wall", "floor"]
    left, right = torch.tensor([[90, 90, 90], [210, 60, 200]]) / 255
    answer = torch.cat([left.expand(1, 4, 3, 3), right.expand(1, 4, 3, 3)], dim=2)
    result = called(nodes["DecodeSegmentation"], image=answer, palette="PixWizard Tiny world")
    (entry,) = result.ui["pixwizard_view"]
    labels = opened(entry["values"])[..., 1]
    told = {entry["names"][str(labels[0, x])] for x in (0, 5)}
    assert told == set(names)
    assert entry["names"][str(labels[0, 0])] == names[0]


def test_mask_covers_its_picture(nodes, opened):
    source = image(20, 10, seed=4)
    answer = torch.zeros(1, 10, 20, 3)
    answer[:, 2:5, 3:9] = 1
    result = called(nodes["DecodeMask"], image=answer, source=source)
    (entry,) = result.ui["pixwizard_view"]
    alpha = opened(entry["cover"])[..., 3]
    assert np.array_equal(alpha, 255 * result.args[0][0].numpy())
    assert opened(entry["cover"])[2, 3].tolist() == [255, 255, 255, 255]  # the rim is white
    assert opened(entry["cover"])[3, 4].tolist() == [255, 0, 0, 255]
    shown = opened(entry["picture"])
    assert np.abs(shown - 255 * source[0].numpy()).max() <= 0.5 + 1e-3


def test_boxes_are_told_with_their_picture(nodes):
    source, answer = outlined()
    result = called(nodes["DecodeBoxes"], image=answer, source=source, label="ball", colour="red")
    (entry,) = result.ui["pixwizard_view"]
    assert entry["bboxes"] == [[20, 30, 70, 80]]
    assert (entry["width"], entry["height"], entry["rgb"]) == (128, 96, [255, 0, 0])


def test_composite_shows_before_and_after(nodes, opened):
    source, result = image(20, 12), image(20, 12, batch=2, seed=2)
    shown = called(nodes["Composite"], source=source, result=result, mask=some_mask(20, 12))
    first, second = shown.ui["pixwizard_view"]
    assert first["names"] == ["source", "result"]
    assert first["picture"] == second["picture"] != first["cover"] != second["cover"]
    after = opened(second["cover"])
    assert np.abs(after - 255 * shown.args[0][1].numpy()).max() <= 0.5 + 1e-3


def test_compared_pictures_are_shown_side_by_side(nodes):
    found = called(nodes["Compare"], prediction=image(8, 6), truth=image(8, 6, seed=2))
    assert found.ui["pixwizard_view"][0]["names"] == ["prediction", "truth"]
    masks = called(
        nodes["Compare"], kind="mask", prediction_mask=some_mask(8, 6), truth_mask=some_mask(8, 6)
    )
    entry = masks.ui["pixwizard_view"][0]
    assert entry["picture"] == entry["cover"]  # equal masks are one file


def test_pictures_are_small_and_few(views, opened):
    large = torch.rand(1, 3, 40, 3000).expand(views.MOST_PICTURES + 3, -1, -1, -1)
    shown = views.measured(large, large[:, 0], "m")[views.KEY]
    assert len(shown) == views.MOST_PICTURES
    assert opened(shown[0]["picture"]).shape == (14, views.LARGEST_PX, 3)
    assert (shown[0]["width"], shown[0]["height"]) == (3000, 40)


def test_odd_pictures_are_shown(views, opened):
    wild = torch.tensor([float("nan"), -3.0, 9.0, 0.5]).view(1, 1, 1, 4).expand(1, 4, 2, 4)
    (entry,) = views.pair(wild, wild, ("a", "b"))[views.KEY]
    assert opened(entry["picture"])[0, :, 0].tolist() == [0, 0, 255, 128]


def test_no_place_to_write_is_no_error(views, monkeypatch, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(views.folder_paths, "get_temp_directory", lambda: str(blocked))
    assert views.overlay(torch.rand(1, 3, 4, 4), torch.ones(1, 4, 4)) == {views.KEY: []}
    assert "shows no picture" in caplog.text
    assert not Path(tmp_path / "file" / views.FOLDER).exists()


def test_full_disk_leaves_no_half_picture_to_be_shown_later(
    views, extension, models, opened, monkeypatch
):
    """A picture is named by its content, so a half one would be taken for it ever after."""
    picture = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(77))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = set((models / "temp").rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(extension("pixwizard_core.whole_file").os, "fsync", full)
        assert views.pair(picture, picture, ("a", "b")) == {views.KEY: []}
    assert {path for path in (models / "temp").rglob("*") if path.is_file()} <= before
    (entry,) = views.pair(picture, picture, ("a", "b"))[views.KEY]
    assert opened(entry["picture"]).shape == (5, 7, 3)
