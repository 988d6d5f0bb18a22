"""The core's CLIP vision as the host's CLIP_VISION, so that stock nodes accept it too."""

from __future__ import annotations

import types
from copy import copy
from typing import Any

import comfy.model_management
import comfy.ops
import torch
from torch import Tensor, nn

from ...pixwizard_core.encoders.architectures import build, expected_shapes, require_fit, shapes
from ...pixwizard_core.encoders.vision import CLIP_MEAN, CLIP_STD, normalise
from ...pixwizard_core.weights.finite import VISION_ENCODER, finite_output
from ..host.patchers import apply_every_patch, is_dynamic, patcher_class, take_weights
from ..shared.layouts import to_channels_first
from .layers import encoder_attention, encoder_ops

ALL_LAYERS = "all"  # the host's word for the states of all layers
PENULTIMATE = -2
MODEL_TYPE = "clip_vision_model"  # the host's name for CLIP among image encoders


class VisionLayers(nn.Module):
    """The core's model, called the way the host's nodes call theirs."""

    def __init__(self, config: dict, device, dtype) -> None:
        super().__init__()
        made: Any = build(
            "clip_vision",
            config,
            ops=encoder_ops(comfy.ops.manual_cast),
            attention=encoder_attention,
            device=device,
            dtype=dtype,
        )
        self.config, self.attend, self.vision_model = made.config, made.attend, made.vision_model
        self.visual_projection = made.visual_projection

    def forward(
        self,
        pixel_values: Tensor,
        attention_mask: Tensor | None = None,
        intermediate_output: int | str | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor, None]:
        """Encode pixel_values (B, 3, side, side), normalised.

        Returns four values: the last state (B, 1 + N, width); the state asked for, or all of them
        as (B, layers, 1 + N, width); the pooled picture (B, width), or (B, P) if the model has a
        projection; and None, which stands for a language model's output.
        """
        states = self.vision_model(pixel_values, self.attend)
        asked = None
        if intermediate_output == ALL_LAYERS:
            asked = torch.stack(states, 1)
        elif intermediate_output is not None:
            asked = states[intermediate_output]
        pooled = self.visual_projection(self.vision_model.post_layernorm(states[-1][:, 0]))
        return states[-1], asked, pooled, None


class VisionOutput(types.SimpleNamespace):
    """A CLIP_VISION_OUTPUT: stock nodes read it by attribute and by item."""

    def __getitem__(self, name: str):
        return getattr(self, name)

    def __setitem__(self, name: str, value) -> None:
        setattr(self, name, value)


class HostClipVision:
    """The interface of the host's CLIP_VISION objects: model, patcher, encode_image, get_sd."""

    def __init__(self, config: dict, disable_dynamic: bool = False) -> None:
        management = comfy.model_management
        self.config = {**config, "model_type": MODEL_TYPE}
        self.image_size = config["image_size"]
        self.image_mean, self.image_std = list(CLIP_MEAN), list(CLIP_STD)
        self.model_type, self.return_all_hidden_states = MODEL_TYPE, False
        self.load_device = management.text_encoder_device()
        offload = management.text_encoder_offload_device()
        self.dtype = management.text_encoder_dtype(self.load_device)
        self.model = VisionLayers(config, offload, self.dtype).eval().requires_grad_(False)
        self.patcher = patcher_class(disable_dynamic)(
            self.model, load_device=self.load_device, offload_device=offload
        )
        apply_every_patch(self.patcher)

    def load_sd(self, sd: dict[str, Tensor]) -> tuple[list[str], list[str]]:
        """Load a state dict; returns missing and unexpected names."""
        return self.model.load_state_dict(sd, strict=False, assign=is_dynamic(self.patcher))

    def get_sd(self) -> dict[str, Tensor]:
        """The weights under their published names."""
        return self.model.state_dict()

    def encode_image(self, image: Tensor, crop: bool = True) -> VisionOutput:
        """CLIP_VISION_OUTPUT of an IMAGE (B, H, W, C) for stock nodes: resized as the host does it,
        then encoded by these layers. PixWizard's Encode does not call this; it resizes pictures as
        in training. Raises EncoderError for numbers that are not finite."""
        management = comfy.model_management
        management.load_models_gpu([self.patcher])
        pixels = normalise(clip_square(image.to(self.load_device), self.image_size, crop))
        last, penultimate, pooled, _ = self.model(pixels, intermediate_output=PENULTIMATE)
        finite_output(last, VISION_ENCODER, last.dtype)
        place = management.intermediate_device()
        return VisionOutput(
            last_hidden_state=last.to(place),
            image_embeds=pooled.to(place),
            image_sizes=[pixels.shape[1:]] * len(pixels),
            penultimate_hidden_states=penultimate.to(place),
            mm_projected=None,
        )


def clip_square(image: Tensor, side: int, crop: bool) -> Tensor:
    """IMAGE (B, H, W, C) → (B, 3, side, side) in 0..1 in steps of 1/255, as CLIP's own pipeline
    does it: bicubic, antialiased. crop: resize the shorter side and cut out the middle; otherwise
    squash."""
    pixels = to_channels_first(image)[:, :3].float()
    height, width = pixels.shape[-2:]
    if (height, width) != (side, side):
        factor = side / min(height, width)
        size = (round(height * factor), round(width * factor)) if crop else (side, side)
        pixels = nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True)
        top, left = (size[0] - side) // 2, (size[1] - side) // 2
        pixels = pixels[..., top : top + side, left : left + side]
    return (pixels * 255).clamp(0, 255).round() / 255


def make_clip_vision(
    config: dict, weights: dict[str, Tensor], *, disable_dynamic: bool = False
) -> HostClipVision:
    """The host's CLIP_VISION of these weights, in the precision that the host chooses for encoders.

    config: published CLIP vision settings. weights: names beginning with vision_model.
    disable_dynamic: use the plain patcher even if the host's dynamic one is on. Raises EncoderError
    when weights are missing, unknown or have the wrong shape.
    """
    require_fit(expected_shapes("clip_vision", config), shapes(weights), "the vision encoder")
    made = HostClipVision(config, disable_dynamic)
    take_weights(made.model, copy(weights), made.dtype, made.patcher, "clip_vision")
    return made
