"""Training samples of the demo world, encoded once and kept where training reads them.

A sample is what a step needs and nothing else: the input picture (for the image encoder), the
latents of input and target, and the token ids of its instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..encoders.text import Tokenizers
from ..encoders.tiny import load_tokenizer_only, load_vae
from ..encoders.vae import TaesdCoder
from ..tasks import TASKS
from .examples import WORLD_TASKS, make_examples
from .world import sample_scenes

# Sides around the 128 px centre, so that the canvas and the rotary positions are exercised.
BUCKETS = ((128, 128), (112, 144), (144, 112), (96, 160), (160, 96))
BUCKET_SHARES = (0.5, 0.15, 0.15, 0.1, 0.1)
TASK_IDS = tuple(TASKS)
CHUNK = 2048


@dataclass
class Samples:
    """Samples of one picture size. pictures: (n, 3, H, W) uint8; source, target: (n, 4, h, w)
    float16 latents; ids, clip_ids: (n, T) int16, right-padded; lengths: (n,) tokens in use;
    task: (n,) index into TASK_IDS."""

    pictures: Tensor
    source: Tensor
    target: Tensor
    ids: Tensor
    lengths: Tensor
    clip_ids: Tensor
    task: Tensor

    def __len__(self) -> int:
        return len(self.task)

    def tensors(self) -> dict[str, Tensor]:
        return dict(vars(self))

    def to(self, device) -> Samples:
        return Samples(**{name: value.to(device) for name, value in vars(self).items()})

    @classmethod
    def cat(cls, parts: list[Samples]) -> Samples:
        width = max(part.ids.shape[1] for part in parts)

        def widen(ids: Tensor) -> Tensor:
            return torch.nn.functional.pad(ids, (0, width - ids.shape[1]))

        joined = {}
        for name in vars(parts[0]):
            values = [getattr(part, name) for part in parts]
            joined[name] = torch.cat([widen(v) for v in values] if name == "ids" else values)
        return cls(**joined)


def draw_tasks(count: int, generator: torch.Generator) -> list[str]:
    """Task ids for a chunk. Drawn flatter than the training weights (their square root), so that
    rare tasks have enough different samples; training draws by the true weights."""
    weights = torch.tensor([weight for weight, _ in WORLD_TASKS.values()]).sqrt()
    picks = torch.multinomial(weights, count, replacement=True, generator=generator)
    names = list(WORLD_TASKS)
    return [names[pick] for pick in picks.tolist()]


@torch.no_grad()
def produce(
    bucket: tuple[int, int], count: int, seed: int, vae: TaesdCoder, text: Tokenizers, device
) -> Samples:
    """count samples of one (height, width), from their own seed. Result is on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    scenes = sample_scenes(count, generator)
    examples = make_examples(
        draw_tasks(count, generator), scenes, *bucket, generator=generator, device=device
    )

    def encode(pictures: Tensor) -> Tensor:
        with torch.autocast(pictures.device.type, torch.bfloat16):
            latent = torch.cat([vae.encode(part * 2 - 1) for part in pictures.split(256)])
        return latent.half().cpu()

    ids, mask, clip_ids, _ = text.tokenize(examples.instructions)
    return Samples(
        pictures=(examples.inputs * 255).round().byte().cpu(),
        source=encode(examples.inputs),
        target=encode(examples.targets),
        ids=ids.to(torch.int16).cpu(),
        lengths=mask.sum(1).to(torch.int16).cpu(),
        clip_ids=clip_ids.to(torch.int16).cpu(),
        task=torch.tensor([TASK_IDS.index(task) for task in examples.tasks], dtype=torch.int16),
    )


def plan(total: int) -> list[tuple[int, tuple[int, int], int]]:
    """(index, bucket, count) of the chunks that make total samples."""
    chunks = []
    for bucket, share in zip(BUCKETS, BUCKET_SHARES, strict=True):
        left = round(total * share)
        while left > 0:
            chunks.append((len(chunks), bucket, min(CHUNK, left)))
            left -= CHUNK
    return chunks


def _produce_files(worker: int, workers: int, chunks, seed: int, folder: str, device: str) -> None:
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = False
    vae, text = load_vae(device=device), load_tokenizer_only()
    for index, bucket, count in chunks[worker::workers]:
        path = Path(folder) / f"chunk_{index:05d}.pt"
        if path.exists():
            continue
        samples = produce(bucket, count, seed * 1_000_003 + index, vae, text, device)
        part = path.with_suffix(f".part{worker}")
        torch.save(samples.tensors(), part)
        part.rename(path)


def build(
    total: int, seed: int, folder: Path, device: str, workers: int = 1
) -> dict[tuple[int, int], Samples]:
    """Samples per bucket, produced by several processes into folder (finished chunks are kept)."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = plan(total)
    arguments = (workers, chunks, seed, str(folder), device)
    if workers > 1:
        torch.multiprocessing.spawn(_produce_files, arguments, nprocs=workers)
    else:
        _produce_files(0, *arguments)
    parts: dict[tuple[int, int], list[Samples]] = {}
    for index, bucket, _ in chunks:
        stored = torch.load(folder / f"chunk_{index:05d}.pt", weights_only=True)
        parts.setdefault(bucket, []).append(Samples(**stored))
    return {bucket: Samples.cat(items).to(device) for bucket, items in parts.items()}
