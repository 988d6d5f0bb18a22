"""A tiny convolutional autoencoder in the TAESD layout (https://github.com/madebyollin/taesd).

Every key of the layout is kept because hosts recognise it: a file saved from an Autoencoder loads
in ComfyUI's stock VAE loader. The raw network works on pictures in 0..1; `encode` and `decode` use
-1..1 like every LatentCoder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import EncoderError
from ..torch_types import floats
from ..whole_file import whole_file

LATENT_SCALE = 0.13025  # host latents (SDXL convention) times this are model-space latents
WIDTH = 64
MOST_CHANNELS = 64  # of a latent
HEADER_KEY = "pixwizard.autoencoder"
FACTORY: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # of new layers


def conv3(inputs: int, outputs: int, **options: Any) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (before its stride)."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, **FACTORY, **options)


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The bias of a layer that has one."""
    if layer.bias is None:
        raise ValueError("this layer was built without a bias")
    return layer.bias


class Clamp(nn.Module):
    """Soft limit of the latent to -3..3, the range TAESD decoders expect."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class ResidualBlock(nn.Module):
    """Three convolutions and a skip connection.

    The last convolution starts small, so that a new net is nearly the identity and trains well
    from the start.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        last = conv3(outputs, outputs)
        self.conv = nn.Sequential(
            conv3(inputs, outputs), nn.ReLU(), conv3(outputs, outputs), nn.ReLU(), last
        )
        self.skip = (
            nn.Identity()
            if inputs == outputs
            else nn.Conv2d(inputs, outputs, 1, bias=False, **FACTORY)
        )
        self.fuse = nn.ReLU()
        with torch.no_grad():
            last.weight.mul_(0.1)
            bias_of(last).zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.fuse(self.conv(x) + self.skip(x))


def blocks(count: int, width: int = WIDTH) -> list[nn.Module]:
    """`count` residual blocks of one width."""
    return [ResidualBlock(width, width) for _ in range(count)]


def encoder(latent_channels: int = 4) -> nn.Sequential:
    """Pictures (B,3,H,W) in 0..1 → latent (B,latent_channels,H/8,W/8)."""
    layers: list[nn.Module] = [conv3(3, WIDTH), *blocks(1)]
    for _ in range(3):
        layers += [conv3(WIDTH, WIDTH, stride=2, bias=False), *blocks(3)]
    return nn.Sequential(*layers, conv3(WIDTH, latent_channels))


def decoder(latent_channels: int = 4) -> nn.Sequential:
    """Latent (B,latent_channels,h,w) → pictures (B,3,8h,8w) near 0..1, not clamped."""
    layers: list[nn.Module] = [Clamp(), conv3(latent_channels, WIDTH), nn.ReLU()]
    for _ in range(3):
        layers += [*blocks(3), nn.Upsample(scale_factor=2), conv3(WIDTH, WIDTH, bias=False)]
    picture = conv3(WIDTH, 3)
    with torch.no_grad():  # a new decoder paints mid-grey, not noise around black
        picture.weight.mul_(0.1)
        bias_of(picture).fill_(0.5)
    return nn.Sequential(*layers, *blocks(1), picture)


class Autoencoder(nn.Module):
    """The TAESD pair with the two scalars a host uses: host latent = raw / vae_scale + vae_shift.

    With vae_scale = LATENT_SCALE and vae_shift = 0 (the defaults) the model-space latent, which is
    host latent x LATENT_SCALE, is the raw encoder output itself.
    """

    def __init__(self, latent_channels: int = 4):
        super().__init__()
        self.taesd_encoder = encoder(latent_channels)
        self.taesd_decoder = decoder(latent_channels)
        self.vae_scale = nn.Parameter(
            torch.tensor(LATENT_SCALE, dtype=torch.float32, device="cpu"), requires_grad=False
        )
        self.vae_shift = nn.Parameter(
            torch.tensor(0.0, dtype=torch.float32, device="cpu"), requires_grad=False
        )

    def encode(self, pixels: Tensor) -> Tensor:
        """pixels (B,3,H,W) in -1..1, H and W multiples of 8 → model-space latent (B,C,H/8,W/8)."""
        raw = self.taesd_encoder(pixels * 0.5 + 0.5)
        return (raw / self.vae_scale + self.vae_shift) * LATENT_SCALE

    def decode(self, latent: Tensor) -> Tensor:
        """Model-space latent (B,C,h,w) → pixels (B,3,8h,8w) around -1..1, not clamped."""
        raw = (latent / LATENT_SCALE - self.vae_shift) * self.vae_scale
        return self.taesd_decoder(raw) * 2 - 1


