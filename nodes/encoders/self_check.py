"""Check once per process whether this host's layers compute correctly.

The bundled encoders and autoencoder run on one stored sentence and picture, through the host's
layers: on the CPU, in float32, with PyTorch's attention, before LoRA and memory management take
part. Loading refuses if the result is far off, because a wrong picture is worse than none. A check
that fails itself never stops loading.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from typing import cast

import comfy.ops
import comfy.sd
import comfy.utils
import torch
from torch import Tensor

from ...pixwizard_core.encoders import reference
from ...pixwizard_core.encoders.architectures import build
from ...pixwizard_core.encoders.clip import ClipVision
from ...pixwizard_core.encoders.load import read_source
from ...pixwizard_core.encoders.taesd import LATENT_SCALE
from ...pixwizard_core.encoders.tiny import BUNDLE, CLIP_FILE, TEXT_FILE, VAE_FILE
from ...pixwizard_core.errors import EncoderError, kind_and_reason
from ...pixwizard_core.model import sdpa
from ..host.versions import host_version
from .layers import encoder_ops

REFUSED, WARNED = 0.1, 1e-3  # relative RMS
NAMES = {
    "gemma": "text encoder (Gemma)",
    "clip_text": "text encoder (CLIP)",
    "clip_vision": "vision encoder (CLIP)",
    "latent": "autoencoder, picture to latent",
    "decoded": "autoencoder, latent to picture",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """apart: relative RMS of each part from its stored answer. failure: what went wrong in the
    check itself, or empty."""

    apart: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def worst(self) -> tuple[str, float]:
        """The part that is furthest off, and by how much."""
        return max(self.apart.items(), key=lambda pair: pair[1], default=("", 0.0))


def require_right_layers() -> None:
    """Raise EncoderError when this host's layers give another answer than the stored one."""
    found = findings()
    part, apart = found.worst
    if apart > REFUSED:
        raise EncoderError(
            f"ComfyUI {host_version()} computes the {NAMES[part]} wrong: its layers differ from "
            f"the stored answer by {apart:.2g} (relative RMS), so every picture would be wrong. "
            "Use another version of ComfyUI, or update PixWizard; PixWizard Check has the details"
        )


@functools.cache
def findings() -> Findings:
    """Measured at the first call. Logs a difference that is no reason to refuse."""
    try:
        wanted = reference.stored_answers(BUNDLE)
        found = Findings(
            {
                name: reference.relative_rms(answer, wanted[name])
                for name, answer in host_answers().items()
            }
        )
    except Exception as error:  # an error of the check must not stop loading
        found = Findings(failure=kind_and_reason(error))
        logging.warning(
            "PixWizard could not compare this ComfyUI's layers with its stored answers (%s); "
            "loading continues",
            found.failure,
        )
    part, apart = found.worst
    if WARNED < apart <= REFUSED:
        logging.warning(
            "PixWizard: the %s of ComfyUI %s differs from the stored answer by %.2g (relative "
            "RMS); pictures may differ a little",
            NAMES[part],
            host_version(),
            apart,
        )
    return found


@torch.no_grad()
def host_answers() -> dict[str, Tensor]:
    """The answers by name, computed by this host's layers."""
    tokenizers = reference.tokenizers_of(BUNDLE)
    answers = {
        "gemma": reference.text_answer(on_host("gemma", TEXT_FILE), tokenizers),
        "clip_text": reference.pooled_answer(on_host("clip_text", CLIP_FILE), tokenizers),
        "clip_vision": reference.vision_answer(
            cast(ClipVision, on_host("clip_vision", CLIP_FILE))
        ),
    }
    weights = comfy.utils.load_torch_file(str(BUNDLE / VAE_FILE), safe_load=True)
    vae = comfy.sd.VAE(sd=weights, device=torch.device("cpu"), dtype=torch.float32)
    latent = vae.first_stage_model.encode(reference.reference_picture())
    wanted = reference.reference_latent() / LATENT_SCALE
    decoded = vae.first_stage_model.decode(wanted).clamp(-1, 1)
    return answers | {
        "latent": reference.few(latent * LATENT_SCALE),
        "decoded": reference.few(decoded),
    }


def on_host(kind: str, file: str):
    """One of the bundled encoders from the host's layers, float32 on the CPU."""
    source, place = read_source(kind, BUNDLE / file), {"device": "cpu", "dtype": torch.float32}
    model = build(
        kind, source.config, ops=encoder_ops(comfy.ops.manual_cast), attention=sdpa, **place
    )
    weights = {name: source.weights.fetch(name).float() for name in source.weights.shapes}
    model.load_state_dict(weights)
    return model.eval()
