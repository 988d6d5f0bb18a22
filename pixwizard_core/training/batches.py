"""Input of a training step: its settings, a batch, and the sampler that draws batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..world.examples import WORLD_TASKS
from .samples import PHOTOGRAPHS, TASK_IDS, Group, Samples

SPECIAL_TOKENS = 3  # padding, end and start come first in the bundled tokenizer


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run; saved in its checkpoint.

    minutes: wall-clock budget, which also drives the schedules. steps: a budget of steps instead,
    0 for none. boost_until: share of the run in which small tasks are drawn more often (the paper's
    first stage). text2image_share: share of samples that paint from words alone in the second
    stage; the paper's is 0.5, 0 keeps the world's. drop_*: share of samples that lose the text, the
    image, or both. focus: extra weight of the places that a task changes, until that share of the
    run; then all places weigh the same, which removes the bias. shares: task -> how often it is
    drawn, instead of the world's own share. freeze_vision: keep the image encoder fixed, so that
    each picture passes through it only once in the run.
    photographs: share of the steps on photographs, if there are samples of them.
    garble_words: largest share of a sentence's words to replace by random ones, so that the model
    understands new sentences by the words they share with known ones.
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
    text2image_share: float = 0.0
    drop_text: float = 0.05
    drop_image: float = 0.05
    drop_both: float = 0.05
    focus: float = 0.0
    focus_until: float = 0.7
    garble_words: float = 0.0
    freeze_vision: bool = False
    photographs: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    time_mean: float = -0.4
    time_spread: float = 1.2
    seed: int = 0
    log_every: int = 100
    save_every_seconds: float = 120.0


@dataclass
class TrainingBatch:
    """Tensors of one step. drop_image: (B,) bool. pictures: (B, 3, H, W) in -1..1, or image_tokens:
    (B, N, D) if the image encoder has already run; the other one is None."""

    pictures: Tensor | None
    source: Tensor
    target: Tensor
    ids: Tensor
    mask: Tensor
    clip_ids: Tensor
    task: Tensor
    drop_image: Tensor
    image_tokens: Tensor | None = None


def in_range(pictures: Tensor) -> Tensor:
    """Convert 8-bit pictures to -1..1, the image encoder's input."""
    return pictures.float() / 127.5 - 1


class KnownTokens:
    """Image tokens of all samples, each different picture encoded once, kept as float16.

    look: pictures (B, 3, H, W) in -1..1 to tokens (B, N, D).
    """

    def __init__(self, data: Samples, look: Callable[[Tensor], Tensor], at_once: int = 32) -> None:
        rows: dict[bytes, int] = {}
        places, first = [], []
        for index, latent in enumerate(data.source.cpu().numpy()):
            key = latent.tobytes()  # equal pictures have equal latents, which take less memory
            if key not in rows:
                rows[key] = len(rows)
                first.append(index)
            places.append(rows[key])
        self.row = torch.tensor(places, device=data.task.device)
        parts = [
            look(in_range(data.pictures[some])).half()
            for some in torch.tensor(first, device=data.task.device).split(at_once)
        ]
        self.tokens = torch.cat(parts)

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.tokens[self.row[index]].float()


def task_weights(settings: TrainSettings, progress: float) -> Tensor:
    """How often each task of the world is drawn, in the order of WORLD_TASKS."""
    first_stage = progress < settings.boost_until
    weights = torch.tensor(
        [
            settings.shares.get(task, weight) * (boost if first_stage else 1.0)
            for task, (weight, boost) in WORLD_TASKS.items()
        ]
    )
    share = settings.text2image_share
    if share and not first_stage:
        place = list(WORLD_TASKS).index("text2image")
        weights[place] = 0
        weights[place] = weights.sum() * share / (1 - share)
    return weights


