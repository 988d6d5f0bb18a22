"""Regions and line pictures that building draws: their shapes and ranges."""

import pytest
import torch
import torch.nn.functional as F

from pixwizard_core.data import drawings, regions
from pixwizard_core.data.chance import generator_of
from pixwizard_core.data.recipes import face_damage
from pixwizard_core.data.sentences import sentences_for
from pixwizard_core.tasks import TASKS

SEEDS = range(12)


def blobs(seed=0, height=48, width=64):
    coarse = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def test_identity_alone_decides_the_numbers():
    def first(*identity):
        return torch.rand(4, generator=generator_of(*identity)).tolist()

    assert first(0, "denoise", "a") == first(0, "denoise", "a")
    assert first(0, "denoise", "a") != first(0, "denoise", "b")
    assert first("1", 1) != first(1, "1")
    assert first("ab", "c") != first("a", "bc")


@pytest.mark.parametrize("shape", regions.HOLES, ids=lambda shape: shape.__name__)
def test_holes_cover_a_part_of_the_picture(shape):
    shares = [float(shape(96, 128, generator_of(seed)).float().mean()) for seed in SEEDS]
    assert min(shares) > 0.01
    assert max(shares) < 0.5


def test_circle_is_as_wide_as_high():
    mask = regions.circle(200, 300, generator_of(3))
    rows, columns = mask.any(1), mask.any(0)
    assert abs(int(rows.sum()) - int(columns.sum())) <= 2


def test_rectangle_is_full():
    mask = regions.rectangle(60, 80, generator_of(2))
    assert int(mask.sum()) == int(mask.any(1).sum()) * int(mask.any(0).sum())


def test_outpainting_keeps_a_central_rectangle():
    for seed in SEEDS:
        kept = ~regions.surroundings(60, 100, generator_of(seed))
        rows, columns = kept.any(1), kept.any(0)
        assert int(kept.sum()) == int(rows.sum()) * int(columns.sum())
        for line, side in ((rows, 60), (columns, 100)):
            inside = line.nonzero()[:, 0]
            assert abs(int(inside[0]) - (side - 1 - int(inside[-1]))) <= 1
            assert 0.3 * side < len(inside) <= 0.9 * side + 1


def test_fill_is_black_or_white_inside_and_nothing_outside():
    picture, mask = blobs(), regions.circle(48, 64, generator_of(1))
    values = set()
    for seed in SEEDS:
        filled = regions.fill(picture, mask, generator_of(seed))
        assert torch.equal(filled[..., ~mask], picture[..., ~mask])
        values |= set(filled[..., mask].unique().tolist())
    assert values == {0.0, 1.0}


def test_canny_is_black_and_white_and_its_thresholds_vary():
    counts = set()
    for seed in SEEDS:
        lines = drawings.canny_lines(blobs(), generator_of(seed))
        assert lines.shape == (1, 3, 48, 64)
        assert set(lines.unique().tolist()) <= {0.0, 1.0}
        counts.add(int(lines.sum()))
    assert len(counts) > 3


def test_canny_finds_the_border_between_two_halves():
    halves = torch.zeros(1, 3, 32, 32)
    halves[..., 16:] = 1.0
    lines = drawings.canny_lines(halves, generator_of(0))[0, 0]
    assert bool(lines[8:24, 14:18].any(1).all())
    assert float(lines[8:24, :12].sum() + lines[8:24, 20:].sum()) == 0


def test_sketch_is_dark_on_white_and_varies():
    shares = set()
    for seed in SEEDS:
        drawn = drawings.sketch(blobs(), generator_of(seed))
        assert drawn.shape == (1, 3, 48, 64)
        assert 0.5 < float(drawn.mean()) <= 1
        shares.add(float(drawn.mean()))
    assert len(shares) > 6


def test_sketch_of_a_soft_line_stays_on_it():
    soft = torch.zeros(1, 3, 32, 32)
    soft[..., 15:18] = torch.tensor([0.5, 1.0, 0.5])
    for seed in SEEDS:
        dark = drawings.sketch(blobs(0, 32, 32), generator_of(seed), soft)[0, 0] < 0.5
        assert not bool(dark[:, :13].any() or dark[:, 20:].any())


def test_thinning_leaves_the_ridge():
    strength = torch.zeros(1, 1, 5, 7)
    strength[..., 2], strength[..., 3], strength[..., 4] = 0.4, 1.0, 0.4
    inner = drawings.thin(strength)[0, 0, 2, 2:5].tolist()
    assert inner == [False, True, False]


@pytest.mark.parametrize("size", [(40, 64), (97, 33)])
def test_face_damage_keeps_size_and_range(size):
    damaged = face_damage(blobs(1, *size), generator_of(0))
    assert damaged.shape == (1, 3, *size)
    assert 0 <= float(damaged.min()) <= float(damaged.max()) <= 1
    assert float((damaged - blobs(1, *size)).abs().mean()) > 0.005


def test_trained_form_comes_first_and_held_out_wordings_never():
    row = TASKS["derain"]
    for seed in SEEDS:
        sentences = sentences_for("derain", (), 4, generator_of(seed))
        assert sentences[0] == "Derain"
        assert len(set(sentences)) == 4
        assert not {row.phrasings[index] for index in row.held_out} & set(sentences)
    assert len(sentences_for("derain", (), 100, generator_of(0))) == 1 + len(row.seen)


def test_captions_take_turns():
    words = [{"caption": "a cat"}, {"caption": "one cat"}]
    sentences = sentences_for("from_canny", words, 3, generator_of(0))
    assert sentences[0] == "Canny edge to image: a cat"
    assert "one cat" in sentences[1]
    assert "a cat" in sentences[2]
