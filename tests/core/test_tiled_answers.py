"""Large pictures answered by tiles with a model behind them."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch

from pixwizard_core.bundle import load_tiny
from pixwizard_core.canvas import Size
from pixwizard_core.errors import CanvasError, InstructionError
from pixwizard_core.evaluation.larger_study import seam_lines
from pixwizard_core.metrics.seams import seam_steps
from pixwizard_core.pipeline import Request, run
from pixwizard_core.tiles import TiledRequest, answer_in_bands, answer_tiled, make_grid
from pixwizard_core.world.held_out import HELD_OUT_SEED, examples_of
from tests.support.tiny import tiny_bundle

DENOISE = "Remove the noise from this picture."


@pytest.fixture(scope="module")
def small():
    """An untrained bundle that works at 64 px."""
    return dataclasses.replace(tiny_bundle(), centres=(64,))


def picture(width: int, height: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 64), (80, 48), (37, 21)])
@pytest.mark.parametrize("task", ["denoise", "canny"])
def test_one_tile_gives_the_bits_of_the_usual_way(small, size, task):
    image = picture(*size)
    tiled = answer_tiled(small, image, TiledRequest(task, DENOISE, 5))
    usual = run(small, Request(image, DENOISE, 5, small.settings_of(task)))
    assert tiled.grid.count == 1
    assert torch.equal(tiled.image_01, usual.image_01)


@pytest.mark.parametrize("task", ["denoise", "canny"])
def test_same_seed_gives_the_same_pixels_of_the_source_s_size(small, task):
    image = picture(101, 67)
    one, two, other = (
        answer_tiled(small, image, TiledRequest(task, DENOISE, seed)).image_01
        for seed in (5, 5, 6)
    )
    assert one.shape == image.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert float(one.min()) >= 0
    assert float(one.max()) <= 1


def test_answer_in_bands_reads_and_hands_out_no_more_than_it_must(small):
    image, rects, bands = picture(70, 150), [], []

    def read(rect):
        rects.append(rect)
        return rect.cut(image[0])

    request = TiledRequest("canny", "Find the edges.", 0, side=64, overlap=16)
    grid = answer_in_bands(
        small, Size(70, 150), read, request, lambda row, rows: bands.append((row, rows))
    )
    assert all((rect.width, rect.height) == grid.tile for rect in rects)
    assert [row for row, _ in bands] == list(grid.tops)
    assert sum(rows.shape[1] for _, rows in bands) == 150
    assert max(rows.shape[1] for _, rows in bands) <= 64
    whole = answer_tiled(small, image, request).image_01[0]
    assert torch.equal(torch.cat([rows for _, rows in bands], 1), whole)


def test_answer_tells_progress_and_an_exception_stops_it(small):
    told = []

    def on_tile(done, total):
        told.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_tiled(small, picture(200, 200), TiledRequest("canny", "x", side=64), on_tile)
    assert told == [(4, 16)]


def test_transparency_is_left_out_and_batches_are_refused(small):
    image = picture(70, 70)
    with_alpha = torch.cat([image, torch.zeros(1, 1, 70, 70)], 1)
    request = TiledRequest("canny", "x", side=64)
    one, two = (answer_tiled(small, given, request).image_01 for given in (image, with_alpha))
    assert torch.equal(one, two)
    with pytest.raises(CanvasError, match=r"tiles take one picture at a time. Got: 2"):
        answer_tiled(small, image.expand(2, -1, -1, -1), request)


def test_tasks_and_tiles_that_do_not_fit_are_refused_before_anything_runs(small):
    with pytest.raises(InstructionError, match="task 'depth' is not answered tile by tile"):
        answer_tiled(small, picture(99, 99), TiledRequest("depth", "x"))
    with pytest.raises(CanvasError, match=r"overlap by 0 to 32 px, half of a tile. Got: 40"):
        answer_tiled(small, picture(99, 99), TiledRequest("canny", "x", side=64, overlap=40))


@functools.cache
def seams_of(task: str, overlap: int):
    """Steps at the seams of a room answered by the bundled model, in 8-bit levels."""
    bundle, examples = load_tiny(), examples_of(task, 1, (288, 320), HELD_OUT_SEED, False)
    request = TiledRequest(task, examples.instructions[0], 0, overlap=overlap)
    answer = answer_tiled(bundle, examples.inputs, request)
    columns, rows = seam_lines(answer.grid)
    return seam_steps(answer.image_01[0] * 255, examples.targets[0] * 255, columns, rows)


def test_seams_of_overlapping_tiles_are_no_steeper_than_the_rest():
    apart, overlapping = seams_of("denoise", 0), seams_of("denoise", 32)
    assert overlapping.mean <= 1.25 * overlapping.inside_mean
    assert overlapping.worst <= overlapping.inside_worst
    assert apart.mean > 1.5 * apart.inside_mean


def test_seam_lines_are_where_tiles_begin_and_end():
    grid = make_grid(224, 128, 128, 32, (128,))
    assert seam_lines(grid) == ([96, 128], [])


def test_seam_steps_are_those_of_the_error():
    truth = torch.zeros(3, 4, 6)
    truth[..., 1:] = 1  # an outline of the picture is no seam
    found = truth.clone()
    found[..., 3:] += 0.5
    seams = seam_steps(found, truth, [3], [2])
    assert seams.worst == pytest.approx(0.5)
    assert seams.mean == pytest.approx(0.25)  # over one column and one row
    assert (seams.inside_mean, seams.inside_worst) == (0, 0)
