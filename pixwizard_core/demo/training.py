"""Trains the bundled model: flow matching on the demo world, with its encoders along.

Objective: x_t = t x1 + (1 - t) x0 with x0 noise and x1 the target's latent; the model learns
x1 - x0. Conditions are dropped so that guidance works; image tokens are drawn with straight-through
Gumbel noise. Source: paper 3.1, 3.3, C.3, D.5.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..conditioning import Condition
from ..encoders.text import TextEncoder
from ..encoders.vision import VisionEncoder
from ..model import PixWizard, gumbel_noise
from .dataset import TASK_IDS, Samples
from .examples import WORLD_TASKS


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run; they travel with its checkpoint.

    minutes: wall-clock budget, which also drives the schedules. steps: a budget of steps in its
    place, 0 for none. boost_until: share of the run in
    which small tasks are drawn more often (the paper's first stage). drop_*: share of samples that
    lose the text, the image, or both.
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
    time_mean: float = -0.4
    time_spread: float = 1.2
    seed: int = 0
    log_every: int = 100
    save_every_seconds: float = 120.0


class Trainee(nn.Module):
    """All that is trained together: the transformer and its text and image encoders."""

    def __init__(self, model: PixWizard, text: TextEncoder, vision: VisionEncoder) -> None:
        super().__init__()
        self.model, self.text, self.vision = model, text, vision


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


def initialise(model: PixWizard, generator: torch.Generator) -> None:
    """Start values for training from nothing.

    Norms start at one and biases at zero; residual gates start half open and the velocity at zero.
    Differs from the reference, which starts its new gates at zero because it begins from a trained
    text-to-image model.
    """
    for name, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            parameter.data.normal_(0, parameter.shape[1] ** -0.5, generator=generator)
        elif name.endswith("gate") or name.endswith("gate_for_ii"):
            parameter.data.fill_(0.5)
        elif name.endswith("pad_token"):
            parameter.data.normal_(0, 0.02, generator=generator)
        else:
            parameter.data.fill_(1.0 if name.endswith("weight") else 0.0)
    for block in model.layers:
        linear = block.adaLN_modulation[1]
        linear.weight.data.mul_(0.1)
        _, gate_a, _, gate_f = linear.bias.data.chunk(4)
        gate_a.fill_(0.5)
        gate_f.fill_(0.5)
    for linear in (model.final_layer.linear, model.final_layer.adaLN_modulation[1]):
        linear.weight.data.zero_()


def draw_times(count: int, settings: TrainSettings, generator: torch.Generator, device) -> Tensor:
    """Times in [0, 1): logit-normal leaning to noise, where dense tasks are decided."""
    normal = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(normal * settings.time_spread + settings.time_mean).to(device)


def conditions(trainee: Trainee, batch: Batch, noise: Tensor) -> Condition:
    """Encode a batch's conditions with gradients; rows without an image see zeros and the noise."""
    features = trainee.text.features(batch.ids, batch.mask, batch.clip_ids)
    keep = ~batch.drop_image
    tokens = trainee.vision.encode(batch.pictures)
    tokens = tokens * keep[:, None, None].to(tokens)
    latent = torch.where(keep[:, None, None, None], batch.source, noise)
    return Condition(features.text, features.mask, features.pooled, tokens, keep, latent)


def flow_loss(
    trainee: Trainee, batch: Batch, settings: TrainSettings, generator: torch.Generator
) -> Tensor:
    """Squared velocity error per sample (B,), and the times it was taken at."""
    device, count = batch.target.device, len(batch.target)
    noise = torch.randn(batch.target.shape, generator=generator, device=generator.device)
    noise = noise.to(device)
    t = draw_times(count, settings, generator, device)
    at = t[:, None, None, None]
    mixed = at * batch.target + (1 - at) * noise
    condition = conditions(trainee, batch, noise)
    shape = (len(trainee.model.layers), count, condition.image_tokens.shape[1])
    gumbel = gumbel_noise(shape, generator, device)
    velocity = trainee.model(mixed, t, condition, gumbel=gumbel, straight_through=True)
    return (velocity.float() - (batch.target - noise)).square().mean((1, 2, 3))


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
        width = ids.shape[1] - empty_ids.shape[1]
        ids = torch.where(drop_text[:, None], nn.functional.pad(empty_ids.long(), (0, width)), ids)
        mask = torch.where(
            drop_text[:, None], nn.functional.pad(empty_mask.bool(), (0, width)), mask
        )
        clip_ids = torch.where(drop_text[:, None], empty_clip.long(), data.clip_ids[index].long())
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


