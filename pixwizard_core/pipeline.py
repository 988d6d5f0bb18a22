"""Turn pictures and an instruction into result pictures: the only file that knows the order.

canvas -> encoders -> conditions -> sampling -> autoencoder -> canvas back
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .canvas import Canvas, centres_for, plan
from .canvas.images import check_finite, ensure_rgb, to_image_01, to_pixels
from .conditioning import LATENT_CELL, Condition
from .decode.palette import ADE20K
from .encoders.text import TextEncoder, TextFeatures
from .encoders.vae import LatentCoder
from .encoders.vision import VisionEncoder
from .errors import CanvasError
from .generate import (
    PIXELS_PER_TOKEN_SIDE,
    OnStep,
    SampleSettings,
    Start,
    extrapolation,
    initial_noise,
    sample,
    trained_centre,
)
from .model import NO_SCALING, PixWizard
from .regions import AskedRegions, RegionRequest, ask_regions
from .taught import UNKNOWN, Taught

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Bundle:
    """A transformer with the encoders it was trained with, and its recommended settings.

    centres: sides in px of the squares whose areas the model was trained at. settings: recommended
    in general; task_settings: better ones for single tasks, by task id. palette: title of the
    classes and colours that it paints segmentations with (decode.palette). taught: the tasks it
    knows and the sentences it was asked in.
    """

    model: PixWizard
    text: TextEncoder
    vision: VisionEncoder
    vae: LatentCoder
    centres: tuple[int, ...]
    settings: SampleSettings
    task_settings: Mapping[str, SampleSettings] = field(
        default_factory=dict[str, SampleSettings]
    )
    palette: str = ADE20K
    taught: Taught = UNKNOWN

    def settings_of(self, task_id: str) -> SampleSettings:
        """Recommended settings for a task."""
        return self.task_settings.get(task_id, self.settings)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


class EncodedPictures(NamedTuple):
    """Pictures as the model sees them: image tokens (B, N, width) and latents (B, 4, h, w)."""

    tokens: Tensor
    latent: Tensor


@dataclass(frozen=True)
class Request:
    """What to do with one batch of pictures.

    image_01: (B, 1..4, H, W) in 0..1, any size. instructions: one sentence, or one per picture.
    seeds: one number (picture i gets seed + i) or one per picture; a result depends on its own seed
    only. settings: None uses the bundle's. fit: how to fit the source's shape to the canvas.
    centre: side in px of a square with the area to work at; None takes the trained one nearest in
    area to the source (canvas.auto_centre). Beyond the largest trained one, positions are scaled.
    encoded: Result.encoded of an earlier run with the same pictures, fit and centre, which saves
    encoding them again. regions: sentences for parts of the pictures, later ones on top; the
    instructions are then for the rest. regions_apart: whether regions do not look at each other.
    """

    image_01: Tensor
    instructions: str | Sequence[str]
    seeds: int | Sequence[int] = 0
    settings: SampleSettings | None = None
    fit: str = "stretch"
    centre: int | None = None
    encoded: EncodedPictures | None = None
    regions: Sequence[RegionRequest] = ()
    regions_apart: bool = True


@dataclass(frozen=True)
class Result:
    """image_01: (B, 3, H, W) in 0..1 of the source's size. model_image_01: the same before it is
    restored, at the canvas's model size. latent: (B, 4, h, w) in model space. encoded: the source,
    for Request.encoded of another run. notes: sentences on what was resized, left out or had no
    effect."""

    image_01: Tensor
    model_image_01: Tensor
    latent: Tensor
    canvas: Canvas
    encoded: EncodedPictures
    notes: tuple[str, ...] = ()


@torch.no_grad()
def encode_pictures(bundle: Bundle, fitted_01: Tensor) -> EncodedPictures:
    """Encode pictures (B, 3, H, W) in 0..1, sides multiples of 16, on the bundle's device."""
    pixels = to_pixels(fitted_01).to(bundle.device)
    return EncodedPictures(bundle.vision.encode(pixels), bundle.vae.encode(pixels))


def encode_conditions(
    bundle: Bundle, encoded: EncodedPictures, instructions: Sequence[str]
) -> tuple[Condition, Condition]:
    """Conditions with the instruction, one for each picture, and the same with the empty caption.
    """
    return conditions_of(encoded, bundle.text.encode(list(instructions)), bundle.text.encode([""]))


def conditions_of(
    encoded: EncodedPictures, words: TextFeatures, empty: TextFeatures
) -> tuple[Condition, Condition]:
    """The same from texts that are encoded already. words, empty: of one text, or of one for each
    picture."""
    tokens, latent = encoded
    count = len(latent)
    present = torch.ones(count, dtype=torch.bool, device=latent.device)

    def condition(text: TextFeatures) -> Condition:
        each = (value.expand(count, *value.shape[1:]) for value in text)
        features = TextFeatures(*each)
        return Condition(features.text, features.mask, features.pooled, tokens, present, latent)

    return condition(words), condition(empty)


