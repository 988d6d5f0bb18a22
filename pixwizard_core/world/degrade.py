"""Ways to degrade a picture, for restoration tasks. Each takes pictures (n, 3, H, W) in 0..1 and a
generator on the pictures' device and returns degraded pictures of the same shape, clamped to 0..1.
Every picture of the batch is degraded in its own way.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .pictures import unit

MARGIN = 16  # pixels mirrored around a picture before blurring, so that opposite borders do not mix
# 5 x 5 letters, rows from the top, one bit per pixel.
LETTERS = {
    "A": (14, 17, 31, 17, 17),
    "C": (15, 16, 16, 16, 15),
    "D": (30, 17, 17, 17, 30),
    "E": (31, 16, 30, 16, 31),
    "L": (16, 16, 16, 16, 31),
    "M": (17, 27, 21, 17, 17),
    "O": (14, 17, 17, 17, 14),
    "P": (30, 17, 30, 16, 16),
    "S": (15, 16, 14, 1, 30),
    "Y": (17, 10, 4, 4, 4),
}
STAMPS = ("SAMPLE", "DEMO", "COPY")


def uniform(
    like: Tensor, generator: torch.Generator, low: float, high: float, *size: int
) -> Tensor:
    """Uniform numbers of shape (n, *size) on the device of `like` (n, ...); without a size, shape
    (n, 1, 1, 1).
    """
    size = size or (1, 1, 1)
    return low + (high - low) * torch.rand(
        like.shape[0], *size, generator=generator, device=like.device, dtype=torch.float32
    )


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise, float32, in the shape and on the device of `like`."""
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=torch.float32)


