"""Make the training samples of the demo world: rendered, encoded once and stored in chunks."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from ..encoders.tiny import BUNDLE, VAE_FILE, load_tokenizer_only
from ..encoders.vae import LatentCoder, TaesdCoder, load_latent_coder
from ..errors import PixWizardError
from ..torch_types import channels_last
from ..world import sample_scenes
from ..world.examples import WORLD_TASKS, make_examples
from ..world.mixture import device_generator
from ..world.photograph_tasks import PHOTOGRAPH_TASKS, show
from ..world.photographs import pieces
from ..world.wordings import ask
from .samples import PHOTOGRAPHS, ROOMS, TASK_IDS, EncodedExamples, Group, Samples, asked

# Sizes around the 128 px centre, to exercise the canvas and the rotary positions.
BUCKETS = ((128, 128), (112, 144), (144, 112), (96, 160), (160, 96))
BUCKET_SHARES = (0.5, 0.15, 0.15, 0.1, 0.1)


def draw_tasks(
    count: int, generator: torch.Generator, among: Sequence[str] = tuple(WORLD_TASKS)
) -> list[str]:
    """Draw task ids for the scenes of a chunk, by the square root of the training weights, so that
    rare tasks have enough different samples; training draws by the weights themselves."""
    weights = torch.tensor([WORLD_TASKS[task][0] for task in among]).sqrt()
    picks: list[int] = torch.multinomial(
        weights, count, replacement=True, generator=generator
    ).tolist()
    return [among[pick] for pick in picks]


class Encoder:
    """Encode pictures to float16 latents on the CPU, each different picture once."""

    def __init__(self, vae: LatentCoder) -> None:
        self.vae = vae
        self.known: list[tuple[Tensor, Tensor]] = []

    def __call__(self, pictures: Tensor, remember: bool = False) -> Tensor:
        latents = pictures.new_empty(len(pictures), 4, *(side // 8 for side in pictures.shape[2:]))
        todo = torch.ones(len(pictures), dtype=torch.bool, device=pictures.device)
        for before, latent in self.known:
            same = todo & (before == pictures).flatten(1).all(1)
            latents[same], todo = latent[same], todo & ~same
        if todo.any():
            latents[todo] = self._encode(pictures[todo])
        if remember:
            self.known.append((pictures, latents))
        return latents.half().cpu()

    def _encode(self, pictures: Tensor) -> Tensor:
        part = 256 if pictures.is_cuda else 16
        with torch.autocast(pictures.device.type, torch.bfloat16):
            pixels = (pictures * 2 - 1).contiguous(memory_format=torch.channels_last)
            return torch.cat([self.vae.encode(some) for some in pixels.split(part)]).float()


@torch.no_grad()
def produce(
    bucket: tuple[int, int],
    scenes: int,
    tasks: Sequence[str],
    seed: int,
    vae: LatentCoder,
    device,
) -> EncodedExamples:
    """Make one example of each task for each scene, all of one (height, width), from a seed.

    The pictures of a scene are encoded once for all its tasks. The result is on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    rooms = sample_scenes(scenes, generator)
    encode, parts = Encoder(vae), []
    for task in tasks:
        examples = make_examples([task] * scenes, rooms, *bucket, generator, device)
        if not encode.known:
            encode(examples.truth["rgb"], remember=True)
        parts.append(encoded(task, examples.inputs, examples.targets, examples.words, encode))
    return EncodedExamples.cat(parts)


@torch.no_grad()
def produce_photographs(
    bucket: tuple[int, int], count: int, tasks: Sequence[str], seed: int, vae: LatentCoder, device
) -> EncodedExamples:
    """Make one example of each task for each piece of a photograph, like produce()."""
    generator = torch.Generator().manual_seed(seed)
    shown = pieces(count, *bucket, generator).to(device)
    local = device_generator(generator, device)
    encode, parts = Encoder(vae), []
    encode(shown, remember=True)
    for task in tasks:
        made = show(task, shown, local)
        parts.append(encoded(task, made.inputs, made.targets, [{}] * count, encode))
    return EncodedExamples.cat(parts)


