"""What a training step is fed: its settings, a batch, and the sampler that draws batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .dataset import TASK_IDS, Samples
from .examples import WORLD_TASKS

SPECIAL_TOKENS = 3  # padding, end and start come first in the bundled tokenizer


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run; they travel with its checkpoint.

    minutes: wall-clock budget, which also drives the schedules. steps: a budget of steps in its
    place, 0 for none. boost_until: share of the run in which small tasks are drawn more often (the
    paper's first stage). drop_*: share of samples that lose the text, the image, or both.
    garble_words: largest share of a sentence's words that are replaced by random ones, so that
    sentences never seen are understood by the words they share with seen ones.
    """

    minutes: float = 90.0
    steps: int = 0
    batch: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 150
    flat_until: float = 0.4
    weight_decay: float = 0.01
    ema: float = 0.999
    clip: float = 1.0
    boost_until: float = 0.35
    drop_text: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05
    garble_words: float = 0.0
    time_mean: float = -0.4
    time_spread: float = 1.2
    seed: int = 0
    log_every: int = 100
    save_every_seconds: float = 120.0


@dataclass
class Batch:
    """Tensors of one step. pictures: (B, 3, H, W) -1..1. dropped_*: (B,) bool."""

    pictures: Tensor
    source: Tensor
    target: Tensor
    ids: Tensor
    mask: Tensor
    clip_ids: Tensor
    task: Tensor
    drop_image: Tensor


class Sampler:
    """Draws batches of one picture size at a time, tasks by their weights."""

    def __init__(
        self, samples: dict[tuple[int, int], Samples], empty: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        self.samples, self.empty = samples, empty
        self.buckets = list(samples)
        self.shares = torch.tensor([float(len(samples[bucket])) for bucket in self.buckets])
        known = [TASK_IDS.index(name) for name in WORLD_TASKS]
        self.order, self.counts = {}, {}
        for bucket, data in samples.items():
            rows = [(data.task == index).nonzero()[:, 0] for index in known]
            self.order[bucket] = torch.cat(rows)
            self.counts[bucket] = torch.tensor([len(row) for row in rows])

    def draw(self, settings: TrainSettings, progress: float, generator: torch.Generator) -> Batch:
        bucket = self.buckets[int(torch.multinomial(self.shares, 1, generator=generator))]
        data, counts = self.samples[bucket], self.counts[bucket]
        boosted = progress < settings.boost_until
        weights = torch.tensor(
            [weight * (boost if boosted else 1.0) for weight, boost in WORLD_TASKS.values()]
        ) * (counts > 0)
        tasks = torch.multinomial(weights, settings.batch, replacement=True, generator=generator)
        spots = torch.rand(settings.batch, generator=generator, dtype=torch.float64)
        places = (counts.cumsum(0) - counts)[tasks] + (spots * counts[tasks]).long()
        index = self.order[bucket][places.to(data.task.device)]
        return self._assemble(data, index, settings, generator)

    def _assemble(
        self, data: Samples, index: Tensor, settings: TrainSettings, generator: torch.Generator
    ) -> Batch:
        device = data.task.device
        fate = torch.rand(len(index), generator=generator).to(device)
        drop_text = fate < settings.drop_text + settings.drop_both
        drop_image = (fate >= settings.drop_text) & (
            fate < settings.drop_text + settings.drop_both + settings.drop_image
        )
        empty_ids, empty_mask, empty_clip = (value.to(device) for value in self.empty)
        ids = data.ids[index].long()
        mask = torch.arange(ids.shape[1], device=device) < data.lengths[index][:, None]
        clip_ids = data.clip_ids[index].long()
        if settings.garble_words:
            ids, clip_ids = (
                garble(rows, settings.garble_words, generator) for rows in (ids, clip_ids)
            )
        width = ids.shape[1] - empty_ids.shape[1]
        ids = torch.where(drop_text[:, None], nn.functional.pad(empty_ids.long(), (0, width)), ids)
        mask = torch.where(
            drop_text[:, None], nn.functional.pad(empty_mask.bool(), (0, width)), mask
        )
        clip_ids = torch.where(drop_text[:, None], empty_clip.long(), clip_ids)
        return Batch(
            pictures=data.pictures[index].float() / 127.5 - 1,
            source=data.source[index].float(),
            target=data.target[index].float(),
            ids=ids,
            mask=mask,
            clip_ids=clip_ids,
            task=data.task[index].long(),
            drop_image=drop_image,
        )


def garble(ids: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Token ids (B, T) with some replaced by others of the batch; each row has its own share, up
    to most. Special tokens, which are the lowest ids, keep their places."""
    shares = most * torch.rand(len(ids), 1, generator=generator)
    hit = (torch.rand(ids.shape, generator=generator) < shares).to(ids.device)
    words = ids[ids >= SPECIAL_TOKENS]
    picks = torch.randint(0, max(1, len(words)), ids.shape, generator=generator).to(ids.device)
    return torch.where(hit & (ids >= SPECIAL_TOKENS), words[picks], ids) if len(words) else ids