class Sampler:
    """Draws batches of one group at a time: rooms or photographs by the settings, groups by their
    number of samples, tasks by their weights."""

    def __init__(
        self,
        samples: dict[Group, Samples],
        empty: tuple[Tensor, Tensor, Tensor],
        look: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.samples, self.empty = samples, empty
        self.known = (
            {group: KnownTokens(data, look) for group, data in samples.items()} if look else {}
        )
        self.groups = list(samples)
        self.sizes = torch.tensor([float(len(samples[group])) for group in self.groups])
        self.of_photographs = torch.tensor([g.source == PHOTOGRAPHS for g in self.groups])
        known = [TASK_IDS.index(name) for name in WORLD_TASKS]
        self.order, self.counts = {}, {}
        for group, data in samples.items():
            rows = [(data.task == index).nonzero()[:, 0] for index in known]
            self.order[group] = torch.cat(rows)
            self.counts[group] = torch.tensor([len(row) for row in rows])

    def shares(self, photographs: float) -> Tensor:
        """How often to draw each group when this share of the steps uses photographs. If only one
        kind has samples, it gets all steps."""
        totals = [(self.sizes * kind).sum() for kind in (self.of_photographs, ~self.of_photographs)]
        if not min(totals):
            return self.sizes
        return self.sizes * torch.where(
            self.of_photographs, photographs / totals[0], (1 - photographs) / totals[1]
        )

    def draw(
        self, settings: TrainSettings, progress: float, generator: torch.Generator
    ) -> TrainingBatch:
        shares = self.shares(settings.photographs)
        group = self.groups[int(torch.multinomial(shares, 1, generator=generator))]
        data, counts = self.samples[group], self.counts[group]
        weights = task_weights(settings, progress) * (counts > 0)
        tasks = torch.multinomial(weights, settings.batch, replacement=True, generator=generator)
        spots = torch.rand(settings.batch, generator=generator, dtype=torch.float64)
        places = (counts.cumsum(0) - counts)[tasks] + (spots * counts[tasks]).long()
        index = self.order[group][places.to(data.task.device)]
        tokens = self.known[group][index] if self.known else None
        return assemble(data, index, settings, generator, self.empty, tokens)


def assemble(
    data: Samples,
    index: Tensor,
    settings: TrainSettings,
    generator: torch.Generator,
    empty: tuple[Tensor, Tensor, Tensor],
    tokens: Tensor | None = None,
) -> TrainingBatch:
    """Make a batch of the samples at index (B,): one of the sentences of each, words and picture
    dropped as often as settings say. empty: ids, mask and CLIP ids of the empty caption, which
    replaces dropped words. tokens: of the pictures, if known."""
    device = data.task.device
    fate = torch.rand(len(index), generator=generator).to(device)
    drop_text = fate < settings.drop_text + settings.drop_both
    drop_image = (fate >= settings.drop_text) & (
        fate < settings.drop_text + settings.drop_both + settings.drop_image
    )
    empty_ids, empty_mask, empty_clip = (value.to(device) for value in empty)
    which = torch.randint(0, data.ids.shape[1], (len(index),), generator=generator).to(device)
    ids = data.ids[index, which].long()
    mask = torch.arange(ids.shape[1], device=device) < data.lengths[index, which][:, None]
    clip_ids = data.clip_ids[index, which].long()
    if settings.garble_words:
        ids, clip_ids = (garble(rows, settings.garble_words, generator) for rows in (ids, clip_ids))
    width = ids.shape[1] - empty_ids.shape[1]
    ids = torch.where(drop_text[:, None], nn.functional.pad(empty_ids.long(), (0, width)), ids)
    mask = torch.where(drop_text[:, None], nn.functional.pad(empty_mask.bool(), (0, width)), mask)
    clip_ids = torch.where(drop_text[:, None], empty_clip.long(), clip_ids)
    return TrainingBatch(
        pictures=in_range(data.pictures[index]) if tokens is None else None,
        source=data.source[index].float(),
        target=data.target[index].float(),
        ids=ids,
        mask=mask,
        clip_ids=clip_ids,
        task=data.task[index].long(),
        drop_image=drop_image,
        image_tokens=tokens,
    )


def garble(ids: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Replace some token ids (B, T) by others of the batch; each row draws its own share, up to
    most. Special tokens, which are the lowest ids, stay in place."""
    shares = most * torch.rand(len(ids), 1, generator=generator)
    hit = (torch.rand(ids.shape, generator=generator) < shares).to(ids.device)
    words = ids[ids >= SPECIAL_TOKENS]
    picks = torch.randint(0, max(1, len(words)), ids.shape, generator=generator).to(ids.device)
    return torch.where(hit & (ids >= SPECIAL_TOKENS), words[picks], ids) if len(words) else ids