def encoded(
    task: str, inputs: Tensor, targets: Tensor, words: list[dict[str, str]], encode: Encoder
) -> EncodedExamples:
    """Convert examples of one task, pictures (n, 3, H, W) in 0..1, to their stored form."""
    return EncodedExamples(
        pictures=(inputs * 255).round().byte().cpu(),
        source=encode(inputs),
        target=encode(targets),
        task=torch.full((len(inputs),), TASK_IDS.index(task), dtype=torch.int16),
        words=words,
    )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A unit of work: a number of scenes, or of pieces of photographs, of one group."""

    index: int
    group: Group
    count: int


def plan(scenes: int, chunk: int, photographs: int = 0) -> list[Chunk]:
    """Split a number of scenes and of pieces of photographs into chunks."""
    chunks: list[Chunk] = []
    for source, total in ((ROOMS, scenes), (PHOTOGRAPHS, photographs)):
        for bucket, share in zip(BUCKETS, BUCKET_SHARES, strict=True):
            left = round(total * share)
            while left > 0:
                chunks.append(Chunk(len(chunks), Group(*bucket, source), min(chunk, left)))
                left -= chunk
    return chunks


@dataclass(frozen=True, slots=True)
class Order:
    """What to make. photographs: pieces of photographs to add to the scenes. tasks: the tasks of
    every scene; empty draws tasks_per_scene for each chunk. chunk: scenes at a time. sentences:
    instructions kept for each example. autoencoder: the file that encodes, "" for the bundled
    one."""

    scenes: int
    photographs: int = 0
    autoencoder: str = ""
    tasks: tuple[str, ...] = ()
    tasks_per_scene: int = 12
    chunk: int = 1024
    sentences: int = 6
    seed: int = 0


def tasks_of_chunk(order: Order, source: str, seed: int) -> Sequence[str]:
    """The tasks of every scene or piece of a chunk: those ordered, or some drawn by the seed; for
    photographs only those that they can show."""
    able = [*WORLD_TASKS] if source == ROOMS else [t for t in WORLD_TASKS if t in PHOTOGRAPH_TASKS]
    if order.tasks:
        return [task for task in order.tasks if task in able]
    return draw_tasks(order.tasks_per_scene, torch.Generator().manual_seed(seed), able)


def _produce_files(worker: int, workers: int, order: Order, folder: str, device: str) -> None:
    vae = load_latent_coder(order.autoencoder or BUNDLE / VAE_FILE, device=device)
    if isinstance(vae, TaesdCoder):
        channels_last(vae.model)
    for chunk in plan(order.scenes, order.chunk, order.photographs)[worker::workers]:
        path = Path(folder) / f"chunk_{chunk.index:05d}.pt"
        if path.exists():
            continue
        seed = order.seed * 1_000_003 + chunk.index
        makes = produce if chunk.group.source == ROOMS else produce_photographs
        tasks = tasks_of_chunk(order, chunk.group.source, seed)
        made = makes(chunk.group[:2], chunk.count, tasks, seed, vae, device)
        part = path.with_suffix(f".part{worker}")
        torch.save(vars(made), part)
        part.rename(path)


def _worker(worker: int, *arguments) -> None:
    torch.set_num_threads(1)  # the processes share the cores
    _produce_files(worker, *arguments)


def _same_order(order: Order, folder: Path) -> None:
    """Record the order of a folder's samples, so that a run with another order does not use them.
    Raises PixWizardError for a folder with another order."""
    note = folder / "order.json"
    text = json.dumps(asdict(order))
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise PixWizardError(
            f"{folder} has samples of another kind ({note.read_text(encoding='utf-8')}); "
            "choose another work folder or delete this one"
        )
    note.write_text(text, encoding="utf-8")


def build(order: Order, folder: Path, device: str, workers: int = 1) -> dict[Group, Samples]:
    """Make the samples of each group with several processes in folder (finished chunks are kept).

    Raises PixWizardError when the folder has samples of another order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _same_order(order, folder)
    arguments = (workers, order, str(folder), device)
    if workers > 1:
        spawn(_worker, arguments, nprocs=workers)
    else:
        _produce_files(0, *arguments)
    parts: dict[Group, list[Samples]] = {}
    text, rng = load_tokenizer_only(), random.Random(order.seed)
    for chunk in plan(order.scenes, order.chunk, order.photographs):
        stored = torch.load(folder / f"chunk_{chunk.index:05d}.pt", weights_only=True)
        drawn = EncodedExamples(**stored)
        tasks = [TASK_IDS[i] for i in drawn.task.tolist()]
        pairs = zip(tasks, drawn.words, strict=True)
        sentences = [[ask(*pair, rng) for _ in range(order.sentences)] for pair in pairs]
        parts.setdefault(chunk.group, []).append(asked(drawn, sentences, text))
    return {group: Samples.cat(items).to(device) for group, items in parts.items()}
