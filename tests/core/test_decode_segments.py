"""Palettes and class maps."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from pixwizard_core.decode.palette import BUNDLED, Palette, ade20k, bundled_palette, read_palette
from pixwizard_core.decode.segments import (
    CHUNK_PX,
    class_mask,
    decode_segments,
    drop_speckles,
    find_classes,
    legend,
    paint,
)
from pixwizard_core.errors import DecodeError
from tests.support.paths import ROOT

SMALL = Palette.from_mapping(
    "small", {"sky": [0, 0, 250], "grass": "#00c800", "skyline": (0, 0, 50)}
)


def test_ade20k_has_150_classes_behind_the_background():
    palette = ade20k()
    assert len(palette) == 151
    assert palette.names[0] == "background"
    assert palette.colours[0] == (0, 0, 0)
    assert (palette.names[3], palette.colours[3]) == ("sky", (6, 230, 230))
    assert (palette.names[150], palette.colours[150]) == ("flag", (92, 0, 255))


@pytest.mark.parametrize("title", BUNDLED)
def test_bundled_palette_has_the_title_it_is_chosen_by(title):
    assert bundled_palette(title).title == title


def test_bundled_palette_refuses_another_name():
    with pytest.raises(DecodeError, match=r"no palette 'COCO'; choose one of: ADE20K"):
        bundled_palette("COCO")


def test_ade20k_road_and_skyscraper_share_their_colour_and_it_is_said():
    palette = ade20k()
    shared = {palette.label(i) for i in range(151) if len(palette.same_colour(i)) > 1}
    assert shared == {"road or skyscraper"}
    assert palette.shown_as(palette.names.index("skyscraper")) == palette.names.index("road")


def test_every_ade20k_colour_is_read_back():
    palette = ade20k()
    labels = torch.arange(151).view(1, 1, 151)
    found = decode_segments(paint(labels, palette), palette)
    assert found.labels.flatten().tolist() == [palette.shown_as(i) for i in range(151)]
    assert not found.distance.any()


def test_nearest_colour_by_hand():
    image = torch.tensor([[10, 0, 240], [0, 150, 20], [0, 0, 30], [0, 0, 20]]) / 255
    found = decode_segments(image.T.view(1, 3, 2, 2), SMALL)
    assert found.labels.tolist() == [[[1, 2], [3, 0]]]
    assert found.labels.dtype == torch.long
    wanted = torch.tensor([200.0, 2900.0, 400.0, 400.0]).sqrt()
    torch.testing.assert_close(found.distance.flatten(), wanted)


def test_far_colours_become_background():
    image = torch.tensor([[0, 0, 250], [255, 255, 255]]).T.view(1, 3, 1, 2) / 255
    assert decode_segments(image, SMALL).labels.flatten().tolist() == [1, 1]
    assert decode_segments(image, SMALL, max_distance=100).labels.flatten().tolist() == [1, 0]


def test_pieces_agree_with_the_plain_formula():
    palette = ade20k()
    image = torch.rand(2, 3, 97, 120, generator=torch.Generator().manual_seed(0))
    assert image[0, 0].numel() > CHUNK_PX
    found = decode_segments(image, palette)
    colours = torch.tensor(palette.colours, dtype=torch.float64)
    points = (image * 255).round().double().movedim(1, -1)
    squares = (points[..., None, :] - colours).square().sum(-1)
    assert torch.equal(found.labels, squares.argmin(-1))
    torch.testing.assert_close(found.distance.double(), squares.amin(-1).sqrt())


def test_legend_is_largest_first_in_percent():
    labels = torch.tensor([[[2, 2, 2, 0], [1, 1, 0, 2]]])
    rows = [(e.index, e.name, e.rgb, e.area_percent) for e in legend(labels, SMALL)]
    assert rows == [
        (2, "grass", (0, 200, 0), 50.0),
        (0, "background", (0, 0, 0), 25.0),
        (1, "sky", (0, 0, 250), 25.0),
    ]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("sky", (1,)),
        (" SKY* , grass", (1, 2, 3)),
        (["gra?s"], (2,)),
        ("*", (1, 2, 3)),
        ("background", (0,)),
    ],
    ids=str,
)
def test_classes_are_found_by_name(names, found):
    assert find_classes(names, SMALL) == found


def test_unknown_class_names_the_nearest():
    with pytest.raises(
        DecodeError, match=r"small has no class 'gras'; did you mean one of: grass?"
    ):
        find_classes("sky, gras", SMALL)
    with pytest.raises(DecodeError, match="no class named; write names such as"):
        find_classes(" , ", SMALL)


def test_class_mask_unites_and_finds_shared_colours():
    labels = torch.tensor([[[0, 1, 2, 3]]])
    assert class_mask(labels, "sky*", SMALL).tolist() == [[[False, True, False, True]]]
    road = torch.full((1, 2, 2), 7)
    assert class_mask(road, "skyscraper", ade20k()).all()


JSON_TABLE = json.dumps({"cat": [255, 0, 0], "dog": "#0000ff"})
JSON_LIST = json.dumps([{"name": "cat", "color": [255, 0, 0]}, {"name": "dog", "rgb": [0, 0, 255]}])
CSV_RGB = "\ufeffid, name, r, g, b\n1, cat, 255, 0, 0\n2, dog, 0, 0, 255\n"
CSV_HEX = "name,colour\ncat,#ff0000\ndog,#0000ff"


@pytest.mark.parametrize(
    "text", [JSON_TABLE, JSON_LIST, CSV_RGB, CSV_HEX], ids=["json", "list", "csv", "hex"]
)
def test_palette_files(text):
    palette = read_palette(text, "pets")
    assert palette.names == ("background", "cat", "dog")
    assert palette.colours == ((0, 0, 0), (255, 0, 0), (0, 0, 255))


def test_palette_keeps_the_colour_of_a_background_named_later():
    palette = read_palette("name,colour\nsky,#0000ff\nBackground,#ffffff\n")
    assert palette.names == ("Background", "sky")
    assert palette.colours == ((255, 255, 255), (0, 0, 255))


def test_palette_may_bring_its_own_background():
    palette = read_palette('{"Background": "#ffffff", "cat": [1, 2, 3]}')
    assert palette.names == ("Background", "cat")
    assert palette.colours[0] == (255, 255, 255)


MANY = "\n".join(f"c{number},#{number:06x}" for number in range(8192))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  ", "palette 'p' is empty"),
        ('{"cat": ', "not valid JSON"),
        ('[{"name": "cat"}]', 'entry 1: needs "name" and "colour"'),
        ('{"cat": [1, 2, 300]}', r"three whole numbers 0 to 255. Got: \[1, 2, 300\]"),
        ('{"cat": "#12"}', "'#12' is not a colour of the form #rrggbb"),
        ("cat,1,2,3", "first line must name the columns .* Got: 'cat,1,2,3'"),
        ("name,r,g,b\ncat,1,x,3", "three whole numbers 0 to 255"),
        ("name,colour\ncat,#010203\ncat,#010204", "has the class 'cat' twice"),
        ("name,colour\n", "needs one colour for each name, the background and at least one class"),
        ("[" * 100_000, "not valid JSON: .*recursion"),
        ('{"cat": ' + "9" * 5000 + "}", "not valid JSON: .*4300 digits"),
        ('{"cat": [1e999, 1, 1]}', r"three whole numbers 0 to 255. Got: \[inf, 1, 1\]"),
        ("name,r,g,b\n" + "x" * 200_000, "not valid CSV: field larger than"),
        ("r,g,b,name\n1,2,3\n1,2,4", "has the class '' twice"),
        (f"name,colour\n{MANY}", "has 8193 classes; at most 8192"),
    ],
    ids=[
        "empty", "json", "entry", "range", "hex", "heading", "number", "twice", "no rows", "nested",
        "digits", "infinite", "long", "no name", "many",
    ],
)  # fmt: skip
def test_palette_refused(text, message):
    with pytest.raises(DecodeError, match=message):
        read_palette(text, "p")


MEASURE = """
import torch
from pixwizard_core.decode import ade20k, decode_segments

