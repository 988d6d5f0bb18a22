"""Run pictures of one model size through the model, so that other pictures in the batch change no
bit of a result.

Matrix products round differently for different numbers of rows. So every forward pass has the same
number of rows, filled up where pictures are missing, and texts of one length; within that, a row
does not depend on the others or on its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..canvas import Canvas
from ..decode import at_source_size
from ..encoders.text import TextEncoder, TextFeatures
from ..generate import SampleSettings, Start
from ..pipeline import Bundle, answer, encode_pictures, settings_for

KNOWN_TEXTS = 256


class RememberedTexts(nn.Module):
    """A text encoder that encodes each sentence by itself, and the last few hundred once."""

    def __init__(self, encoder: TextEncoder | RememberedTexts) -> None:
        super().__init__()
        self.encoder = encoder
        self.known: dict[str, TextFeatures] = {}

    def encode(self, sentences: Sequence[str]) -> TextFeatures:
        """As the encoder's own; sentences must have one length. Raises ValueError otherwise."""
        rows = [self._one(sentence) for sentence in sentences]
        if len({row.text.shape for row in rows}) > 1:
            raise ValueError("texts of different lengths in one batch")
        return TextFeatures(*(torch.cat(column) for column in zip(*rows, strict=True)))

    def _one(self, sentence: str) -> TextFeatures:
        if sentence not in self.known:
            if len(self.known) >= KNOWN_TEXTS:
                self.known.pop(next(iter(self.known)))
            self.known[sentence] = self.encoder.encode([sentence])
        return self.known[sentence]


def paint(
    bundle: Bundle,
    canvases: Sequence[Canvas],
    images_01: Sequence[Tensor],
    instructions: Sequence[str],
    seeds: Sequence[int],
    settings: SampleSettings,
    rows: int,
    kinds: Sequence[str],
) -> list[Tensor]:
    """Answer pictures (1, 3, H, W) of the sources' sizes. canvases: all of one model size and
    centre. rows: of the forward pass, at least as many as pictures. kinds: what each answer holds,
    by its task's decoder."""
    fitted = [c.fit_image(image) for c, image in zip(canvases, images_01, strict=True)]
    filled = [min(row, len(fitted) - 1) for row in range(rows)]
    _, painted = answer(
        bundle,
        encode_pictures(bundle, torch.cat([fitted[i] for i in filled])),
        [instructions[i] for i in filled],
        [seeds[i] for i in filled],
        settings_for(canvases[0], bundle.centres, settings),
    )
    return [
        at_source_size(kind, painted[i : i + 1], image, canvas)
        for i, (kind, canvas, image) in enumerate(zip(kinds, canvases, images_01, strict=True))
    ]


def paint_frame(
    bundle: Bundle,
    canvas: Canvas,
    image_01: Tensor,
    instruction: str,
    seed: int,
    settings: SampleSettings,
    start: Start | None = None,
    kind: str = "image",
) -> tuple[Tensor, Tensor]:
    """One frame: (answer (1, 3, H, W), its latent (1, 4, h, w)). start: on the way to the latent of
    the frame before, see generate.sample(). kind: what the answer holds, by its task's decoder."""
    settings = settings_for(canvas, bundle.centres, settings)
    encoded = encode_pictures(bundle, canvas.fit_image(image_01))
    latent, painted = answer(bundle, encoded, [instruction], [seed], settings, start=start)
    return at_source_size(kind, painted, image_01, canvas), latent.cpu()
