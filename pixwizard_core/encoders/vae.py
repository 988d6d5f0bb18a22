"""Pixels to model-space latents and back, with any autoencoder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from ..errors import CheckpointError, EncoderError
from ..torch_types import channels_last
from ..weights.finite import VAE, finite_output, require_finite
from ..weights.published import VAE_WANTED
from ..weights.weightfile import WeightFile, open_weights
from .taesd import LATENT_SCALE, Autoencoder, autoencoder_from

# SDXL's settings of diffusers' AutoencoderKL.
SDXL_VAE: dict[str, Any] = {
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
# Weights that distinguish the VAE of Stable Diffusion 1, 2 or XL from others, by diffusers' names
# and by the original ones.
SD_VAE_MARKS = {
    "encoder.conv_in.weight": (128, 3, 3, 3),
    "quant_conv.weight": (8, 8, 1, 1),
    "decoder.conv_out.weight": (3, 128, 3, 3),
}
XL = re.compile(r"sd[-_ ]?xl|(?<![a-z])xl(?![a-z])", re.IGNORECASE)


class LatentCoder(Protocol):
    """Converts between pictures and the model's latent space. The implementations here raise
    EncoderError when the autoencoder's output is not finite."""

    def encode(self, pixels: Tensor) -> Tensor:
        """pixels (B,3,H,W) in -1..1, sides multiples of 8 → latent (B,4,H/8,W/8)."""
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """latent (B,4,h,w) → pixels (B,3,8h,8w) in -1..1."""
        ...


@dataclass(frozen=True, slots=True)
class TaesdCoder:
    """A TAESD-shaped autoencoder; deterministic. Its results have the usual memory order, whatever
    the order that its layers work in."""

    model: Autoencoder

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the layers compute in."""
        return next(self.model.taesd_encoder.parameters()).dtype

    def encode(self, pixels: Tensor) -> Tensor:
        latent = self.model.encode(pixels.to(self.dtype))
        return finite_output(latent, VAE, self.dtype).to(pixels.dtype).contiguous()

    def decode(self, latent: Tensor) -> Tensor:
        painted = self.model.decode(latent.to(self.dtype))
        painted = finite_output(painted, VAE, self.dtype).clamp(-1, 1)
        return painted.to(latent.dtype).contiguous()


@dataclass(frozen=True, slots=True)
class DiffusersCoder:
    """diffusers' AutoencoderKL. posterior: None takes the mode, a generator draws a sample.

    The reference draws; with the mode a result depends only on the picture and the run's seed.
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


def _coder_of(
    weights: WeightFile,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    posterior: torch.Generator | None,
) -> LatentCoder:
    file = weights.path

    def fetch(name: str) -> Tensor:
        return require_finite(weights.fetch(name), name, file.name)

    if "taesd_decoder.1.weight" in weights.shapes:
        tensors = {name: fetch(name) for name in weights.shapes}
        model = autoencoder_from(tensors, file.name).requires_grad_(False).to(device, dtype)
        on_cpu = torch.device(device).type == "cpu"
        return TaesdCoder(channels_last(model) if on_cpu else model)
    names = {name.removeprefix("first_stage_model."): name for name in weights.shapes}
    tensors = {
        short: fetch(name)
        for short, name in names.items()
        if short.startswith(("encoder.", "decoder.", "quant_conv.", "post_quant_conv."))
    }
    vae = sdxl_vae(tensors, file.name).to(device=device, dtype=dtype)
    return DiffusersCoder(vae, posterior)


def sd_vae_family(file: WeightFile) -> str | None:
    """The model that a VAE belongs to: "SDXL", "Stable Diffusion 1 or 2", or "unknown" when these
    two cannot be told apart; None for any other model.

    They differ only in the scale of latents. The config.json beside the file decides, else its
    header or its name.
    """
    shapes = {name.removeprefix("first_stage_model."): s for name, s in file.shapes.items()}
    # Older files keep a 1×1 convolution as a matrix.
    if any(shapes.get(name, ())[:2] != shape[:2] for name, shape in SD_VAE_MARKS.items()):
        return None
    if any(name.startswith(("model.", "conditioner.", "cond_stage_model.")) for name in shapes):
        return None  # a whole checkpoint
    scale = _scaling_factor(file.path.parent / "config.json")
    if scale is not None:
        return "SDXL" if abs(scale - LATENT_SCALE) < 1e-4 else "Stable Diffusion 1 or 2"
    told = [file.metadata.get("modelspec.architecture", ""), file.path.name, _vae_folder(file.path)]
    return "SDXL" if any(XL.search(text) for text in told) else "unknown"


def _vae_folder(file: Path) -> str:
    """The folder's name if the folder belongs to one VAE (in the hub's cache, its repository's
    name); "" if it may hold others too."""
    folder = file.parent
    if folder.parent.name == "snapshots":
        folder = folder.parent.parent
    return folder.name if "vae" in folder.name.lower() else ""


def _scaling_factor(config: Path) -> float | None:
    """The scale of latents that diffusers' config.json gives, None without one."""
    try:
        value = json.loads(config.read_text(encoding="utf-8"))["scaling_factor"]
        return float(value)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


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
        # Optional, with lazy exports, so a type checker finds neither.
        from diffusers import (  # pyright: ignore[reportMissingImports]
            AutoencoderKL,  # pyright: ignore[reportPrivateImportUsage]
        )
        from diffusers.loaders import (  # pyright: ignore[reportMissingImports]
            single_file_utils,
        )
    except ImportError as problem:
        raise EncoderError(
            "reading this VAE outside ComfyUI needs diffusers: pip install 'pixwizard[cli]'"
        ) from problem
    vae = AutoencoderKL(**SDXL_VAE)
    if "encoder.down.0.block.0.norm1.weight" in tensors:
        try:
            convert = cast(Any, single_file_utils).convert_ldm_vae_checkpoint
            tensors = cast("dict[str, Tensor]", convert(tensors, dict(vae.config)))
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
