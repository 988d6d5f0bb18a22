"""Reference outputs in the headers of the bundled encoders and autoencoder, to check that the
layers they run on compute correctly.

A wrong layer does not fail: it paints a wrong picture. An exported bundle therefore stores the
outputs for one sentence and one picture, and a host's layers are compared with them before
anything loads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..errors import EncoderError
from ..json_text import read_json
from ..torch_types import floats
from ..weights.weightfile import open_weights
from ..whole_file import whole_file
from .architectures import Encoder, filled
from .clip import ClipVision
from .load import read_source, source_tokenizer
from .text import Tokenizers
from .tiny import CLIP_FILE, TEXT_FILE, VAE_FILE
from .vae import load_latent_coder
from .vision import bicubic, normalise

REFERENCE_KEY = "pixwizard.reference"
SENTENCE = "Mark the red ball to the left of the cube, please."
PICTURE_SIDE = 64  # px
STORED = 64  # numbers stored of each output
DIGITS = 7
FILES = {  # files in a bundle's folder, and the outputs stored in each
    TEXT_FILE: ("gemma",),
    CLIP_FILE: ("clip_text", "clip_vision"),
    VAE_FILE: ("latent", "decoded"),
}


def reference_picture() -> Tensor:
    """The picture: (1,3,64,64) float32 in -1..1."""
    return waves(3, PICTURE_SIDE)


def reference_latent() -> Tensor:
    """What the autoencoder decodes: (1,4,8,8) float32 in -1..1, in model space."""
    return waves(4, PICTURE_SIDE // 8)


def waves(channels: int, side: int) -> Tensor:
    """(1,channels,side,side) float32 on the CPU in -1..1: waves of one or more periods."""
    places = torch.arange(side, dtype=torch.float32, device="cpu") * (2 * torch.pi / side)
    rows, columns = places[:, None], places[None]
    made = [(columns + n * rows).sin() * (n * columns + 1).cos() for n in range(1, channels + 1)]
    return torch.stack(made)[None]


def few(values: Tensor) -> Tensor:
    """Up to STORED numbers of a tensor, evenly spaced: (n,) float32 on the CPU."""
    flat = values.detach().float().cpu().flatten()
    places = torch.linspace(
        0, len(flat) - 1, min(STORED, len(flat)), dtype=torch.float64, device="cpu"
    )
    return flat[places.round().long()]


def relative_rms(found: Tensor, wanted: Tensor) -> float:
    """Root mean square of the difference, divided by that of wanted; infinite for NaN."""
    apart = (found.double() - wanted.double()).square().mean() / wanted.double().square().mean()
    return float(apart.sqrt().nan_to_num(nan=float("inf")))


def text_answer(
    gemma: Callable[[Tensor, Tensor], Tensor],
    tokenizers: Tokenizers,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Gemma's stored output: features of the sentence's tokens without padding."""
    batch = tokenizers.tokenize([SENTENCE])
    text = gemma(batch.ids.to(device), batch.mask.to(device))
    return few(text[batch.mask.to(device)])


def pooled_answer(
    clip_text: Callable[[Tensor], Tensor],
    tokenizers: Tokenizers,
    device: torch.device | str = "cpu",
) -> Tensor:
    """CLIP text's stored output: the sentence's vector."""
    return few(clip_text(tokenizers.tokenize([SENTENCE]).clip_ids.to(device)))


def vision_answer(clip_vision: ClipVision, device: torch.device | str = "cpu") -> Tensor:
    """CLIP vision's stored output: patch tokens of the picture."""
    return few(clip_vision(vision_input(clip_vision).to(device)))


def vision_input(clip_vision: ClipVision) -> Tensor:
    """The picture as input of CLIP vision: (1,3,side,side) float32, normalised.

    Uses the plain torch call, so that the check at the first load does not wait for kornia.
    """
    square = bicubic(reference_picture(), clip_vision.config.image_size)
    return normalise(square / 2 + 0.5)


def stored_answers(folder: Path) -> dict[str, Tensor]:
    """Read the outputs in the headers of a bundle's files. Raises EncoderError if any is
    missing."""
    found: dict[str, Tensor] = {}
    for name, kinds in FILES.items():
        text = open_weights(folder / name).metadata.get(REFERENCE_KEY)
        if text is None:
            raise EncoderError(f"{name} has no stored answers; export the bundle again")
        values = read_json(text, f"{name}: the stored answers are", EncoderError)
        found |= {
            kind: torch.tensor(values[kind], dtype=torch.float32, device="cpu") for kind in kinds
        }
    return found


@torch.no_grad()
def computed_answers(folder: Path) -> dict[str, Tensor]:
    """The same outputs, computed by the core in float32 on the CPU."""
    tokenizers = tokenizers_of(folder)
    coder = load_latent_coder(folder / VAE_FILE)
    return {
        "gemma": text_answer(_model("gemma", folder / TEXT_FILE), tokenizers),
        "clip_text": pooled_answer(_model("clip_text", folder / CLIP_FILE), tokenizers),
        "clip_vision": vision_answer(cast(ClipVision, _model("clip_vision", folder / CLIP_FILE))),
        "latent": few(coder.encode(reference_picture())),
        "decoded": few(coder.decode(reference_latent())),
    }


def tokenizers_of(folder: Path) -> Tokenizers:
    """Both tokenizers of a bundle, set up from its files."""
    clip = read_source("clip_text", folder / CLIP_FILE)
    gemma = read_source("gemma", folder / TEXT_FILE)
    return Tokenizers(
        source_tokenizer("gemma", gemma),
        source_tokenizer("clip_text", clip),
        clip.config["max_position_embeddings"],
    )


def _model(kind: str, path: Path) -> Encoder:
    source = read_source(kind, path)
    return filled(kind, source.config, source.weights, device="cpu", dtype=torch.float32)


def write_answers(folder: Path) -> None:
    """Store the outputs in the headers of a bundle's files; does not change the tensors."""
    from safetensors.torch import save

    answers = computed_answers(folder)
    for name, kinds in FILES.items():
        file = open_weights(folder / name)
        rounded = {
            kind: [float(f"{number:.{DIGITS}g}") for number in floats(answers[kind])]
            for kind in kinds
        }
        header = {**file.metadata, REFERENCE_KEY: json.dumps(rounded, sort_keys=True)}
        data = save({key: file.fetch(key).clone() for key in file.shapes}, header)
        with whole_file(folder / name, EncoderError) as out:
            out.write(data)