def grid(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel-centre coordinates y (H, 1) and x (1, W) in units of a 128 px picture's pixels."""
    height, width = picture.shape[-2:]
    y = (torch.arange(height, device=picture.device, dtype=torch.int64) + 0.5) / unit(picture)
    x = (torch.arange(width, device=picture.device, dtype=torch.int64) + 0.5) / unit(picture)
    return y[:, None], x[None, :]


def field(picture: Tensor, generator: torch.Generator, cells: int) -> Tensor:
    """Smooth random field (n, 1, H, W), mean 0, standard deviation about 1, with features of
    1/cells of the picture.
    """
    coarse = torch.randn(
        picture.shape[0],
        1,
        cells,
        cells,
        generator=generator,
        device=picture.device,
        dtype=torch.float32,
    )
    fine = F.interpolate(coarse, size=picture.shape[-2:], mode="bicubic", align_corners=False)
    return (fine - fine.mean((2, 3), keepdim=True)) / fine.std((2, 3), keepdim=True).clamp(min=1e-3)


def filter_fourier(x: Tensor, response) -> Tensor:
    """Convolve (n, c, H, W) with mirrored borders by a kernel given as response(fy, fx), cycles per
    pixel -> (n, 1, h, w').
    """
    pad = min(MARGIN, min(x.shape[-2:]) - 1)
    padded = F.pad(x, (pad, pad, pad, pad), mode="reflect")
    height, width = padded.shape[-2:]
    fy = torch.fft.fftfreq(height, device=x.device)[:, None]
    fx = torch.fft.rfftfreq(width, device=x.device)[None, :]
    spectrum = torch.fft.rfft2(padded) * response(fy, fx)
    blurred = torch.fft.irfft2(spectrum, s=(height, width))
    return blurred[..., pad : height - pad, pad : width - pad]


def gaussian_response(sigma: Tensor):
    """sigma: (n, 1, 1, 1) pixels."""
    return lambda fy, fx: torch.exp(-2 * (torch.pi * sigma) ** 2 * (fy * fy + fx * fx))


def motion_response(length: Tensor, angle: Tensor):
    """A straight smear of length pixels at angle radians from the x axis, both (n, 1, 1, 1)."""
    return lambda fy, fx: (
        torch.sinc(length * (fx * angle.cos() + fy * angle.sin()))
        * gaussian_response(torch.full_like(length, 0.5))(fy, fx)
    )


def noise(
    x: Tensor, generator: torch.Generator, low: float = 15 / 255, high: float = 50 / 255
) -> Tensor:
    """Add white Gaussian noise with a standard deviation between low and high."""
    return (x + uniform(x, generator, low, high) * normal(x, generator)).clamp(0, 1)


def blur(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur by defocus (standard deviation 1.5..3.5 px at 128) or, half of the time, by motion
    (8..16 px in any direction).
    """
    scale = unit(x)
    focus = gaussian_response(uniform(x, generator, 1.5, 3.5) * scale)
    motion = motion_response(
        uniform(x, generator, 8, 16) * scale, uniform(x, generator, 0, torch.pi)
    )
    moved = uniform(x, generator, 0, 1) < 0.5
    return filter_fourier(
        x, lambda fy, fx: torch.where(moved, motion(fy, fx), focus(fy, fx))
    ).clamp(0, 1)


def _drops(x: Tensor, generator: torch.Generator, density: Tensor) -> Tensor:
    """Random points (n, 1, H, W) of 0 and 1; density (n, 1, 1, 1) is the expected share of pixels
    at 128 px.
    """
    points = torch.rand(
        x.shape[0], 1, *x.shape[-2:], generator=generator, device=x.device, dtype=torch.float32
    )
    return (points < density / unit(x) ** 2).float()


def rain(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add bright streaks of one slant and a light veil."""
    scale = unit(x)
    length, slant = (
        uniform(x, generator, 9, 18) * scale,
        torch.pi / 2 + uniform(x, generator, -0.5, 0.5),
    )
    drops = _drops(x, generator, uniform(x, generator, 0.008, 0.022))
    layer = (
        filter_fourier(drops, motion_response(length, slant)).clamp(min=0)
        * length
        * 1.5
        * max(1.0, scale)
    )
    layer = layer.clamp(0, 1) * uniform(x, generator, 0.45, 0.8)
    veil = uniform(x, generator, 0.0, 0.12)
    return ((x * (1 - veil) + 0.7 * veil) * (1 - layer) + 0.92 * layer).clamp(0, 1)


def snow(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add white flakes of two sizes."""
    result = x
    for low, high, density in ((0.7, 1.1, 0.010), (1.4, 2.2, 0.003)):
        sigma = uniform(x, generator, low, high) * unit(x)
        flakes = _drops(x, generator, uniform(x, generator, 0.5 * density, 1.6 * density))
        layer = filter_fourier(flakes, gaussian_response(sigma)) * (2 * torch.pi * sigma**2) * 1.6
        layer = layer.clamp(0, 0.95)
        result = result * (1 - layer) + layer
    return result.clamp(0, 1)


def haze(x: Tensor, depth_m: Tensor, generator: torch.Generator) -> Tensor:
    """Add haze by Koschmieder's law: x e^(-b depth) + airlight (1 - e^(-b depth)). depth_m:
    (n, H, W), metres."""
    clear = torch.exp(-uniform(x, generator, 0.09, 0.28) * depth_m[:, None])
    airlight = uniform(x, generator, 0.78, 0.96)
    return (x * clear + airlight * (1 - clear)).clamp(0, 1)


def shadow(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add a large cast shadow with soft edges over about a third of the picture."""
    relief = field(x, generator, 4)
    cover = torch.sigmoid((relief - uniform(x, generator, 0.1, 0.7)) * uniform(x, generator, 8, 25))
    tint = x.new_tensor((1.0, 0.97, 0.9))[
        :, None, None
    ]  # the sky lights shadows, so they are bluish
    loss = cover * uniform(x, generator, 0.4, 0.7) * tint
    return (x * (1 - loss)).clamp(0, 1)


def low_light(x: Tensor, generator: torch.Generator) -> Tensor:
    """Darken (gamma 1.1..1.6, gain 0.2..0.45) and add sensor noise."""
    dark = x.clamp(min=1e-4) ** uniform(x, generator, 1.1, 1.6) * uniform(x, generator, 0.2, 0.45)
    return (dark + uniform(x, generator, 0.004, 0.015) * normal(x, generator)).clamp(0, 1)


def moire(x: Tensor, generator: torch.Generator) -> Tensor:
    """Add coloured ripples: the beat of two fine gratings, slightly bent, with a different phase in
    each channel.
    """
    y, xs = grid(x)
    angle, period = uniform(x, generator, 0, torch.pi), uniform(x, generator, 6, 14)
    bend = uniform(x, generator, -0.004, 0.004)
    along = xs * angle.cos() + y * angle.sin()
    across = y * angle.cos() - xs * angle.sin() - 64
    phase = 2 * torch.pi * (along / period + bend * across**2 / period)
    shift = torch.arange(3, device=x.device, dtype=torch.int64)[None, :, None, None] * uniform(
        x, generator, 0.6, 2.0
    )
    beat = torch.cos(phase + shift) * (0.75 + 0.25 * torch.cos(0.37 * phase))
    return (x * 0.92 + 0.04 + uniform(x, generator, 0.08, 0.16) * beat).clamp(0, 1)


def watermark(x: Tensor, generator: torch.Generator) -> Tensor:
    """Repeat a word over the picture at a slant, translucent white or black."""
    tile = torch.zeros(len(STAMPS), 9, 42, device=x.device, dtype=torch.float32)
    for i, word in enumerate(STAMPS):
        for j, letter in enumerate(word):
            bits = [[row >> (4 - column) & 1 for column in range(5)] for row in LETTERS[letter]]
            tile[i, 2:7, 2 + 6 * j : 7 + 6 * j] = torch.tensor(
                bits, dtype=torch.float32, device="cpu"
            )
    y, xs = grid(x)
    angle, size = uniform(x, generator, -0.7, 0.7), uniform(x, generator, 2.0, 3.2)
    u = (xs * angle.cos() + y * angle.sin()) / size + uniform(x, generator, 0, 42)
    v = (y * angle.cos() - xs * angle.sin()) / size + uniform(x, generator, 0, 12)
    row = v.div(12, rounding_mode="floor")
    u = (u + 17 * row) % 42  # offset neighbouring lines, so that letters do not line up
    v = v % 12
    word = torch.randint(
        0,
        len(STAMPS),
        (x.shape[0], 1, 1, 1),
        generator=generator,
        device=x.device,
        dtype=torch.int64,
    )
    inked = tile[word, v.long().clamp(max=8), u.long().clamp(max=41)] * (v < 9)
    ink = (uniform(x, generator, 0, 1) < 0.6).float()
    opacity = inked * uniform(x, generator, 0.35, 0.6)
    return (x * (1 - opacity) + ink * opacity).clamp(0, 1)


def low_resolution(x: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink 2, 3 or 4 times by averaging and enlarge again by bicubic interpolation."""
    result = torch.empty_like(x)
    factor = torch.randint(
        2, 5, (x.shape[0],), generator=generator, device=x.device, dtype=torch.int64
    )
    for f in (2, 3, 4):
        rows = factor == f
        if rows.any():
            small = F.interpolate(
                x[rows], size=[round(side / f) for side in x.shape[-2:]], mode="area"
            )
            result[rows] = F.interpolate(
                small, size=x.shape[-2:], mode="bicubic", align_corners=False
            )
    return result.clamp(0, 1)
