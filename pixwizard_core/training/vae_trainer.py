"""One optimiser step of the autoencoder, and all the state needed to stop and resume it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..encoders.taesd import Autoencoder, fold_normalisation, last_layer
from ..torch_types import channels_last
from .vae_pictures import POOLS, SMALL_POOLS, PoolSpec, generator_for


@dataclass(frozen=True, slots=True)
class VaeSettings:
    """How to train. Sides in pixels; noise in units of the latent's standard deviation.
    decoder_only: do not change the encoder, so that every latent stays the same and a transformer
    trained on these latents stays valid."""

    batch_size: int = 512  # crops of the smallest side
    sides: tuple[int, ...] = (64, 96, 128)
    pools: tuple[PoolSpec, ...] = POOLS
    refresh_every: int = 25
    learning_rate: float = 8e-4
    warm_up_steps: int = 150
    noise: float = 0.1
    freeze_at: float = (
        0.6  # share of the run after which the normalisation is fixed and weights are averaged
    )
    average: float = 0.997
    bf16: bool = True
    compile: bool = False
    decoder_only: bool = False
    checkpoint_seconds: float = 60.0
    calibration_batches: int = 40
    scored_scenes: int = 48


def settings_for(device: torch.device, batch_size: int | None = None) -> VaeSettings:
    """Sensible settings for a GPU, or small ones for a CPU."""
    chosen = VaeSettings()
    if device.type != "cuda":
        chosen = replace(
            chosen, batch_size=16, pools=SMALL_POOLS, calibration_batches=10, scored_scenes=8
        )
    return replace(chosen, batch_size=batch_size) if batch_size else chosen


class LatentNorm(nn.Module):
    """Per-channel normalisation of the raw latent over the whole mix of pictures.

    Uses batch statistics at first and frozen ones later, to fold them into the encoder.
    """

    def __init__(self, channels: int = 4, momentum: float = 0.02):
        super().__init__()
        self.momentum = momentum
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.frozen = False

    def forward(self, raw: Tensor) -> Tensor:
        if self.frozen:
            mean, std = self.mean, self.std
        else:
            mean, std = channel_moments(raw)
            self.mean.lerp_(mean.detach(), self.momentum)
            self.std.lerp_(std.detach(), self.momentum)
        return (raw - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def channel_moments(latent: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of (B,C,h,w)."""
    std, mean = torch.std_mean(latent, dim=(0, 2, 3))
    return mean, std + 1e-5


def picture_loss(painted: Tensor, wanted: Tensor) -> Tensor:
    """L1 plus L2, weighted by local contrast.

    Thin edges and outlines are few pixels, but masks and boxes are read from them.
    """
    contrast = F.max_pool2d(wanted, 3, 1, 1) + F.max_pool2d(
        -wanted, 3, 1, 1
    )  # local maximum - minimum
    weight = 1 + 3 * contrast.amax(1, keepdim=True)
    error = painted - wanted
    return (error.abs() * weight).mean() + 2 * (error.square() * weight).mean()


def learning_factor(step: int, progress: float, warm_up_steps: int) -> float:
    """Linear warm-up by steps times a cosine by progress (0..1), ending at 1 %."""
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, progress)))
    return min(1.0, (step + 1) / max(1, warm_up_steps)) * (0.01 + 0.99 * cosine)