def learning_rate(settings: TrainSettings, step: int, progress: float) -> float:
    """Warm-up by steps, flat, then a cosine to a hundredth by progress in [0, 1]."""
    if progress <= settings.flat_until:
        decay = 1.0
    else:
        along = min(1.0, (progress - settings.flat_until) / (1 - settings.flat_until))
        decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along))
    return settings.learning_rate * min(1.0, (step + 1) / settings.warmup_steps) * decay


class Run:
    """A training run that can stop and go on: weights, averages, optimiser, generators, clock."""

    def __init__(self, trainee: Trainee, settings: TrainSettings) -> None:
        self.trainee, self.settings = trainee, settings
        self.average = copy.deepcopy(trainee).requires_grad_(False).eval()
        fused = next(trainee.parameters()).is_cuda
        self.optimizer = torch.optim.AdamW(
            trainee.parameters(),
            settings.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=settings.weight_decay,
            fused=fused,
        )
        device = next(trainee.parameters()).device
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.noise = torch.Generator(device).manual_seed(settings.seed + 1)
        self.step, self.seconds = 0, 0.0

    @property
    def progress(self) -> float:
        """Share of the budget that is used; 1 and more ends the run."""
        if self.settings.steps:
            return self.step / self.settings.steps
        return self.seconds / 60 / self.settings.minutes

    def train_step(self, batch: Batch) -> Tensor:
        """One update; returns the loss per sample, detached."""
        device = batch.target.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step, self.progress)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            losses = flow_loss(self.trainee, batch, self.settings, self.noise)
        self.optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        nn.utils.clip_grad_norm_(self.trainee.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            average = get_ema_multi_avg_fn(decay)
            average(list(self.average.parameters()), list(self.trainee.parameters()), None)
        return losses.detach()

    def state(self) -> dict:
        return {
            "settings": asdict(self.settings),
            "trainee": self.trainee.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "noise": self.noise.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict) -> None:
        """Go on exactly where state() was taken. The settings of this run stay as they are."""
        self.trainee.load_state_dict(state["trainee"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.noise.set_state(state["noise"].cpu())
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        torch.save(self.state(), part)
        part.replace(path)


def compile_blocks(model: PixWizard) -> None:
    """Compile what dominates a step; the small outer code stays as it is."""
    for block in model.layers:
        block.forward = torch.compile(block.forward, dynamic=True)
        block.score = torch.compile(block.score, dynamic=True)


def train(
    run: Run, sampler: Sampler, *, checkpoint: Path | None = None, log: Path | None = None
) -> Iterator[dict]:
    """Step until the run's minutes are used; yields a log row now and then.

    A row has step, minutes, samples, loss, and the mean loss of each task since the last row.
    """
    settings = run.settings
    sums = torch.zeros(len(TASK_IDS), 2, device=run.noise.device)
    clock = saved = time.perf_counter()
    while run.progress < 1:
        batch = sampler.draw(settings, run.progress, run.generator)
        losses = run.train_step(batch)
        sums.index_add_(0, batch.task, torch.stack([losses, torch.ones_like(losses)], 1))
        now = time.perf_counter()
        run.seconds += now - clock
        clock = now
        if run.step % settings.log_every == 0 or run.progress >= 1:
            row = _log_row(run, sums)
            sums.zero_()
            if log:
                with log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            yield row
        if checkpoint and (now - saved > settings.save_every_seconds or run.progress >= 1):
            run.save(checkpoint)
            saved = clock = time.perf_counter()


def _log_row(run: Run, sums: Tensor) -> dict:
    table = sums.cpu()
    return {
        "step": run.step,
        "minutes": round(run.seconds / 60, 3),
        "samples": run.step * run.settings.batch,
        "loss": round(float(table[:, 0].sum() / table[:, 1].sum()), 5),
        "tasks": {
            name: round(float(total / count), 4)
            for name, (total, count) in zip(TASK_IDS, table.tolist(), strict=True)
            if count
        },
    }