@torch.no_grad()
def run(bundle: Bundle, request: Request, on_progress: OnProgress | None = None) -> Result:
    """Carry out a request. on_progress(done, total) is called after each solver step.

    Raises CanvasError for pictures that cannot be used, SamplingError when sampling breaks down.
    """
    image, _ = ensure_rgb(request.image_01)
    check_finite(image, "image")
    count, _, height, width = image.shape
    instructions = _one_each(request.instructions, count, "instruction")
    seeds = _seeds(request.seeds, count)
    canvas = plan(width, height, centres_for(request.centre, bundle.centres), request.fit)
    settings = settings_for(canvas, bundle.centres, request.settings or bundle.settings)
    patch = bundle.model.config.patch_size
    regions = ask_regions(
        bundle.text, request.regions, request.regions_apart, canvas, count, patch
    )

    def on_step(index: int, _: Tensor) -> None:
        if on_progress:
            on_progress(index + 1, settings.steps)

    encoded = request.encoded
    if encoded is None:
        encoded = encode_pictures(bundle, canvas.fit_image(image))
    else:
        _check_encoded(encoded, count, canvas)
    latent, painted = answer(
        bundle, encoded, instructions, seeds, settings, regions=regions, on_step=on_step
    )
    restored = canvas.restore_image(painted, image.cpu())
    return Result(restored, painted, latent, canvas, encoded, regions.notes)


@torch.no_grad()
def answer(
    bundle: Bundle,
    encoded: EncodedPictures,
    instructions: Sequence[str],
    seeds: list[int],
    settings: SampleSettings,
    *,
    regions: AskedRegions | None = None,
    start: Start | None = None,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """The part of run() between encoding and restoring. Returns latents (B, 4, h, w) and the
    painted pictures (B, 3, H, W) in 0..1, of the model's size, on the CPU.

    instructions, seeds: one for each. settings: from settings_for(). regions: from ask_regions().
    start: see sample(). Raises SamplingError when sampling breaks down.
    """
    full, empty = encode_conditions(bundle, encoded, instructions)
    if regions is not None:
        full = regions.added_to(full)
    latent, painted = solve(bundle, full, empty, seeds, settings, start=start, on_step=on_step)
    return latent, painted.cpu()


@torch.no_grad()
def solve(
    bundle: Bundle,
    full: Condition,
    empty: Condition,
    seeds: list[int],
    settings: SampleSettings,
    *,
    noise: Tensor | None = None,
    start: Start | None = None,
    on_step: OnStep | None = None,
) -> tuple[Tensor, Tensor]:
    """Turn conditions from encode_conditions() into latents (B, 4, h, w) in model space and their
    pictures (B, 3, H, W) in 0..1. seeds: one for each. noise: of the latents' shape, to begin with;
    None draws it from the seeds. start: see sample()."""
    if not isinstance(full.image_latent, Tensor):
        raise ValueError("solve() takes conditions of pictures of one size")
    if noise is None:
        noise = initial_noise(full.image_latent.shape[1:], seeds)
    noise = noise.to(bundle.device)
    latent = sample(
        bundle.model, full, empty, noise, settings, seeds=seeds, start=start, on_step=on_step
    )
    return latent, to_image_01(bundle.vae.decode(latent)).clamp(0, 1)


def settings_for(
    canvas: Canvas, trained: Sequence[int], settings: SampleSettings
) -> SampleSettings:
    """Settings with a canvas's attention base and, beyond the largest trained size, its position
    scaling. A scaling set by the caller is kept."""
    width, height = canvas.model
    tokens = width * height // PIXELS_PER_TOKEN_SIDE**2
    rope = extrapolation(tokens, trained) if settings.rope == NO_SCALING else settings.rope
    return replace(settings, centre=trained_centre(tokens, trained), rope=rope)


def _check_encoded(encoded: EncodedPictures, count: int, canvas: Canvas) -> None:
    width, height = canvas.model
    rows, _, cells_high, cells_wide = encoded.latent.shape
    size = (cells_wide * LATENT_CELL, cells_high * LATENT_CELL)
    if (rows, *size) != (count, width, height):
        raise CanvasError(
            f"encoded holds {rows} pictures of {size[0]} x {size[1]} px, but the request has "
            f"{count} of {width} x {height} px at the model; leave encoded out"
        )


def _one_each(values: str | Sequence[str], count: int, what: str) -> list[str]:
    listed = [values] if isinstance(values, str) else list(values)
    if len(listed) not in (1, count):
        raise CanvasError(f"{len(listed)} {what}s for {count} pictures; give one, or one for each")
    return listed * count if len(listed) == 1 else listed


def _seeds(seeds: int | Sequence[int], count: int) -> list[int]:
    if isinstance(seeds, int):
        return [seeds + index for index in range(count)]
    if len(seeds) != count:
        raise CanvasError(f"{len(seeds)} seeds for {count} pictures; give one, or one for each")
    return list(seeds)
