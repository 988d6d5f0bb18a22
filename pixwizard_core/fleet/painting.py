"""How a worker answers its items: in batches, frame after frame, by tiles, or by the best of
several answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..best import best_of
from ..canvas import Rect, Size
from ..errors import CanvasError
from ..files.picture_bands import PictureBands
from ..generate import Start
from ..pipeline import Bundle
from ..tasks import FIRST_COLOUR, find_task
from ..tiles import TiledRequest
from ..tiles.written import write_tiled
from .forward import Look, paint, paint_frame
from .items import Item
from .job import Job, Tiles
from .latents import LatentStore
from .plan import Todo, canvas_of

Picture = Tensor | PictureBands  # (1, 3, H, W) in 0..1, or read by rectangles where tiles answer


@dataclass(frozen=True, slots=True)
class Painted:
    """One answer. image_01: (1, 3, H, W) in 0..1 of the source's size, None where it is written
    already. files: what is written already. data: further entries of the record's data. told:
    further entries of the record."""

    image_01: Tensor | None = None
    files: dict[str, Path] = field(default_factory=dict[str, Path])
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    told: dict[str, Any] = field(default_factory=dict[str, Any])


class Painter:
    """A model that answers the items of a job."""

    def __init__(self, job: Job, bundle: Bundle) -> None:
        self.job, self.bundle = job, bundle
        self.latents = LatentStore(Path(job.out))

    def paint(self, todos: Sequence[Todo], images: Sequence[Picture]) -> list[Painted]:
        """The answers of a batch. images: in its order, all by tiles or none."""
        job = self.job
        if job.tiles is not None:
            pairs = zip(todos, images, strict=True)
            return [self._by_tiles(todo.item, image, job.tiles) for todo, image in pairs]
        whole = [_as_tensor(image) for image in images]
        if job.temporal:
            return [self._frame(todos[0], whole[0], job.temporal.start)]
        if job.best is not None:
            pairs = zip(todos, whole, strict=True)
            return [self._best(todo.item, image, job.best) for todo, image in pairs]
        items = [todo.item for todo in todos]
        answers = paint(
            self.bundle, [canvas_of(item, job) for item in items], whole,
            [item.instruction for item in items], [job.seed_of(item) for item in items],
            job.settings_of(items[0].task), job.batch, [self.look(item) for item in items],
        )  # fmt: skip
        return [Painted(answer) for answer in answers]

    def look(self, item: Item) -> Look:
        """How the answer to an item is brought to the size of its picture."""
        colour = item.words.get("colour", FIRST_COLOUR)
        return Look(find_task(item.task).decoder, colour, self.job.sharp)

    def carry(self, todo: Todo) -> None:
        """Let the frame after a failed one start from the latent before it."""
        latent = self.latents.load(todo.before) if todo.before else None
        if latent is not None:
            self.latents.save(todo.key, latent)

    def _frame(self, todo: Todo, image: Tensor, start: float) -> Painted:
        item, job = todo.item, self.job
        before = self.latents.load(todo.before) if todo.before and start > 0 else None
        answer, latent = paint_frame(
            self.bundle, canvas_of(item, job), image, item.instruction, job.seed_of(item),
            job.settings_of(item.task), None if before is None else Start(start, before),
            self.look(item),
        )  # fmt: skip
        if start > 0:
            self.latents.save(todo.key, latent)
        return Painted(answer)

    def _best(self, item: Item, image: Tensor, count: int) -> Painted:
        job = self.job
        found = best_of(
            self.bundle, item.task, item.instruction, item.given or {}, image, count,
            seed=job.seed_of(item), settings=job.settings_of(item.task), fit=job.fit,
            centre=job.centre,
        )  # fmt: skip
        report = found.report()
        sure = {name: report.pop(name) for name in ("confidence",) if name in report}
        answer = self.look(item).of(found.best.painted_01, image, found.canvas)
        return Painted(answer, told={"best": report, **sure})

    def _by_tiles(self, item: Item, image: Picture, tiles: Tiles) -> Painted:
        job, place = self.job, Path(self.job.out) / item.name
        request = TiledRequest(
            item.task, item.instruction, job.seed_of(item), job.settings_of(item.task), tiles.side,
            tiles.overlap,
        )  # fmt: skip
        if isinstance(image, PictureBands):
            size, read = image.size, image.read
        else:
            frame = image[0]
            size = Size(frame.shape[-1], frame.shape[-2])

            def read(rect: Rect) -> Tensor:
                return rect.cut(frame)

        files, data = write_tiled(self.bundle, size, read, request, place.parent, place.name)
        width, height = data["tiles"]["model_size"]
        return Painted(files=files, data=data, told={"model_width": width, "model_height": height})


def _as_tensor(image: Picture) -> Tensor:
    if isinstance(image, PictureBands):
        raise CanvasError(f"{image.name} is read by rectangles, which tiles alone can answer")
    return image
