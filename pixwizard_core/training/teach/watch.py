"""See how a run does: the loss on held-out pairs by fixed chance, and a strip of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...canvas.images import to_image_01
from ...conditioning import Condition
from ...encoders.vae import LatentCoder
from ...files.picture_files import save_picture
from ...generate import PIXELS_PER_TOKEN_SIDE, SampleSettings, initial_noise, sample, trained_centre
from ...model import PixWizard, gumbel_noise
from .course import arithmetic
from .encode import LATENT, TOKENS, KnownExample
from .objective import Draw, gather, losses, with_picture
from .order import mixed
from .settings import TeachSettings
from .store import Store

TIMES = 4  # of each held-out example, evenly apart
SEED = 1 << 20  # of held-out noise, the same in every run
GAP = 4  # px between the pictures of a strip


@torch.no_grad()
def validation_loss(
    model: PixWizard,
    examples: Sequence[KnownExample],
    store: Store,
    empty: str,
    settings: TeachSettings,
    sharded: bool = False,
) -> float:
    """Mean loss over examples and TIMES times each. Noise and times depend on the place of an
    example alone, so the numbers of different steps, and of different runs, can be compared.
    sharded: the weights are split over processes, which all call this."""
    total = 0.0
    for place, known in enumerate(examples):
        for number in range(TIMES):

            def fixed(_: int, one: KnownExample, place: int = place, number: int = number) -> Draw:
                return _fixed(model, one, store, place, (number + 0.5) / TIMES)

            rows = gather([(place, known)], fixed, store, empty, settings)
            with arithmetic(model, settings.precision):
                total += float(losses(model, with_picture(rows) if sharded else rows)[0])
    return total / (TIMES * len(examples))


def _fixed(model: PixWizard, known: KnownExample, store: Store, place: int, time: float) -> Draw:
    generator = torch.Generator().manual_seed(mixed(SEED, place, f"{time:.6f}"))
    shape = tuple(store.get(known.target)[LATENT].shape)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)
    count = len(store.get(known.tokens)[TOKENS])
    # A fate above all shares loses nothing; the first sentence asks.
    return Draw(1.0, 0.0, time, noise, gumbel_noise((len(model.layers), count), generator))


@torch.no_grad()
def strip(
    model: PixWizard,
    vae: LatentCoder,
    examples: Sequence[KnownExample],
    store: Store,
    empty: str,
    settings: SampleSettings,
    centres: Sequence[int],
    precision: str = "auto",
) -> list[Tensor]:
    """For each example its input, the model's answer and its target side by side, (3, H, W) in
    0..1. The noise depends on the place of an example alone."""
    rows: list[Tensor] = []
    for place, known in enumerate(examples):
        device = model.x_embedder.weight.device
        source, target = (
            store.get(key)[LATENT][None].to(device) for key in (known.source, known.target)
        )
        full = _condition(known, known.texts[0], store, source)
        without = _condition(known, empty, store, source)
        noise = initial_noise(tuple(source.shape[1:]), [place]).to(device)
        tokens = known.size.width * known.size.height // PIXELS_PER_TOKEN_SIDE**2
        own = replace(settings, centre=trained_centre(tokens, centres))
        with arithmetic(model, precision):
            answer = sample(model, full, without, noise, own, seeds=[place])
        shown = [to_image_01(vae.decode(one.float()))[0] for one in (source, answer, target)]
        rows.append(torch.cat(_with_gaps([one.clamp(0, 1).cpu() for one in shown], 2), 2))
    return rows


def save_strip(path: Path, rows: Sequence[Tensor]) -> None:
    """Write rows of pictures below each other, narrower ones with white at the right. Raises
    CanvasError when the file cannot be written."""
    widest = max(row.shape[2] for row in rows)
    padded = [torch.nn.functional.pad(row, (0, widest - row.shape[2]), value=1.0) for row in rows]
    save_picture(path, torch.cat(_with_gaps(padded, 1), 1))


def _with_gaps(pictures: Sequence[Tensor], axis: int) -> list[Tensor]:
    parts: list[Tensor] = []
    for number, picture in enumerate(pictures):
        if number:
            shape = list(picture.shape)
            shape[axis] = GAP
            parts.append(torch.ones(shape, dtype=picture.dtype, device=picture.device))
        parts.append(picture)
    return parts


def _condition(known: KnownExample, words: str, store: Store, latent: Tensor) -> Condition:
    text = store.get(words)
    condition = Condition(
        text=text["text"][None],
        text_mask=torch.ones(1, len(text["text"]), dtype=torch.bool),
        pooled=text["pooled"][None],
        image_tokens=store.get(known.tokens)[TOKENS][None],
        has_image=torch.ones(1, dtype=torch.bool),
        image_latent=latent,
    )
    return condition.to(latent.device)