class VaeTrainer:
    """The state of a run: net, normalisation, optimiser, averaged weights and the step number."""

    def __init__(self, settings: VaeSettings, *, device: torch.device, seed: int):
        self.settings, self.device, self.seed, self.step = settings, device, seed, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # layers draw their first weights from the global generator
            net = Autoencoder()
        self.net = channels_last(net.to(device))
        self.norm = LatentNorm().to(device)
        self.average: dict[str, Tensor] | None = None
        if settings.decoder_only:
            self.net.taesd_encoder.requires_grad_(False)
        self.parameters = [p for p in self.net.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters,
            lr=settings.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=1e-4,
            fused=device.type == "cuda",
        )
        wrap = torch.compile if settings.compile else lambda module: module
        self.encode, self.decode = wrap(self.net.taesd_encoder), wrap(self.net.taesd_decoder)

    def autocast(self) -> torch.autocast:
        """Run convolutions in bf16; statistics, losses and weights stay float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bf16)

    def train_step(self, wanted: Tensor, progress: float) -> Tensor:
        """Do one optimiser step on crops (B,3,s,s) in 0..1. progress: 0..1 of the run.

        Returns the loss, a scalar that stays on the device.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * learning_factor(
                self.step, progress, self.settings.warm_up_steps
            )
        wanted = wanted.contiguous(memory_format=torch.channels_last)
        random = generator_for(self.seed, 2, self.step, device=self.device)
        with self.autocast():
            raw = self.encode(wanted)
        latent = self.norm(raw.float())
        strength = (
            torch.rand(len(latent), 1, 1, 1, generator=random, device=self.device)
            * self.settings.noise
        )
        noise = torch.randn(latent.shape, generator=random, device=self.device)
        with self.autocast():
            painted = self.decode(
                (latent + strength * noise).contiguous(memory_format=torch.channels_last)
            )
        mean, std = channel_moments(latent)
        drift = (
            mean.square().mean() + (std - 1).square().mean()
        )  # zero until the statistics are frozen
        loss = picture_loss(painted.float(), wanted) + 0.01 * drift
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        self.update_average()
        return loss.detach()

    @torch.no_grad()
    def start_from(self, model: Autoencoder) -> None:
        """Continue from a finished model. Its normalisation, folded into its weights, stays as it
        is, so that its latents keep their meaning; averaging starts at once."""
        self.net.load_state_dict(model.state_dict())
        self.norm.mean.zero_()
        self.norm.std.fill_(1)
        self.norm.frozen = True
        self.begin_average()

    def begin_average(self) -> None:
        """Average the weights from here on."""
        self.average = {
            name: value.detach().clone() for name, value in self.net.state_dict().items()
        }

    @torch.no_grad()
    def freeze(self, batches: list[Tensor]) -> None:
        """Fix the statistics to those of these crops and start averaging weights."""
        means = squares = torch.zeros((), dtype=torch.float64, device=self.device)
        pixels = 0
        for batch in batches:
            with self.autocast():
                raw = self.encode(batch.contiguous(memory_format=torch.channels_last))
            raw = raw.float().transpose(0, 1).flatten(1).double()
            means, squares, pixels = (
                means + raw.sum(1),
                squares + raw.square().sum(1),
                pixels + raw.shape[1],
            )
        mean = means / pixels
        self.norm.mean.copy_(mean)
        self.norm.std.copy_((squares / pixels - mean.square()).clamp_min(1e-10).sqrt())
        self.norm.frozen = True
        self.begin_average()

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the averaged weights towards the current ones."""
        if self.average is None:
            return
        own = self.net.state_dict()
        averages = [self.average[name] for name in own]
        # Not in PyTorch's public API: one launch on a GPU for all weights.
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            averages, list(own.values()), 1 - self.settings.average
        )

    @torch.no_grad()
    def finished(self) -> Autoencoder:
        """A copy to ship: averaged weights, normalisation folded into the last convolution."""
        model = Autoencoder()
        weights = self.average or self.net.state_dict()
        model.load_state_dict(
            {name: value.detach().float().cpu() for name, value in weights.items()}
        )
        last = last_layer(model.taesd_encoder)
        fold_normalisation(last, self.norm.mean.cpu(), self.norm.std.cpu())
        return channels_last(model.to(self.device)).eval()

    def save(self, path: Path, elapsed: float, history: list[dict]) -> None:
        """Write everything a resumed run needs, atomically."""
        state = {
            "step": self.step,
            "seed": self.seed,
            "elapsed": elapsed,
            "history": history,
            "net": self.net.state_dict(),
            "norm": self.norm.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, path)

    def load(self, path: Path) -> tuple[float, list[dict]]:
        """Restore what `save` wrote; returns the seconds trained so far and the history."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["seed"] != self.seed:
            raise ValueError(
                f"{path.name} was started with seed {state['seed']}, not {self.seed}; "
                "use another folder"
            )
        self.step, self.average = state["step"], state["average"]
        self.net.load_state_dict(state["net"])
        self.norm.load_state_dict(state["norm"])
        self.norm.frozen = self.average is not None  # both start together
        self.optimiser.load_state_dict(state["optimiser"])
        return state["elapsed"], state["history"]
