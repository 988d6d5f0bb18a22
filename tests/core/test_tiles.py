"""Tiles of a large picture: where they lie, their noise, and how their answers are joined."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pixwizard_core.canvas import Rect, Size, plan
from pixwizard_core.errors import CanvasError, InstructionError
from pixwizard_core.tasks import TASK_IDS
from pixwizard_core.tiles import TILED, fitted_whole, make_grid, run_tiles, way_of
from pixwizard_core.tiles.blend import LEAST, tile_window, window
from pixwizard_core.tiles.guide import cut_guide, to_guide
from pixwizard_core.tiles.noise import BLOCK, noise_field, place_seed

SIZES = [(512, 512), (513, 301), (1000, 129), (40, 700), (128, 4000), (135, 129)]


def picture(width: int, height: int, seed: int = 0) -> torch.Tensor:
    """(3, height, width) of random 8-bit values in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator).float() / 255


def blended(grid, paint, source: torch.Tensor, **more) -> torch.Tensor:
    whole, rows = torch.full_like(source, float("nan")), []

    def emit(row, values):
        rows.append(row)
        whole[:, row : row + values.shape[1]] = values

    run_tiles(paint, lambda rect: rect.cut(source), grid, 0, emit, **more)
    assert rows == list(grid.tops)
    return whole


def same(fitted, noise, seeds):
    """A painter that gives back what it sees."""
    return fitted


# Where tiles lie


def test_grid_of_a_square_picture_is_even():
    grid = make_grid(512, 512, 128, 32, (128,))
    assert grid.lefts == grid.tops == (0, 96, 192, 288, 384)
    assert grid.tile == (128, 128)
    assert grid.canvas.model == (128, 128)
    assert grid.count == 25


def test_grid_takes_the_largest_trained_side_and_a_quarter_of_overlap():
    grid = make_grid(3840, 2160)
    assert grid.tile == (1024, 1024)
    assert grid.overlap == 256
    assert grid.canvas.model == (1024, 1024)


def test_larger_tiles_are_answered_at_the_trained_size():
    grid = make_grid(1024, 1024, 512, 0, (128,))
    assert grid.canvas.model == (128, 128)
    assert grid.count == 4
    assert grid.cell(512, 0) == (16, 0)  # the second tile begins where the first ends


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("side", "overlap"), [(128, 32), (128, 0), (100, 50), (64, 7)])
def test_tiles_cover_the_picture_and_overlap_as_asked(size, side, overlap):
    grid = make_grid(*size, side, overlap, (128,))
    for starts, length, tile in zip(
        (grid.lefts, grid.tops), size, grid.tile, strict=True
    ):
        assert starts[0] == 0
        assert starts[-1] + tile == length
        gaps = [b - a for a, b in pairwise(starts)]
        assert all(0 < gap <= tile - min(overlap, tile // 2) for gap in gaps)


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_about_as_large_as_asked_whatever_the_shape(size):
    grid = make_grid(*size, 128, 32, (128,))
    width, height = grid.tile
    assert width <= size[0]
    assert height <= size[1]
    if grid.count > 1:
        narrow = max(width, height) == 4 * min(width, height)  # the model takes nothing narrower
        assert width * height >= 0.9 * 128**2 or narrow
        assert width * height <= 128**2


@pytest.mark.parametrize("size", [(128, 128), (100, 60), (144, 112), (30, 120)])
def test_one_tile_suffices_for_a_picture_no_larger(size):
    grid = make_grid(*size, 128, 32, (128,))
    assert grid.count == 1
    assert grid.tile == size
    assert grid.canvas == plan(*size, (128,))


def test_grids_that_cannot_be_used_are_refused():
    with pytest.raises(CanvasError, match=r"at least 64 px a side. Got: 63"):
        make_grid(500, 500, 63)
    with pytest.raises(CanvasError, match=r"overlap by 0 to 64 px, half of a tile. Got: 65"):
        make_grid(500, 500, 128, 65)
    with pytest.raises(CanvasError, match=r"overlap by 0 to 64 px, half of a tile. Got: -1"):
        make_grid(500, 500, 128, -1)
    with pytest.raises(CanvasError, match=r"at least 1 x 1 px. Got: 0 x 9"):
        make_grid(0, 9)
    with pytest.raises(CanvasError, match=r"needs 65536 tiles of 64 px \(limit 20000\)"):
        make_grid(16384, 16384, 64, 0)


# Noise


def test_noise_of_a_place_does_not_depend_on_how_the_field_is_cut():
    whole = noise_field(7, Rect(0, 0, 200, 150))
    part = Rect(50, BLOCK - 3, 140, 130)
    assert torch.equal(noise_field(7, part), part.cut(whole))


def test_noise_is_unit_noise_of_its_seed():
    field = noise_field(1, Rect(0, 0, 128, 128))
    assert abs(float(field.mean())) < 0.02
    assert float(field.std()) == pytest.approx(1, abs=0.02)
    assert not torch.equal(field, noise_field(2, Rect(0, 0, 128, 128)))
    assert not torch.equal(field[:, :64, :64], field[:, :64, 64:])


def test_seeds_of_places_differ_and_stay():
    seeds = {place_seed(3, row, column) for row in range(9) for column in range(9)}
    assert len(seeds) == 81
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert place_seed(0, 0, 0) == 3882903725285577553


def test_neighbours_see_the_same_noise_where_they_overlap():
    grid, seen = make_grid(512, 512, 128, 32, (128,)), []

    def paint(fitted, noise, seeds):
        seen.extend(noise)
        return fitted

    blended(grid, paint, picture(512, 512))
    first, second = seen[0], seen[1]  # 96 px apart: 12 cells, of which 4 are shared
    assert torch.equal(first[:, :, 12:], second[:, :, :4])
    assert torch.equal(seen[0][:, 12:], seen[5][:, :4])


# Blending


@pytest.mark.parametrize("overlap", [8, 32, 33])
def test_windows_of_neighbours_sum_to_one(overlap):
    one = window(128, overlap, first=True, last=False)
    two = window(128, overlap, first=False, last=True)
    both = one[-overlap:] + two[:overlap]
    assert float((both - 1).abs().max()) <= 2 * LEAST
    assert float(one[: -overlap].min()) == 1
    assert float(one.diff().max()) <= 0  # it only falls


def test_window_does_not_fall_at_the_border_of_the_picture():
    grid = make_grid(512, 128, 128, 32, (128,))
    assert grid.tops == (0,)
    weights = tile_window(grid, 96, 0)
    assert torch.equal(weights[0], weights[64])
    assert float(weights[0, 0]) == pytest.approx(LEAST)


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) >= 128])
@pytest.mark.parametrize("overlap", [0, 32])
def test_tiles_that_are_given_back_make_the_picture(size, overlap):
    source = picture(*size)
    grid = make_grid(*size, 128, overlap, (128,))
    assert grid.tile == grid.canvas.model  # so nothing is scaled
    torch.testing.assert_close(blended(grid, same, source), source, atol=2e-6, rtol=0)


