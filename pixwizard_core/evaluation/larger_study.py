"""What tiles gain: rooms rendered larger than the model works, with their exact truth.

The same picture is answered at once and enlarged, sharpened where that is possible, and answered by
tiles: without overlap, with it, and with the small answer as a guide too. Tasks that tiles do not
serve are measured as well, since that decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..canvas import Size
from ..decode import SHARPENED, at_source_size
from ..metrics.seams import Seams, seam_steps
from ..pipeline import Bundle, Request, run
from ..tasks import find_task
from ..tiles import TileGrid, make_grid, run_tiles
from ..tiles.answer import bundle_painter
from ..tiles.run import Paint
from ..world.examples import Examples
from ..world.held_out import HELD_OUT_SEED, examples_of, first
from .scorers import SCORERS, Scores, mean
from .scoring import as_trained

ENLARGED = 4  # the source's side over the model's
EIGHT_BIT = 255
ENLARGED_ANSWER, SHARP, APART, OVERLAPPING, GUIDED = (
    "enlarged", "sharp", "tiles apart", "tiles", "guided tiles",
)  # fmt: skip
WAYS = (ENLARGED_ANSWER, SHARP, APART, OVERLAPPING, GUIDED)
TILES = (APART, OVERLAPPING, GUIDED)
# Task: the score that counts.
SCORED = {
    "denoise": "psnr", "deblur": "psnr", "demoire": "psnr", "derain": "psnr", "desnow": "psnr",
    "dehaze": "psnr", "lowlight": "psnr", "deshadow": "psnr", "watermark": "psnr",
    "superres": "psnr", "reflection": "psnr", "restore": "psnr", "recolour_photo": "psnr",
    "hed": "f1", "sketch": "f1", "lineart": "f1",
    "depth": "rmse", "normal": "angle", "segmentation": "accuracy",
}  # fmt: skip

OnBatch = Callable[[int], None]


@dataclass(frozen=True)
class LargerRow:
    """One task answered in one way: its score, and the steps at the seams of tiles in 8-bit levels,
    None for an answer without tiles."""

    task: str
    way: str
    score: float
    seams: Seams | None


def study_larger(
    bundle: Bundle,
    count: int,
    seed: int = HELD_OUT_SEED,
    on_batch: OnBatch = lambda count: None,
    tasks: Sequence[str] = (),
) -> list[LargerRow]:
    """Rows of every task and way, over count rooms ENLARGED times as large as the model works.
    tasks: of SCORED; all without any."""
    side = ENLARGED * max(bundle.centres)
    rows: list[LargerRow] = []
    for task in tasks or SCORED:
        examples = as_trained(examples_of(task, count, (side, side), seed, False), bundle.taught)
        found: dict[str, list[tuple[Tensor, Seams | None]]] = {}
        for row in range(count):
            for way, answer, seams in answers_of(bundle, task, examples, row):
                found.setdefault(way, []).append((answer, seams))
            on_batch(1)
        for way, each in found.items():
            painted = torch.cat([answer for answer, _ in each])
            scores: Scores = SCORERS[task](painted, first(examples, count))
            met = [seams for _, seams in each if seams is not None]
            rows.append(LargerRow(task, way, scores[SCORED[task]], _mean_seams(met)))
    return rows


def answers_of(
    bundle: Bundle, task: str, examples: Examples, row: int
) -> list[tuple[str, Tensor, Seams | None]]:
    """(way, answer (1, 3, H, W), seams) of one example."""
    source, wanted = examples.inputs[row : row + 1], examples.targets[row]
    sentence, settings = examples.instructions[row], bundle.settings_of(task)
    whole = run(bundle, Request(source, sentence, row, settings))
    answers: list[tuple[str, Tensor, Seams | None]] = [(ENLARGED_ANSWER, whole.image_01, None)]
    kind = find_task(task).decoder
    if kind in SHARPENED:
        sharp = at_source_size(kind, whole.model_image_01, source, whole.canvas, sharp=True)
        answers.append((SHARP, sharp, None))
    guide = whole.model_image_01[0]
    size = Size(source.shape[-1], source.shape[-2])
    for ways, overlap in (((APART,), 0), ((OVERLAPPING, GUIDED), None)):
        grid = make_grid(*size, None, overlap, bundle.centres)
        paint = _remembered(bundle_painter(bundle, sentence, grid, settings))
        for way in ways:
            painted = _whole(paint, source[0], grid, row, guide if way == GUIDED else None)
            columns, lines = seam_lines(grid)
            seams = seam_steps(painted * EIGHT_BIT, wanted * EIGHT_BIT, columns, lines)
            answers.append((way, painted[None], seams))
    return answers


def seam_lines(grid: TileGrid) -> tuple[list[int], list[int]]:
    """Columns and rows of pixels behind a line where tiles begin or end inside the picture."""
    both = (
        (grid.lefts, grid.tile.width, grid.picture.width),
        (grid.tops, grid.tile.height, grid.picture.height),
    )
    columns, rows = (
        sorted({*starts[1:], *(start + tile for start in starts if start + tile < length)})
        for starts, tile, length in both
    )
    return columns, rows


def _remembered(paint: Paint) -> Paint:
    """The same painter, which paints each place once: places have seeds of their own."""
    known: dict[tuple[int, ...], Tensor] = {}

    def remembering(fitted_01: Tensor, noise: Tensor, seeds: list[int]) -> Tensor:
        place = tuple(seeds)
        if place not in known:
            known[place] = paint(fitted_01, noise, seeds)
        return known[place]

    return remembering


def _whole(
    paint: Paint, source: Tensor, grid: TileGrid, seed: int, guide: Tensor | None
) -> Tensor:
    """The blended answer (3, H, W)."""
    whole = torch.empty_like(source)

    def emit(row: int, rows: Tensor) -> None:
        whole[:, row : row + rows.shape[1]] = rows

    run_tiles(paint, lambda rect: rect.cut(source), grid, seed, emit, guide_01=guide)
    return whole


def _mean_seams(each: list[Seams]) -> Seams | None:
    """Means over pictures."""
    if not each:
        return None
    return Seams(*(mean(list(values)) for values in zip(*each, strict=True)))


def larger_tables(rows: list[LargerRow], count: int) -> str:
    """Markdown: the score of each task in each way, and the steps at seams as mean / worst line.
    """
    lines = [f"| {count} rooms | score | {' | '.join(WAYS)} |", f"|{'---|' * (2 + len(WAYS))}"]
    seams = [
        f"| steps at seams, mean / worst | {' | '.join(TILES)} | elsewhere |",
        f"|{'---|' * (2 + len(TILES))}",
    ]
    for task in dict.fromkeys(row.task for row in rows):
        ways = {row.way: row for row in rows if row.task == task}
        cells = [f"{ways[way].score:.3f}" if way in ways else "–" for way in WAYS]
        lines.append(f"| {task} | {SCORED[task]} | {' | '.join(cells)} |")
        met = [ways[way].seams for way in TILES]
        shown = [f"{one.mean:.2f} / {one.worst:.2f}" for one in met if one]
        inside = met[-1]
        assert inside is not None
        shown.append(f"{inside.inside_mean:.2f} / {inside.inside_worst:.2f}")
        seams.append(f"| {task} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *seams])
