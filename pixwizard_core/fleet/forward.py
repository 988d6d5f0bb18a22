"""Pictures of one model size through the model, so that companions change no bit of a result.

Matrix products round differently for different numbers of rows. So every forward pass has the same
number of rows, filled up where pictures are missing, and texts of one length; within that, a row
does not depend on the others or on its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..canvas import Canvas
from ..canvas.images import ensure_rgb, to_image_01, to_pixels
from ..conditioning import Condition
from ..encoders.text import TextFeatures
from ..generate import GuidedVelocity, SampleSettings, initial_noise
from ..pipeline import Bundle, Request, encode_conditions, run, settings_for
from ..sampling import SOLVERS, times

KNOWN_TEXTS = 256


class RememberedTexts(nn.Module):
    """A text encoder that encodes each sentence by itself, and the last few hundred once."""

    def __init__(self, encoder: nn.Module) -> None:
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
) -> list[Tensor]:
    """Answer pictures (1, 3, H, W) of the sources' sizes. canvases: all of one model size and
    centre. rows: of the forward pass, at least as many as pictures."""
    fitted = [c.fit_image(image) for c, image in zip(canvases, images_01, strict=True)]
    filled = [min(row, len(fitted) - 1) for row in range(rows)]
    request = Request(
        image_01=torch.cat([fitted[i] for i in filled]),
        instructions=[instructions[i] for i in filled],
        seeds=[seeds[i] for i in filled],
        settings=settings,
        centre=canvases[0].centre,
    )
    painted = run(bundle, request).model_image_01
    return [
        canvas.restore_image(painted[i : i + 1], ensure_rgb(image)[0])
        for i, (canvas, image) in enumerate(zip(canvases, images_01, strict=True))
    ]


@torch.no_grad()
def paint_frame(
    bundle: Bundle,
    canvas: Canvas,
    image_01: Tensor,
    instruction: str,
    seed: int,
    settings: SampleSettings,
    start: float,
    before: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One frame: (answer (1, 3, H, W), its latent (1, 4, h, w)).

    With a previous latent, sampling begins at time start on the straight way from the noise of
    `seed` to it, with as many of the steps as the rest of the way takes at the usual step length.
    """
    settings = settings_for(canvas, bundle.centres, settings)
    pixels = to_pixels(canvas.fit_image(image_01)).to(bundle.device)
    full, empty = encode_conditions(bundle, pixels, [instruction])
    latent = from_start(bundle, full, empty, seed, settings, start, before)
    painted = to_image_01(bundle.vae.decode(latent)).clamp(0, 1).cpu()
    return canvas.restore_image(painted, ensure_rgb(image_01)[0]), latent.cpu()


def from_start(
    bundle: Bundle,
    full: Condition,
    empty: Condition,
    seed: int,
    settings: SampleSettings,
    start: float,
    before: Tensor | None,
) -> Tensor:
    """A latent (1, 4, h, w) sampled from noise, or from time start towards the latent `before`."""
    cells = full.image_latent.shape[-2:]
    noise = initial_noise((bundle.model.config.in_channels, *cells), [seed]).to(bundle.device)
    begin = noise if before is None else before.to(noise) * start + noise * (1 - start)
    first = 0.0 if before is None else start
    steps = max(1, -int(-settings.steps * (1 - first) // 1))
    grid = first + (1 - first) * times(steps, settings.shift)
    velocity = GuidedVelocity(
        bundle.model, full, empty, noise, replace(settings, steps=steps), [seed]
    )
    return SOLVERS[settings.solver](velocity, begin.float(), grid, None)