@torch.no_grad()
def fold_normalisation(last: nn.Conv2d, mean: Tensor, std: Tensor) -> None:
    """Change `last` in place to output (y - mean) / std instead of y. mean, std: (channels,)."""
    if bool((std <= 0).any()):
        raise ValueError(f"standard deviations must be positive, got {floats(std)}")
    mean, std = mean.to(last.weight), std.to(last.weight)
    last.weight.div_(std.view(-1, 1, 1, 1))
    bias_of(last).sub_(mean).div_(std)


def last_layer(net: nn.Sequential) -> nn.Conv2d:
    """The convolution that a net ends with. Raises ValueError when it ends with anything else."""
    layer = net[-1]
    if not isinstance(layer, nn.Conv2d):
        raise ValueError(f"the net must end with a convolution. Got: {type(layer).__name__}")
    return layer


def save_autoencoder(
    model: Autoencoder, path: str | Path, notes: dict[str, Any] | None = None
) -> None:
    """Write a float16 file that a host's VAE loader reads. notes: JSON values for its header."""
    from safetensors.torch import save

    scalars = ("vae_scale", "vae_shift")  # float32: rounding them would shift every latent
    tensors = {
        name: value.detach()
        .to("cpu", torch.float32 if name in scalars else torch.float16)
        .contiguous()
        for name, value in model.state_dict().items()
    }
    channels = tensors["taesd_decoder.1.weight"].shape[1]
    header = {
        "format": "taesd",
        "latent_channels": channels,
        "latent_scale": LATENT_SCALE,
        **(notes or {}),
    }
    data = save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)})
    with whole_file(Path(path), EncoderError) as file:
        file.write(data)


def autoencoder_from(tensors: dict[str, Tensor], name: str = "autoencoder") -> Autoencoder:
    """Build from a state dict in the TAESD layout. Raises EncoderError naming wrong keys."""
    first = tensors.get("taesd_decoder.1.weight")
    if first is None:
        raise EncoderError(
            f"{name}: no key taesd_decoder.1.weight among {len(tensors)} keys "
            f"(first {next(iter(tensors), 'none')}); this is not an autoencoder in the TAESD layout"
        )
    if first.ndim != 4 or not 1 <= first.shape[1] <= MOST_CHANNELS:
        raise EncoderError(
            f"{name}: taesd_decoder.1.weight is {tuple(first.shape)}; an autoencoder of 1 to "
            f"{MOST_CHANNELS} latent channels is needed"
        )
    model = Autoencoder(first.shape[1])
    scalars = {key: value for key, value in model.state_dict().items() if key.startswith("vae_")}
    tensors = {**scalars, **tensors}  # both scalars are optional in a file
    own = model.state_dict()
    problems = [f"missing {key}" for key in own if key not in tensors]
    problems += [f"unknown {key}" for key in tensors if key not in own]
    problems += [
        f"{key} is {tuple(value.shape)}, wanted {tuple(own[key].shape)}"
        for key, value in tensors.items()
        if key in own and value.shape != own[key].shape
    ]
    if problems:
        raise EncoderError(
            f"{name}: {len(problems)} problems with its keys: {'; '.join(problems[:3])}"
        )
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    return model.eval()