def test_scaled_tiles_lie_at_their_place():
    """A slope survives being made smaller and larger again."""
    ramp = torch.linspace(0, 1, 601).expand(3, 301, 601)
    found = blended(make_grid(601, 301, 200, 40, (128,)), same, ramp)
    assert float((found - ramp).abs().max()) < 0.02


def test_overlap_spreads_the_step_between_tiles():
    """Tiles that disagree by 0.4 meet in one column, or over the overlap."""

    def worst(overlap: int) -> float:
        width = 4 * 128 - 3 * overlap
        grid, number = make_grid(width, 128, 128, overlap, (128,)), iter(range(99))

        def paint(fitted, noise, seeds):
            return torch.cat([one[None] * 0 + 0.3 + 0.4 * (next(number) % 2) for one in fitted])

        return float(blended(grid, paint, picture(width, 128)).diff(dim=2).abs().max())

    assert worst(0) == pytest.approx(0.4, abs=1e-6)
    assert worst(32) < 0.4 * torch.pi / 2 / 24 * 1.01  # a cosine over the inner 24 px


def test_progress_counts_tiles_and_an_exception_stops_the_run():
    told, grid = [], make_grid(512, 512, 128, 32, (128,))
    blended(grid, same, picture(512, 512), on_tile=lambda *at: told.append(at))
    assert told[0] == (4, 25)
    assert told[-1] == (25, 25)

    def stop(done, total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tiles(same, lambda rect: rect.cut(picture(512, 512)), grid, 0, lambda *_: None,
                  on_tile=stop)  # fmt: skip


# The small answer as a guide


@pytest.mark.parametrize("size", [(601, 401), (512, 512), (97, 600)])
def test_small_copy_read_in_bands_is_that_of_the_canvas(size):
    source, canvas = picture(*size), plan(*size, (64,))
    banded = fitted_whole(lambda rect: rect.cut(source), canvas)
    assert float((banded - canvas.fit_image(source[None])).abs().max()) < 1e-6


def test_guide_is_cut_at_the_place_of_the_tile():
    slope = torch.linspace(0.5, 63.5, 64).expand(3, 32, 64) / 64  # its value is the place, 0..1
    part = cut_guide(slope, Size(640, 320), Rect(160, 0, 320, 160), Size(40, 40))
    assert part.shape == (3, 40, 40)
    torch.testing.assert_close(part[0, 0], (torch.arange(40) + 0.5) / 40 * 0.25 + 0.25)


def test_tile_takes_the_level_of_the_guide_and_keeps_its_detail():
    detail = torch.zeros(3, 128, 128)
    detail[:, ::2] = 0.1
    guide = torch.full((3, 128, 128), 0.7)
    found = to_guide(detail + 0.2, guide, Size(512, 512), Rect(0, 128, 128, 256))
    assert float(found.mean()) == pytest.approx(0.7, abs=1e-4)
    torch.testing.assert_close(found[:, 64] - found[:, 65], torch.full((3, 128), 0.1))


# Tasks


def test_tasks_that_tiles_serve_are_lines_and_restorations():
    assert set(TILED) <= set(TASK_IDS)
    assert not way_of("canny").guided
    assert way_of("dehaze").guided


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("depth", "sharp answers follow the picture's edges, and one is enough: use --sharp"),
        ("mask", "use --sharp or Sharpen Answer"),
        ("derain", "one answer to the whole picture was measured to be better"),
        ("face", "has not been measured"),
        ("box", "needs the whole thing in view"),
        ("pose", "needs the whole person in view"),
        ("edit", "needs the whole picture at once"),
        ("text2image", "needs the whole picture at once"),
        ("custom", "tiles need a task"),
    ],
)
def test_other_tasks_are_refused_with_the_reason(task, reason):
    with pytest.raises(InstructionError, match=reason):
        way_of(task)


def test_every_task_is_served_or_refused():
    for task in TASK_IDS:
        if task not in TILED:
            with pytest.raises(InstructionError, match="tile"):
                way_of(task)