def told(name):
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024 / 1e6

torch.set_num_threads(1)
decode_segments(torch.rand(1, 3, 64, 64), ade20k())
image = torch.rand(1, 3, 2048, 2048)
before = told("VmRSS")
found = decode_segments(image, ade20k())
assert found.labels.shape == (1, 2048, 2048) and len(ade20k()) == 151
print(told("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_segmentation_of_a_large_picture_stays_below_300_mb():
    """2048 x 2048 px against 150 classes at once would be a table of 2.5 GB. The peak of resident
    memory, over what the picture itself takes."""
    told = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 30 < float(told.stdout) < 300, told.stdout


def test_speckles_join_the_class_around_them():
    labels = torch.ones(2, 12, 12, dtype=torch.long)
    labels[0, :, 6:] = 2
    labels[0, 3, 3] = 5  # a speck of a third class
    labels[0, 3, 9] = 1  # and one of a class that is elsewhere
    labels[1, :, :] = 4
    cleaned = drop_speckles(labels, 2)
    assert cleaned[0].unique().tolist() == [1, 2]
    assert cleaned[0, 3, 3] == 1
    assert cleaned[0, 3, 9] == 2
    assert torch.equal(cleaned[1], labels[1])
    assert torch.equal(drop_speckles(labels, 1000), labels)  # nothing would be left to join
