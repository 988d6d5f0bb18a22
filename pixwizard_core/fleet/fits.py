"""Whether a job's way of answering serves an item; asked before work starts."""

from __future__ import annotations

from ..best import way_of as rated_by
from ..decode import not_sharpened
from ..tasks import FREE_TEXT, find_task
from ..tiles import TileGrid, make_grid
from ..tiles import way_of as tiled_by
from .items import Item
from .job import Job
from .plan import canvas_of


def check_item(item: Item, job: Job) -> None:
    """Raise InstructionError, with the reason and what to do, for an item whose answers cannot be
    rated or made of tiles as the job asks; CanvasError for a picture that tiles cannot cover."""
    task = FREE_TEXT if item.given is None else item.task
    if job.best is not None:
        rated_by(task)
    if job.tiles is not None:
        tiled_by(task)
        grid_of(item, job)


def grid_of(item: Item, job: Job) -> TileGrid:
    """The tiles of an item's picture. Raises CanvasError for one that tiles cannot cover."""
    side, overlap = (job.tiles.side, job.tiles.overlap) if job.tiles else (None, None)
    return make_grid(*item.size, side, overlap, job.model.own.centres)


def why_not_sharp(item: Item, job: Job) -> str:
    """Why the answer to an item is not sharpened; "" when it is."""
    return not_sharpened(find_task(item.task).decoder, canvas_of(item, job))
