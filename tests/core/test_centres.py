"""The size a picture is worked at when nobody says one: the trained area nearest to its own."""

import argparse

import pytest
import torch

from pixwizard_core.canvas import (
    CENTRES,
    ByArea,
    Size,
    auto_centre,
    blank_centre,
    centres_for,
    plan,
)
from pixwizard_core.cli.settings import centre_argument
from pixwizard_core.errors import CanvasError
from pixwizard_core.fleet.items import Item
from pixwizard_core.fleet.job import Job, ModelFiles
from pixwizard_core.fleet.plan import canvas_of
from pixwizard_core.inpaint.surroundings import canvas_around
from tests.support.paths import ROOT

# Source -> centre and model size. By hand: the nearest of 512², 768² and 1024²; then the grid of
# 16-px cells with the closest aspect ratio, such as 73 x 55 cells for 4:3 and 39 x 26 for 3:2.
TABLE = {
    (4000, 3000): (1024, (1168, 880)),
    (1024, 1024): (1024, (1024, 1024)),
    (1920, 1080): (1024, (1360, 768)),
    (300, 200): (512, (624, 416)),
    (5000, 400): (1024, (2048, 512)),  # 12.5:1 is squeezed to 4:1
    (800, 600): (768, (880, 656)),
}


@pytest.mark.parametrize("source", TABLE)
def test_auto_takes_the_trained_area_nearest_to_the_sources(source):
    centre, model = TABLE[source]
    chosen = plan(*source, centres_for(None, CENTRES))
    assert (auto_centre(*source), chosen.centre, chosen.model) == (centre, centre, model)


def test_auto_changes_half_way_between_two_areas():
    assert [auto_centre(side, side) for side in (652, 653, 905, 906)] == [512, 768, 768, 1024]
    assert auto_centre(832, 512) == 768  # exactly between: the larger


def test_auto_never_goes_above_1024_unless_nothing_else_was_trained():
    assert auto_centre(8000, 8000, (512, 1024, 2048)) == 1024
    assert auto_centre(8000, 8000, (1536, 2048)) == 1536
    assert auto_centre(8000, 8000, (128,)) == 128


def test_auto_needs_a_centre():
    with pytest.raises(CanvasError, match="no centre given"):
        auto_centre(64, 64, ())


def test_without_a_source_the_centre_is_768_or_the_nearest_trained_one():
    assert [blank_centre(), blank_centre((128,)), blank_centre((512, 1024))] == [768, 128, 512]


def test_a_number_overrides_auto():
    assert centres_for(640, CENTRES) == (640,)
    assert plan(4000, 3000, centres_for(512, CENTRES)).centre == 512


def test_a_plain_list_is_still_searched_for_the_closest_aspect_ratio():
    """As the reference does with several centres: 768 has a size nearer to 4:3 than 1024."""
    assert plan(4000, 3000, CENTRES).centre != plan(4000, 3000, ByArea((1024,))).centre


def test_a_crop_is_judged_by_its_own_area():
    selected = torch.zeros(1, 3000, 4000, dtype=torch.bool)
    selected[:, 1000:1200, 1000:1300] = True
    assert canvas_around(selected, 0.0, centres_for(None)).centre == 512


def test_batch_works_at_the_same_size():
    item = Item("x", "x.png", "depth", "What is near?", size=Size(1920, 1080))
    released = ModelFiles(released=(str(ROOT / "tests" / "golden" / "checkpoint"), "g", "c", "v"))
    assert canvas_of(item, Job("out", released)).model == (1360, 768)
    assert canvas_of(item, Job("out", released, centre=512)).centre == 512
    assert canvas_of(item, Job("out")).centre == 128


def test_centre_option_is_auto_or_a_whole_number_of_cells():
    assert [centre_argument(text) for text in ("auto", "768")] == [None, 768]
    for text in ("0", "100", "big", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="auto, or a multiple of 16"):
            centre_argument(text)


def test_the_table_in_the_docs_is_this_one():
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for (width, height), (centre, model) in TABLE.items():
        assert f"| {width} × {height} | {centre} | {model[0]} × {model[1]} |" in text
    assert "| none (text to image) | 768 | 768 × 768 |" in text
