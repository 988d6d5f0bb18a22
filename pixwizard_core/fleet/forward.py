"""Run pictures of one model size through the model, so that other pictures in the batch change no
bit of a result.

Matrix products round differently for different numbers of rows. So every forward pass has the same
number of rows, filled up where pictures are missing, and texts of one length; within that, a row
does not depend on the others or on its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..canvas import Canvas
from ..decode import at_source_size
from ..encoders.text import TextEncoder, TextFeatures
from ..generate import SampleSettings, Start
from ..pipeline import Bundle, answer, encode_pictures, settings_for
from ..tasks import FIRST_COLOUR

KNOWN_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Look:
    """How an answer is brought to the size of its source. kind: what it holds, by its task's
    decoder. colour: of a highlight. sharp: whether it follows the source's edges."""

    kind: str = "image"
    colour: str = FIRST_COLOUR
    sharp: bool = False

    def of(self, painted_01: Tensor, source_01: Tensor, canvas: Canvas) -> Tensor:
        """painted_01: (1, 3, model). source_01: (1, 3, H, W). Returns (1, 3, H, W) in 0..1."""
        return at_source_size(
            self.kind, painted_01, source_01, canvas, self.colour, sharp=self.sharp
        )


PLAIN = Look()


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
    looks: Sequence[Look],
) -> list[Tensor]:
    """Answer pictures (1, 3, H, W) of the sources' sizes. canvases: all of one model size and
    centre. rows: of the forward pass, at least as many as pictures. looks: how each answer is
    brought to its source's size."""
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
        one.of(painted[i : i + 1], image, canvas)
        for i, (one, canvas, image) in enumerate(zip(looks, canvases, images_01, strict=True))
    ]


def paint_frame(
    bundle: Bundle,
    canvas: Canvas,
    image_01: Tensor,
    instruction: str,
    seed: int,
    settings: SampleSettings,
    start: Start | None = None,
    look: Look = PLAIN,
) -> tuple[Tensor, Tensor]:
    """One frame: (answer (1, 3, H, W), its latent (1, 4, h, w)). start: on the way to the latent of
    the frame before, see generate.sample(). look: how it is brought to its source's size."""
    settings = settings_for(canvas, bundle.centres, settings)
    encoded = encode_pictures(bundle, canvas.fit_image(image_01))
    latent, painted = answer(bundle, encoded, [instruction], [seed], settings, start=start)
    return look.of(painted, image_01, canvas), latent.cpu()
