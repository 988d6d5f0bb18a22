"""Encoding through the host's CLIP, CLIP_VISION and VAE objects."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.model_management
import node_helpers
import torch
from torch import Tensor

from ...pixwizard_core.canvas.buckets import CELL
from ...pixwizard_core.canvas.images import to_pixels
from ...pixwizard_core.encoders.vision import preprocess
from ...pixwizard_core.errors import CanvasError, EncoderError
from ...pixwizard_core.pipeline import LATENT_CELL
from ...pixwizard_core.weights.finite import VAE, VISION_ENCODER, finite_output
from ..host.memory import memory_advice, text_memory_advice
from ..model.host_model import IMAGE_LATENT, IMAGE_TOKENS, TASK
from ..model.latents import LATENT_CHANNELS
from ..model.region_conds import REGIONS, REGIONS_APART, MarkedText
from ..shared.layouts import from_image_01


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A batch of pictures as the model takes them.

    latent: (B, 4, h, w) of the host's VAE, unscaled. tokens: (B, N, width) of CLIP vision.
    """

    latent: Tensor
    tokens: Tensor


def encode_picture(clip_vision, vae, image_01: Tensor) -> EncodedPicture:
    """Encode (B, 3, H, W) in 0..1. Raises CanvasError for sides that are not multiples of 16, and
    EncoderError for encoders of another kind or that give numbers that are not finite."""
    height, width = image_01.shape[-2:]
    if height % CELL or width % CELL:
        raise CanvasError(
            f"the picture is {width} x {height} px; the model needs sides in multiples of {CELL}. "
            "Put Fit to Canvas before Encode"
        )
    with memory_advice("encoding the picture", width, height, len(image_01)):
        latent = vae.encode(from_image_01(image_01))
    if latent.shape[1:] != (LATENT_CHANNELS, height // LATENT_CELL, width // LATENT_CELL):
        raise EncoderError(
            f"this VAE makes latents of shape {tuple(latent.shape[1:])} from {width} x {height} "
            "px; PixWizard needs a 4-channel VAE with factor 8: the SDXL VAE, or the bundled one "
            "for PixWizard Tiny"
        )
    finite_output(latent, VAE, getattr(vae, "vae_dtype", None))
    with memory_advice("looking at the picture", width, height, len(image_01)):
        return EncodedPicture(latent, image_tokens(clip_vision, image_01))


def image_tokens(clip_vision, image_01: Tensor) -> Tensor:
    """Patch tokens (B, N, width) of the last layer, before the final norm; N = 576 for CLIP-L/14.

    The host's own encode_image resizes and rounds differently from what the model was trained with.
    Raises EncoderError for an encoder that does not read 336 px pictures, or gives numbers that are
    not finite.
    """
    management = comfy.model_management
    management.load_models_gpu([clip_vision.patcher])
    pixels = preprocess(to_pixels(image_01.to(clip_vision.load_device)))
    if getattr(clip_vision, "image_size", pixels.shape[-1]) != pixels.shape[-1]:
        raise EncoderError(
            f"this CLIP vision model reads {clip_vision.image_size} px pictures; PixWizard needs "
            f"CLIP-L/14 at {pixels.shape[-1]} px (openai/clip-vit-large-patch14-336)"
        )
    hidden = clip_vision.model(pixel_values=pixels, intermediate_output=-2)[0]
    tokens = hidden[:, 1:]  # the first is the class token
    finite_output(tokens, VISION_ENCODER, tokens.dtype)
    return tokens.float().to(management.intermediate_device())


def encode_text(clip, instruction: str) -> list:
    """CONDITIONING of one instruction. Raises SamplingError when memory runs out."""
    with text_memory_advice():
        return clip.encode_from_tokens_scheduled(clip.tokenize(instruction))


def with_picture(conditioning: list, encoded: EncodedPicture) -> list:
    """The same CONDITIONING with a picture attached."""
    values = {IMAGE_LATENT: encoded.latent, IMAGE_TOKENS: encoded.tokens}
    return node_helpers.conditioning_set_values(conditioning, values)


def with_task(conditioning: list, task: str) -> list:
    """The same CONDITIONING with the id of the task that it asks for, where it is known."""
    return (
        node_helpers.conditioning_set_values(conditioning, {TASK: task}) if task else conditioning
    )


def marked_text(clip, instruction: str, mask: Tensor) -> MarkedText:
    """An instruction for the part of the picture in a mask (B, H, W). Raises EncoderError for a
    CLIP whose encoding changes during a run."""
    encoded = encode_text(clip, instruction)
    if len(encoded) != 1:
        raise EncoderError(
            f"this CLIP gives {len(encoded)} conditionings for different times, because hooks are "
            "attached to it; a region takes one. Connect the CLIP without hooks"
        )
    text, values = encoded[0]
    return MarkedText(text, values.get("attention_mask"), values["pooled_output"], mask)


def with_region(conditioning: list, region: MarkedText, apart: bool) -> list:
    """The same CONDITIONING with one more region, on top of those that it has."""
    return [
        [text, {**values, REGIONS: (*values.get(REGIONS, ()), region), REGIONS_APART: apart}]
        for text, values in conditioning
    ]


def empty_latent(encoded: EncodedPicture) -> dict:
    """LATENT of the picture's size, to sample."""
    return {"samples": torch.zeros_like(encoded.latent)}
