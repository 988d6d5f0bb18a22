"""Pixels to model-space latents and back, with any autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import CheckpointError, EncoderError
from ..weights.finite import VAE, finite_output, require_finite
from ..weights.weightfile import WeightFile, open_weights
from .taesd import LATENT_SCALE, Autoencoder, autoencoder_from

VAE_WANTED = (
    "PixWizard needs the SDXL VAE: stabilityai/sdxl-vae from huggingface.co (335 MB), or "
    "madebyollin/sdxl-vae-fp16-fix, in models/vae"
)
# diffusers' AutoencoderKL as SDXL has it.
SDXL_VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "act_fn": "silu",
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 1024,
    "scaling_factor": LATENT_SCALE,
}


class LatentCoder(Protocol):
    """The border between pictures and the model's latent space. Those here raise EncoderError when
    the autoencoder gives numbers that are not finite."""

    def encode(self, pixels: Tensor) -> Tensor:
        """pixels (B,3,H,W) in -1..1, sides multiples of 8 → latent (B,4,H/8,W/8)."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """latent (B,4,h,w) → pixels (B,3,8h,8w) in -1..1."""
        ...


@dataclass(frozen=True, slots=True)
class TaesdCoder:
    """A TAESD-shaped autoencoder; deterministic."""

    model: Autoencoder

    @property
    def dtype(self) -> torch.dtype:
        """What the layers compute in."""
        return next(self.model.taesd_encoder.parameters()).dtype

    def encode(self, pixels: Tensor) -> Tensor:
        latent = self.model.encode(pixels.to(self.dtype))
        return finite_output(latent, VAE, self.dtype).to(pixels.dtype)

    def decode(self, latent: Tensor) -> Tensor:
        painted = self.model.decode(latent.to(self.dtype))
        return finite_output(painted, VAE, self.dtype).clamp(-1, 1).to(latent.dtype)


@dataclass(frozen=True, slots=True)
class DiffusersCoder:
    """diffusers' AutoencoderKL. posterior: None takes the mode, a generator draws a sample.

    The reference draws; the mode makes a result depend on the picture and the run's seed alone.
    """

    vae: Any
    posterior: torch.Generator | None = None

    def encode(self, pixels: Tensor) -> Tensor:
        spread = self.vae.encode(pixels.to(self.vae.dtype)).latent_dist
        latent = spread.sample(self.posterior) if self.posterior else spread.mode()
        return finite_output(latent, VAE, self.vae.dtype).to(pixels.dtype) * LATENT_SCALE

    def decode(self, latent: Tensor) -> Tensor:
        painted = self.vae.decode((latent / LATENT_SCALE).to(self.vae.dtype)).sample
        return finite_output(painted, VAE, self.vae.dtype).clamp(-1, 1).to(latent.dtype)


def load_latent_coder(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    posterior: torch.Generator | None = None,
) -> LatentCoder:
    """Load a VAE from a diffusers folder or a single file, recognised by its tensors' names.

    Raises EncoderError for anything but a TAESD-shaped or an SDXL-shaped autoencoder.
    """
    path = Path(path)
    file = folder_weights(path) if path.is_dir() else path
    if not file.is_file():
        raise EncoderError(f"there is no VAE at {path}. {VAE_WANTED}")
    try:
        weights = open_weights(file)
        return _coder_of(weights, device=device, dtype=dtype, posterior=posterior)
    except CheckpointError as problem:
        raise EncoderError(str(problem)) from problem


def _coder_of(weights: WeightFile, *, device, dtype, posterior) -> LatentCoder:
    file = weights.path

    def fetch(name: str) -> Tensor:
        return require_finite(weights.fetch(name), name, file.name)

    if "taesd_decoder.1.weight" in weights.shapes:
        tensors = {name: fetch(name) for name in weights.shapes}
        model = autoencoder_from(tensors, file.name).requires_grad_(False)
        return TaesdCoder(model.to(device, dtype))
    names = {name.removeprefix("first_stage_model."): name for name in weights.shapes}
    tensors = {
        short: fetch(name)
        for short, name in names.items()
        if short.startswith(("encoder.", "decoder.", "quant_conv.", "post_quant_conv."))
    }
    vae = sdxl_vae(tensors, file.name).to(device=device, dtype=dtype)
    return DiffusersCoder(vae, posterior)


def folder_weights(folder: Path) -> Path:
    """The weight file of a diffusers VAE folder, full precision first."""
    for pattern in ("diffusion_pytorch_model.safetensors", "*.safetensors", "*.bin"):
        if found := sorted(folder.glob(pattern)):
            return found[0]
    raise EncoderError(f"{folder} holds no .safetensors or .bin weights. {VAE_WANTED}")


def sdxl_vae(tensors: dict[str, Tensor], name: str) -> Any:
    """A diffusers AutoencoderKL from tensors under diffusers' or the original names."""
    first = tensors.get("encoder.conv_in.weight")
    mean = tensors.get("quant_conv.weight")
    if first is None or mean is None or mean.shape[:1] != (8,):
        found = "no quant_conv" if mean is None else f"{sum(mean.shape[:1]) // 2} latent channels"
        raise EncoderError(
            f"{name} is not a 4-channel Stable Diffusion VAE ({found}). {VAE_WANTED}"
        )
    try:
        from diffusers import AutoencoderKL  # pyright: ignore[reportMissingImports]
        from diffusers.loaders.single_file_utils import (  # pyright: ignore[reportMissingImports]
            convert_ldm_vae_checkpoint,
        )
    except ImportError as problem:
        raise EncoderError(
            "reading this VAE outside ComfyUI needs diffusers: pip install 'pixwizard[cli]'"
        ) from problem
    vae = AutoencoderKL(**SDXL_VAE)
    if "encoder.down.0.block.0.norm1.weight" in tensors:
        try:
            tensors = convert_ldm_vae_checkpoint(tensors, dict(vae.config))
        except (KeyError, ValueError, IndexError, RuntimeError) as problem:
            raise EncoderError(f"{name} lacks weights of the SDXL VAE ({problem})") from problem
    own = vae.state_dict()
    problems = set(own) ^ set(tensors)
    problems |= {key for key in set(own) & set(tensors) if own[key].shape != tensors[key].shape}
    if problems := sorted(problems):
        raise EncoderError(
            f"{name}: {len(problems)} VAE weights missing, unknown or misshapen, "
            f"first {problems[0]}"
        )
    vae.load_state_dict({key: value.float() for key, value in tensors.items()})
    return vae.eval().requires_grad_(False)
