"""Train a LoRA for any PixWizard: on the demo world, or on your own pictures.

List your own examples in a JSONL file, one object per line: "input" and "target", picture files
(relative to the list), and "instruction". Leave out "input" for text to image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..canvas import centres_for, plan
from ..canvas.images import to_pixels
from ..errors import PixWizardError
from ..files.picture_files import open_picture
from ..json_text import json_lines
from ..pipeline import Bundle
from ..weights.lora import LoraSettings, add_lora, trainable
from ..world.examples import make_examples
from ..world.held_out import check_tasks
from ..world.scenes import sample_scenes
from .batches import Sampler, TrainingBatch, TrainSettings, assemble
from .dataset import EncodedExamples, Samples, asked
from .loop import Trainee, flow_loss

DEFAULTS = TrainSettings(batch=8, learning_rate=3e-4, warmup_steps=20, weight_decay=0.0)
ENCODED_AT_ONCE = 16


@dataclass(frozen=True)
class Triple:
    """One example: the input picture or None, the target picture and the instruction."""

    input: Path | None
    target: Path
    instruction: str


def read_triples(path: str | Path) -> list[Triple]:
    """Read the examples of a JSONL list. Raises PixWizardError naming the line that is wrong."""
    path = Path(path)
    if not path.is_file():
        raise PixWizardError(
            f"there is no list of examples {path.name} in {path.parent.absolute()}"
        )
    triples = []
    for number, line, row in json_lines(path, PixWizardError):
        if not _is_example(row):
            raise PixWizardError(
                f'{path.name}, line {number} needs "target" and "instruction" (and "input", but '
                f"for text to image). Got: {line[:80]}"
            )
        given = path.parent / row["input"] if row.get("input") else None
        triples.append(Triple(given, path.parent / row["target"], str(row["instruction"])))
    if not triples:
        raise PixWizardError(f"{path.name} lists no examples")
    return triples


def _is_example(row) -> bool:
    """Whether a row has a target and an instruction, and names pictures by text."""
    return (
        isinstance(row, dict)
        and bool(row.get("target"))
        and "instruction" in row
        and all(isinstance(row.get(name) or "", str) for name in ("target", "input"))
    )


@torch.no_grad()
def encode_triples(bundle: Bundle, triples: list[Triple]) -> dict[tuple[int, int], Samples]:
    """Encode examples for training, by (height, width) in px, on the bundle's device.

    Both pictures are stretched to the canvas of the target, at the centre nearest to its area; a
    missing input is black.
    """
    parts: dict[tuple[int, int], list[Samples]] = {}
    centres = centres_for(None, bundle.centres)
    for triple in triples:
        target = open_picture(triple.target)
        canvas = plan(target.shape[-1], target.shape[-2], centres, "stretch")
        target = canvas.fit_image(target)
        height, width = target.shape[-2:]
        given = torch.zeros_like(target)
        if triple.input:
            picture = open_picture(triple.input)
            size = plan(picture.shape[-1], picture.shape[-2], (canvas.centre,), "stretch")
            given = size.fit_image(picture)
            if given.shape != target.shape:
                given = nn.functional.interpolate(picture, (height, width), mode="bicubic")
                given = given.clamp(0, 1)
        rows = _encode(bundle, given, target, [triple.instruction])
        parts.setdefault((height, width), []).append(rows)
    return {size: Samples.cat(rows).to(bundle.device) for size, rows in parts.items()}


@torch.no_grad()
def world_samples(
    bundle: Bundle, tasks: list[str], count: int, seed: int = 0
) -> dict[tuple[int, int], Samples]:
    """Make count examples of each task from the demo world, at the bundle's smallest trained
    size."""
    side, parts = min(bundle.centres), []
    for number, task in enumerate(check_tasks(tasks)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        scenes = sample_scenes(count, generator)
        examples = make_examples([task] * count, scenes, side, side, generator, "cpu")
        for start in range(0, count, ENCODED_AT_ONCE):
            rows = slice(start, start + ENCODED_AT_ONCE)
            pictures = (examples.inputs[rows], examples.targets[rows])
            parts.append(_encode(bundle, *pictures, examples.instructions[rows]))
    return {(side, side): Samples.cat(parts).to(bundle.device)}


def _encode(bundle: Bundle, given: Tensor, target: Tensor, instructions: list[str]) -> Samples:
    def latent(picture: Tensor) -> Tensor:
        return bundle.vae.encode(to_pixels(picture).to(bundle.device)).float().cpu()

    drawn = EncodedExamples(
        pictures=(given * 255).round().byte(),
        source=latent(given),
        target=latent(target),
        task=torch.zeros(len(given), dtype=torch.int16),
        words=[{} for _ in instructions],
    )
    return asked(drawn, [[sentence] for sentence in instructions], bundle.text)


class PlainSampler:
    """Draws batches of one size at a time, every example equally often."""

    def __init__(
        self,
        samples: dict[tuple[int, int], Samples],
        empty: tuple[Tensor, Tensor, Tensor],
    ) -> None:
        self.samples, self.empty = list(samples.values()), empty
        self.shares = torch.tensor([float(len(rows)) for rows in self.samples])

    def draw(
        self, settings: TrainSettings, progress: float, generator: torch.Generator
    ) -> TrainingBatch:
        data = self.samples[int(torch.multinomial(self.shares, 1, generator=generator))]
        index = torch.randint(0, len(data), (settings.batch,), generator=generator)
        return assemble(data, index.to(data.task.device), settings, generator, self.empty)


def empty_caption(bundle: Bundle) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and CLIP ids of the empty caption, which replaces dropped words."""
    ids, mask, clip_ids, _ = bundle.text.tokenize([""])
    return ids, mask, clip_ids


def train_lora(
    bundle: Bundle,
    sampler: Sampler | PlainSampler,
    lora: LoraSettings,
    *,
    steps: int,
    settings: TrainSettings = DEFAULTS,
) -> Iterator[float]:
    """Add a LoRA to the bundle's model and train it for some steps; yields each step's loss.

    The encoders are not changed. Write the result with save_lora().
    """
    add_lora(bundle.model, lora)
    parameters = trainable(bundle.model)
    trainee = Trainee(bundle.model, bundle.text, bundle.vision)
    optimizer = torch.optim.AdamW(
        parameters, settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
    )
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.Generator(bundle.device).manual_seed(settings.seed + 1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(settings, step, steps)
        batch = sampler.draw(settings, step / steps, generator)
        with torch.autocast(bundle.device.type, dtype=torch.bfloat16):
            loss = flow_loss(trainee, batch, settings, noise).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimizer.step()
        yield float(loss.detach())


def rate(settings: TrainSettings, step: int, steps: int) -> float:
    """Learning rate: warm-up, then a half cosine to zero."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
