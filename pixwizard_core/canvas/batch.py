"""One canvas per picture of a batch, used like a single canvas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CanvasError
from .fitting import Canvas, Size


@dataclass(frozen=True, slots=True)
class CanvasBatch:
    """One canvas for each picture of a batch, all of one source size and one model size.

    The methods are those of Canvas. Picture i of a batch uses canvas i; a single picture is
    repeated for every canvas. Raises CanvasError for other counts.
    """

    canvases: tuple[Canvas, ...]

    def __post_init__(self) -> None:
        if len({(one.source, one.model) for one in self.canvases}) != 1:
            raise CanvasError("the canvases of a batch must share their source and model sizes")

    def __len__(self) -> int:
        return len(self.canvases)

    @property
    def source(self) -> Size:
        return self.canvases[0].source

    @property
    def model(self) -> Size:
        return self.canvases[0].model

    def of(self, index: int) -> Canvas:
        """The canvas of one picture."""
        return self.canvases[index]

    def fit_image(self, image_01: Tensor) -> Tensor:
        return self._each(Canvas.fit_image, image_01)

    def fit_mask(self, mask: Tensor) -> Tensor:
        return self._each(Canvas.fit_mask, mask)

    def restore_image(self, image_01: Tensor, source: Tensor | None = None) -> Tensor:
        behind = () if source is None else (source,)
        return self._each(Canvas.restore_image, image_01, *behind)

    def restore_mask(self, mask: Tensor) -> Tensor:
        return self._each(Canvas.restore_mask, mask)

    def restore_labels(self, labels: Tensor) -> Tensor:
        return self._each(Canvas.restore_labels, labels)

    def covered(self) -> Tensor:
        """(B, source) bool: where the model saw each picture."""
        return torch.stack([one.covered() for one in self.canvases])

    def _each(self, function: Callable[..., Tensor], *batches: Tensor) -> Tensor:
        count = len(self.canvases)
        for batch in batches:
            if len(batch) not in (1, count):
                raise CanvasError(
                    f"{len(batch)} pictures for a canvas made for {count}; give as many, or one"
                )
        rows = zip(*(batch.expand(count, *batch.shape[1:]) for batch in batches), strict=True)
        return torch.cat(
            [
                function(canvas, *(one[None] for one in row))
                for canvas, row in zip(self.canvases, rows, strict=True)
            ]
        )
