"""Train the bundled model and its encoders: flow matching on the demo world.

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
from dataclasses import asdict
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..conditioning import Condition
from ..encoders.text import TextEncoder
from ..encoders.vision import VisionEncoder
from ..model import PixWizard, gumbel_noise
from .batches import Sampler, TrainingBatch, TrainSettings
from .samples import TASK_IDS

CHANGE_SCALE = 0.5  # difference of latents that counts as a change; their spread is about 1


class Trainee(nn.Module):
    """Everything that is trained together: the transformer and its text and image encoders."""

    def __init__(self, model: PixWizard, text: TextEncoder, vision: VisionEncoder) -> None:
        super().__init__()
        self.model, self.text, self.vision = model, text, vision


def initialise(model: PixWizard, generator: torch.Generator) -> None:
    """Initialise weights for training from scratch.

    Norms start at one and biases at zero; residual gates start half open and the velocity at zero.
    Differs from the reference, whose new gates start at zero because it starts from a trained
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
        linear = cast(nn.Linear, block.adaLN_modulation[1])
        linear.weight.data.mul_(0.1)
        _, gate_a, _, gate_f = linear.bias.data.chunk(4)
        gate_a.fill_(0.5)
        gate_f.fill_(0.5)
    final = model.final_layer
    for linear in (final.linear, cast(nn.Linear, final.adaLN_modulation[1])):
        linear.weight.data.zero_()


def draw_times(count: int, settings: TrainSettings, generator: torch.Generator, device) -> Tensor:
    """Draw times in [0, 1): logit-normal, skewed towards noise, where dense tasks are decided."""
    normal = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(normal * settings.time_spread + settings.time_mean).to(device)


def conditions(trainee: Trainee, batch: TrainingBatch, noise: Tensor) -> Condition:
    """Encode a batch's conditions with gradients; rows without an image see zeros and the noise."""
    features = trainee.text.features(batch.ids, batch.mask, batch.clip_ids)
    keep = ~batch.drop_image
    tokens = batch.image_tokens
    if tokens is None:
        if batch.pictures is None:
            raise ValueError("a batch needs its pictures, or their image tokens")
        tokens = trainee.vision.encode(batch.pictures)
    tokens = tokens * keep[:, None, None].to(tokens)
    latent = torch.where(keep[:, None, None, None], batch.source, noise)
    return Condition(features.text, features.mask, features.pooled, tokens, keep, latent)


def change_weights(source: Tensor, target: Tensor, focus: float) -> Tensor:
    """Weights (B, 1, h, w) of a loss, with mean 1 in every sample: places where the target differs
    from the source, latents (B, 4, h, w), weigh up to 1 + focus times as much as others.

    An edit changes few places, and is learned slowly when all places weigh the same.
    """
    change = (target - source).abs().mean(1, keepdim=True)
    weights = 1 + focus * torch.tanh(change / CHANGE_SCALE)
    return weights / weights.mean((2, 3), keepdim=True)


def flow_loss(
    trainee: Trainee,
    batch: TrainingBatch,
    settings: TrainSettings,
    generator: torch.Generator,
    focus: float = 0.0,
) -> Tensor:
    """Squared velocity error per sample (B,). focus: see change_weights."""
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
    errors = (velocity.float() - (batch.target - noise)).square()
    if focus:
        errors = errors * change_weights(batch.source, batch.target, focus)
    return errors.mean((1, 2, 3))


def learning_rate(settings: TrainSettings, step: int, progress: float) -> float:
    """Learning rate: warm-up by steps, then flat, then a cosine to 1 % by progress in [0, 1]."""
    if progress <= settings.flat_until:
        decay = 1.0
    else:
        along = min(1.0, (progress - settings.flat_until) / (1 - settings.flat_until))
        decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along))
    return settings.learning_rate * min(1.0, (step + 1) / settings.warmup_steps) * decay


class Run:
    """A resumable training run: weights, averages, optimiser, generators, clock."""

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
        """Share of the budget used so far; 1 or more ends the run."""
        if self.settings.steps:
            return self.step / self.settings.steps
        return self.seconds / 60 / self.settings.minutes

    def train_step(self, batch: TrainingBatch) -> Tensor:
        """Do one update. Returns the loss per sample (B,), detached."""
        device = batch.target.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step, self.progress)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            focus = self.settings.focus if self.progress < self.settings.focus_until else 0.0
            losses = flow_loss(self.trainee, batch, self.settings, self.noise, focus)
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
        """Resume exactly where state() was taken. The settings of this run stay as they are."""
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
    """Compile the blocks, which dominate a step; the small outer code stays as it is."""
    for block in model.layers:
        block.forward = torch.compile(block.forward, dynamic=True)
        block.score = torch.compile(block.score, dynamic=True)


def train(
    run: Run, sampler: Sampler, *, checkpoint: Path | None = None, log: Path | None = None
) -> Iterator[dict]:
    """Train until the run's budget is used; yields a log row now and then.

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
